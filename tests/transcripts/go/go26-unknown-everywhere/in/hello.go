package kubeless

import "git.invalid/acme/greet"

func Hello() string { return greet.Text() }
