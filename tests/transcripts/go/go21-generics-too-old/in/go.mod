module function

go 1.16
