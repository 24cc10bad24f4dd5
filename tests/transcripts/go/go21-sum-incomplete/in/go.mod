module function

go 1.21

require rsc.io/quote v1.5.2
