#![deny(warnings)]

use kubeless::{Context, Event};

pub fn handler(event: Event, _context: Context) -> String {
    let unused = 1;
    "hello".to_owned()
}
