module hello

go 1.21

require git.invalid/acme/greet v1.0.0
