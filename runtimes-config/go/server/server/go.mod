// Without a `go` line, so that functions of any version can be built with it; the language is that of Go 1.16 then.
module injector.internal/server

require github.com/kubeless/kubeless v0.0.0
