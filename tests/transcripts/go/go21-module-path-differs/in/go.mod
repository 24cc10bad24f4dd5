module function

go 1.21

require github.com/uber-go/zap v1.27.0
