package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
)

type T struct{}

func (T) Handler(event functions.Event, context functions.Context) (string, error) {
	return "", nil
}
