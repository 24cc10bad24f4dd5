package kubeless

import "registry.example/acme/greet"

func Hello() string { return greet.Text() }
