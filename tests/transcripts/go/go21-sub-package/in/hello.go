package hello

import (
	"function/words"
	"github.com/kubeless/kubeless/pkg/functions"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	return words.Hello(), nil
}
