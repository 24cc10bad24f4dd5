pub struct handler {
    pub name: String,
}
