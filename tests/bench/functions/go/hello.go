package kubeless

import (
	"github.com/kubeless/kubeless/pkg/functions"
	"github.com/sirupsen/logrus"
)

// Hello logs what it gets, and answers.
func Hello(event functions.Event, context functions.Context) (string, error) {
	logrus.WithField("bytes", len(event.Data)).Info("edit 0")
	return "hello " + event.Data, nil
}
