module function

go 1.21

requires github.com/google/uuid v1.6.0
