module hello

go 1.21

require acme.example/lost v1.0.0
