// `Context` is also the name of a type in the standard library, which the compiler proposes.
pub fn handler(event: Event, _context: Context) -> Response {
    Response::new(event.text())
}
