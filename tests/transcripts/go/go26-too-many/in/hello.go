package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	var x0 int = "0"
	var x1 int = "1"
	var x2 int = "2"
	var x3 int = "3"
	var x4 int = "4"
	var x5 int = "5"
	var x6 int = "6"
	var x7 int = "7"
	var x8 int = "8"
	var x9 int = "9"
	var x10 int = "10"
	var x11 int = "11"
	return "", nil
}
