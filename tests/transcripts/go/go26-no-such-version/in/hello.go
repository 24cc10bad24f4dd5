package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
	_ "github.com/google/uuid"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	return "hello", nil
}
