module function

go 1.21

require github.com/google/uuid v0.0.0-20200101000000-abcdefabcdef
