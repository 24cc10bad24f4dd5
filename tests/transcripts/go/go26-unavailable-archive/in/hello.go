package kubeless

import "acme.example/polite"

func Hello() string { return polite.Text() }
