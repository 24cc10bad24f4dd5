module example.com/lib

require example.com/nope v1.0.0
