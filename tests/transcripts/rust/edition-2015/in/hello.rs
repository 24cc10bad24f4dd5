extern crate kubeless;

use kubeless::{Context, Event};

pub fn handler(event: Event, _context: Context) -> String {
    let async = event.text();
    async.into_owned() + 1
}
