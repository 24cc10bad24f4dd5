module function

go 1.20

require golang.org/x/text v0.31.0
