package words

import "fmt"

func Hello() string {
	return 1
}
