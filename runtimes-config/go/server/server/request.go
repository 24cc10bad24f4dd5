// One request: what the function gets of it, and what the client gets of the function.

package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/kubeless/kubeless/pkg/functions"
)

// A function that is being served.
type served struct {
	call    Function
	limit   time.Duration
	context functions.Context
}

func (f *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Close { // Which net/http tells nobody who speaks HTTP/1.0.
		w.Header().Set("Connection", "close")
	}
	if r.URL.Path == "/healthz" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "OK")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		rejected(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), f.limit)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := &response{ResponseWriter: w}
	event := functions.Event{
		Data:           string(body),
		EventID:        r.Header.Get("event-id"),
		EventType:      r.Header.Get("event-type"),
		EventTime:      r.Header.Get("event-time"),
		EventNamespace: r.Header.Get("event-namespace"),
		Extensions:     functions.Extension{Request: r, Response: answer, Context: ctx},
	}
	result, failure := f.run(event)
	switch {
	case failure == nil && answer.hijacked:
	case failure == nil:
		io.WriteString(w, result)
	default:
		log("error: %s %s: %v", r.Method, r.URL.Path, failure)
		fail(answer, failure)
	}
}

// A panic, and where it came from.
type panicked struct {
	value interface{}
	stack string
}

func (p panicked) Error() string {
	return fmt.Sprintf("panic: %v\n%s", p.value, p.stack)
}

// run calls the function; that it panics is an error like others.
func (f *served) run(event functions.Event) (result string, failure error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		value := recover()
		if value == http.ErrAbortHandler {
			panic(value) // The function wants the connection cut.
		}
		failure = panicked{value, story(string(debug.Stack()))}
	}()
	result, failure = f.call(event, f.context)
	returned = true
	return result, failure
}

// story is the stack from the place of the panic to the function, without what is ours.
func story(stack string) string {
	lines := strings.Split(stack, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "panic(") && i+2 < len(lines) {
			lines = lines[i+2:]
			break
		}
	}
	for i, line := range lines {
		if strings.HasPrefix(line, "injector.internal/server.") {
			lines = lines[:i]
			break
		}
	}
	return strings.Join(lines, "\n")
}

// fail answers 500, if nothing has been sent; else a panic cuts the connection, so that the client knows.
func fail(answer *response, failure error) {
	var p panicked
	switch {
	case answer.hijacked:
	case !answer.begun:
		header := answer.Header()
		for name := range header {
			if name != "Connection" {
				delete(header, name)
			}
		}
		http.Error(answer, "Internal Server Error", http.StatusInternalServerError)
	case errors.As(failure, &p):
		panic(http.ErrAbortHandler)
	}
}

// rejected answers a request whose body cannot be read: it is malformed, or the client has gone.
func rejected(w http.ResponseWriter, r *http.Request, err error) {
	var network net.Error
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) || r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Connection", "close")
	http.Error(w, fmt.Sprintf("the body cannot be read: %v", err), http.StatusBadRequest)
}

// What the function sees as the response: it tells whether the function has begun to answer by itself.
type response struct {
	http.ResponseWriter
	begun    bool
	hijacked bool
}

func (w *response) WriteHeader(status int) {
	w.begun = w.begun || status >= 200 // Others are interim.
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(data []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(data)
}

// ReadFrom lets io.Copy send files without a copy in memory.
func (w *response) ReadFrom(from io.Reader) (int64, error) {
	w.begun = true
	return io.Copy(w.ResponseWriter, from)
}

func (w *response) Flush() {
	w.begun = true
	w.ResponseWriter.(http.Flusher).Flush()
}

func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := w.ResponseWriter.(http.Hijacker).Hijack()
	w.hijacked = err == nil
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter {
	return w.ResponseWriter
}
