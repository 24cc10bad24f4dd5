module hello

go 1.21

require registry.example/acme/greet v1.0.0
