module function

go 1.21

require no-such-host.invalid/lib v1.0.0
