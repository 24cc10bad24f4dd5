package main

import "github.com/sirupsen/logrus"

// Hello logs what it gets, and answers.
func Hello(data string) (string, error) {
	logrus.WithField("bytes", len(data)).Info("edit 0")
	return "hello " + data, nil
}
