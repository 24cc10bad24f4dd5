module hello

go 1.21

require (
	acme.example/nothing v1.0.0
	acme.example/nowhere v1.2.0
)
