module hello

go 1.21

require no-such-host.invalid/acme/greet.git v1.0.0
