module function

go 1.21

require github.com/kubeless/no-such-module v1.0.0
