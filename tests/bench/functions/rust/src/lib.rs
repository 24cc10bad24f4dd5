//! Greets whoever the JSON names.

use kubeless::{Context, Event};
use serde::Deserialize;

#[derive(Deserialize)]
struct Asked {
    name: Option<String>,
}

pub fn handler(event: Event, _context: Context) -> serde_json::Result<String> {
    let asked: Asked = serde_json::from_slice(&event.data)?;
    println!("edit 0");
    Ok(format!("hello {}", asked.name.as_deref().unwrap_or("you")))
}
