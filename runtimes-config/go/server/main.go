// Joins one Go function and its server: the injector puts the function's package, name and handler in place.

package main

import (
	function "FUNCTION_PACKAGE"
	"injector.internal/server"
)

func main() {
	server.Serve(function.FUNCTION_NAME, "FUNCTION_HANDLER")
}
