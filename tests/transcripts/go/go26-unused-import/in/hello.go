package hello

import (
	"fmt"
	"github.com/kubeless/kubeless/pkg/functions"
	"os"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	return "hello", nil
}
