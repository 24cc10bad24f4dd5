// Package server serves one Go function over HTTP/1.1, with the standard library alone.
//
// GET /healthz answers OK; every other request calls the function, each in a goroutine of its own. SIGTERM and SIGINT stop
// accepting, let running requests end, and exit with 0. Reads FUNC_PORT, FUNC_TIMEOUT, FUNC_RUNTIME and FUNC_MEMORY_LIMIT.
//
// The string that the function returns is sent, with the type that it looks like unless the function set one; an error that it
// returns is a 500 and a log line, and so is a panic. A function may answer by event.Extensions.Response itself: what it returns
// follows then, and an error is only logged. A panic in a goroutine that the function starts ends the process, as always in Go.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubeless/kubeless/pkg/functions"
)

const (
	idle   = 75 * time.Second       // After which a silent connection is given up; ingresses keep theirs for 60 seconds.
	onWire = 100 * time.Millisecond // For requests that are on their way when the server is told to stop.
	head   = 64 << 10               // The most bytes of a request's line and headers.
)

// Function is how a handler is written.
type Function = func(functions.Event, functions.Context) (string, error)

// Serve serves the function that is the handler's, such as hello.Handler, until a signal ends it.
func Serve(function Function, handler string) {
	port := setting("FUNC_PORT", "8080")
	timeout := setting("FUNC_TIMEOUT", "180")
	served := &served{
		call:  function,
		limit: time.Duration(timeout.number * float64(time.Second)),
		context: functions.Context{
			FunctionName: handler[strings.LastIndex(handler, ".")+1:],
			Timeout:      timeout.text,
			Runtime:      os.Getenv("FUNC_RUNTIME"),
			MemoryLimit:  os.Getenv("FUNC_MEMORY_LIMIT"),
		},
	}
	listener, err := net.Listen("tcp", ":"+port.text)
	if err != nil {
		refuse("cannot listen on FUNC_PORT %s: %s", port.text, reason(err))
	}
	server := &http.Server{Handler: served, ReadHeaderTimeout: idle, IdleTimeout: idle, MaxHeaderBytes: head}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	number := listener.Addr().(*net.TCPAddr).Port
	log("listening on :%d (%s, go %s)", number, handler, strings.TrimPrefix(runtime.Version(), "go"))
	go server.Serve(listener)
	<-stop
	go func() { // A second one does not wait.
		<-stop
		os.Exit(0)
	}()
	listener.Close()
	time.Sleep(onWire)
	server.Shutdown(context.Background())
}

// A value of the environment.
type value struct {
	text   string
	number float64
}

func setting(name, fallback string) value {
	text := os.Getenv(name)
	if text == "" {
		text = fallback
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		refuse("%s is %q, which is not a number", name, text)
	}
	return value{text, number}
}

// reason is what the operating system said.
func reason(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}

func refuse(format string, args ...interface{}) {
	log("error: "+format, args...)
	os.Exit(1)
}

// log writes once, so that the lines of parallel requests do not mix.
func log(format string, args ...interface{}) {
	fmt.Fprint(os.Stderr, strings.TrimSuffix(fmt.Sprintf(format, args...), "\n")+"\n")
}
