package kubeless

import "github.com/acme/greet"

func Hello() string { return greet.Text() }
