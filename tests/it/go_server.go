// Does what the request's path says: the function behind the tests of the Go server.

package hello

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/kubeless/kubeless/pkg/functions"
)

var open = make(chan bool)

// Handler answers, in whatever way it is asked to.
func Handler(event functions.Event, context functions.Context) (string, error) {
	request, response := event.Extensions.Request, event.Extensions.Response
	switch request.URL.Path {
	case "/event/a b":
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return "", err
		}
		said := map[string]interface{}{
			"event":   []string{event.Data, event.EventID, event.EventType, event.EventTime, event.EventNamespace},
			"context": []string{context.FunctionName, context.Timeout, context.Runtime, context.MemoryLimit},
			"request": []string{request.Method, request.URL.Path, request.URL.RawQuery},
			"body":    string(body),
		}
		text, err := json.Marshal(said)
		return string(text), err
	case "/html":
		return "<!doctype html>", nil
	case "/own":
		response.Header().Set("X-Own", "yes")
		response.WriteHeader(http.StatusTeapot)
		return "short and stout", nil
	case "/own/error":
		http.Error(response, "not so", http.StatusBadRequest)
		return "", errors.New("it was not so")
	case "/hijack":
		conn, _, err := response.(http.Hijacker).Hijack()
		if err != nil {
			return "", err
		}
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
		return "not sent", conn.Close()
	case "/stream":
		fmt.Fprint(response, "one")
		response.(http.Flusher).Flush()
		<-open
		return "two", nil
	case "/open":
		open <- true
		return "opened", nil
	case "/error":
		response.Header().Set("X-Own", "yes")
		return "", errors.New("the cat is out")
	case "/panic":
		var cats map[string]int
		cats["tom"] = 1
	case "/panic/nil":
		panic(nil)
	case "/panic/late":
		fmt.Fprint(response, "one")
		response.(http.Flusher).Flush()
		panic("late")
	case "/abort":
		panic(http.ErrAbortHandler)
	case "/wait":
		<-event.Extensions.Context.Done()
		return event.Extensions.Context.Err().Error(), nil
	case "/slow":
		fmt.Fprintln(os.Stderr, "slow begins")
		time.Sleep(time.Second)
		return "slow", nil
	}
	var data, x interface{}
	if event.Data != "" {
		data = event.Data
	}
	if value := request.Header.Get("X"); value != "" {
		x = value
	}
	text, err := json.Marshal([]interface{}{request.Method, request.URL.Path, data, x})
	return string(text), err
}
