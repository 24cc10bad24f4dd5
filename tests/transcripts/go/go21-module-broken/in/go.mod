module function

go 1.21

require github.com/mattn/go-oci8 v0.1.1
