module function

go 1.24

require golang.org/x/text v0.31.0
