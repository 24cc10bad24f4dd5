use kubeless::{Context, Event};

pub fn handler(event: Event, _context: Context) -> String {
    let text = event.text().into_owned();
    let moved = text;
    format!("{moved} {text}")
}
