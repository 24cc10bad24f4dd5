package a

import _ "function/b"
