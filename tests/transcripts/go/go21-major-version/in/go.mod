module function

go 1.21

require github.com/google/uuid v2.0.0
