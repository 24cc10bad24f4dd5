package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
	_ "golang.org/x/text"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	return "hello", nil
}
