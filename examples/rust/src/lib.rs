//! Greets whoever it is told of.

use kubeless::{Context, Event, Response};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Whom {
    name: String,
    pods: u32,
}

#[derive(Serialize)]
struct Greeting {
    greeting: String,
    from: String,
}

/// An error (here: a body that is not such JSON) is a 500, and a line in the log.
pub async fn hello(event: Event, context: Context) -> serde_json::Result<Response> {
    let Whom { name, pods } = serde_json::from_slice(&event.data)?;
    let greeting = format!("Hello, {name}! You run {pods} pods.");
    let body = serde_json::to_string(&Greeting { greeting, from: context.function_name })?;
    Ok(Response::json(body))
}
