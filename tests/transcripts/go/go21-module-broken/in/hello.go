package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
	_ "github.com/mattn/go-oci8"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	return "hello", nil
}
