package hello

func f( {
}

var x = 
