//! Greets whoever the JSON names.

use serde::Deserialize;

#[derive(Deserialize)]
struct Asked {
    name: Option<String>,
}

pub fn handler(data: &str) -> serde_json::Result<String> {
    let asked: Asked = serde_json::from_str(data)?;
    println!("edit 0");
    Ok(format!("hello {}", asked.name.as_deref().unwrap_or("you")))
}
