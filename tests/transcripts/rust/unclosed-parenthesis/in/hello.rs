use kubeless::{Context, Event};

pub fn hello(_event: Event, _context: Context) -> String {
    let x = (1;
    String::new()
}
