use kubeless::{Context, Event};

pub fn handler(event: Event, _context: Context) -> &str {
    "hello"
}
