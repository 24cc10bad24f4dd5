module function

go 1.21

require github.com/google/uuid 1.6.0
