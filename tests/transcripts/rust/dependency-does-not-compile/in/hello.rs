use kubeless::{Context, Event};

pub fn handler(event: Event, _context: Context) -> String {
    event.text().into_owned()
}
