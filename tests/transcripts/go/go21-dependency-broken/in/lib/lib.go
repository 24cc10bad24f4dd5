package lib

var x int = nope
