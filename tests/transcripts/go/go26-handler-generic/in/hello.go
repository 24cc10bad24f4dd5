package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
)

func Handler[T any](event functions.Event, context functions.Context) (string, error) {
	return "hello", nil
}
