// What a function imports as Kubeless had it; without a `go` line, so that functions of any version may.
module github.com/kubeless/kubeless
