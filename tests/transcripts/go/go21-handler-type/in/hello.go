package hello

type Handler struct{}
