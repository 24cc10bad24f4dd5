module hello

go 1.21

require acme.example/polite v1.0.0
