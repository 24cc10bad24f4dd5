use kubeless::{Context, Event};

mod words;

pub fn handler(event: Event, _context: Context) -> String {
    words::of(&event.text())
}
