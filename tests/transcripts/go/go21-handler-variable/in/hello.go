package hello

var Handler = 5
