module hello

go 1.21

require github.com/acme/greet v1.0.0
