use kubeless::{Context, Event};

extern "C" {
    fn no_such_symbol() -> i32;
}

pub fn handler(_event: Event, _context: Context) -> String {
    unsafe { no_such_symbol() }.to_string()
}
