use kubeless::{Context, Event};

#[derive(Debug)]
pub struct Wrong;

pub fn handler(event: Event, _context: Context) -> Result<String, Wrong> {
    Ok(event.text().into_owned())
}
