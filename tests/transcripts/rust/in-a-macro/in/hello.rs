use kubeless::{Context, Event};

macro_rules! greet {
    ($name:expr) => {
        format!("hello {}", $name.nothing())
    };
}

pub fn handler(event: Event, _context: Context) -> String {
    let name = event.text();
    assert_eq!(name, 7);
    greet!(name)
}
