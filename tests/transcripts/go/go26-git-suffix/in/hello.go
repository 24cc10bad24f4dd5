package kubeless

import "no-such-host.invalid/acme/greet.git"

func Hello() string { return greet.Text() }
