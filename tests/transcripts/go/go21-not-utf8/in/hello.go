package hello

var name = "ÿþ"
