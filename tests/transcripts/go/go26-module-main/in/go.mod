module main

go 1.21
