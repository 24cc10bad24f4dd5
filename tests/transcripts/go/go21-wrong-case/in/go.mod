module function

go 1.21

require github.com/Sirupsen/logrus v1.9.3
