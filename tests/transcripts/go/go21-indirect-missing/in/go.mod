module function

go 1.21

require rsc.io/quote/v3 v3.1.0
