use kubeless::{Context, Event};

pub async fn handler(event: Event, _context: Context) -> Result<usize, String> {
    Ok(event.data.len())
}
