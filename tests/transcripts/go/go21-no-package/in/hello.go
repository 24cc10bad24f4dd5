func Handler() {}
