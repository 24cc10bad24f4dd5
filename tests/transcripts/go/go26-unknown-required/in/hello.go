package kubeless

import "acme.example/lost"

func Hello() string { return lost.Text() }
