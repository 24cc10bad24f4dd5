package b

import _ "function/a"
