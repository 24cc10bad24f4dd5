package hello

func Handler() {
}
