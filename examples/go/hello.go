// Package hello greets in as many words as there are pods: a function with one real dependency.
package hello

import (
	"encoding/json"
	"fmt"

	"github.com/dustin/go-humanize/english"
	"github.com/kubeless/kubeless/pkg/functions"
)

// Handler greets whoever the request names.
func Handler(event functions.Event, context functions.Context) (string, error) {
	request := struct {
		Name string
		Pods int
	}{"world", 1}
	if event.Data != "" {
		if err := json.Unmarshal([]byte(event.Data), &request); err != nil {
			return "", err
		}
	}
	pods := english.Plural(request.Pods, "pod", "")
	return fmt.Sprintf("Hello, %s! This is %s, and you run %s.\n", request.Name, context.FunctionName, pods), nil
}
