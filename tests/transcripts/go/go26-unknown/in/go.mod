module hello

go 1.21

require acme.example/nothing v1.0.0
