package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
	_ "no-such-host.invalid/lib"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	return "hello", nil
}
