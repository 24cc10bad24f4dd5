// Package functions is what a function is called with: the interface that Kubeless had, with the standard library alone.
package functions

import (
	"context"
	"net/http"
)

// Event is what the function is called for.
type Event struct {
	// Data is the request's body.
	Data string
	// EventID, EventType, EventTime and EventNamespace are the headers event-id, event-type, event-time and event-namespace.
	EventID        string
	EventType      string
	EventTime      string
	EventNamespace string
	// Extensions is the way around this interface, to HTTP itself.
	Extensions Extension
}

// Extension is the request behind an event.
type Extension struct {
	// Request is the HTTP request; its body can be read again.
	Request *http.Request
	// Response is for a function that answers by itself.
	Response http.ResponseWriter
	// Context is done at the function's time limit, and when the client goes away.
	Context context.Context
}

// Context is what the function may know of itself.
type Context struct {
	// FunctionName is the handler's function.
	FunctionName string
	// Timeout is the time limit of a call, in seconds.
	Timeout string
	// Runtime is the runtime's ID and version, if the pod says so.
	Runtime string
	// MemoryLimit is the container's limit, if the pod says so.
	MemoryLimit string
}
