package hello

import (
	"github.com/kubeless/kubeless/pkg/functions"
)

func Handler(event functions.Event, context functions.Context) (string, error) {
	return first([]string{"a"}), nil
	}
	
	func first[T any](of []T) T {
		return of[0]
}
