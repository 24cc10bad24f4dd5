package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	var n int = "one"
	name := greet(1, 2)
	return n, nil
	}
	
	func greet(name string) string {
		return nme
}
