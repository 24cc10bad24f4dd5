package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	x := 1 +
	return "hello", nil
	}
}
