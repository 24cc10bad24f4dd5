package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
	_ "rsc.io/quote/v3"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	return "hello", nil
}
