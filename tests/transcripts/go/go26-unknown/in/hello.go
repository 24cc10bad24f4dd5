package kubeless

import "acme.example/nothing"

func Hello() string { return nothing.Text() }
