package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
	_ "embed"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	return "hello", nil
}

//go:embed words.txt
var words string
