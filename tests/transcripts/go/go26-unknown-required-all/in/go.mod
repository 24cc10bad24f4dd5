module hello

go 1.16

require acme.example/lost v1.0.0
