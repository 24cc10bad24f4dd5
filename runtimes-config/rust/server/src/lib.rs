//! What a Rust function is written against: event, context, and what it may return.
//!
//! ```ignore
//! use kubeless::{Context, Event};
//!
//! pub fn hello(event: Event, context: Context) -> String {
//!     format!("Hello {} from {}", event.text(), context.function_name)
//! }
//! ```
//!
//! A function may be `async`, and may return `()`, text, bytes, a [`Response`], an `Option` of these, or a `Result` whose
//! error can be displayed: an error, like a panic, is a 500 and a line in the log.

mod future;
mod http;
mod request;
mod response;
mod server;
mod signals;

use std::borrow::Cow;
use std::time::Duration;

pub use request::{Headers, Request};
pub use response::{IntoResponse, Response};
#[doc(hidden)]
pub use server::{serve, Function};

/// What the function is called with.
#[derive(Debug, Clone)]
pub struct Event {
    /// The body.
    pub data: Vec<u8>,
    /// The header `event-id`; like the others, empty where it was not sent.
    pub event_id: String,
    /// The header `event-type`.
    pub event_type: String,
    /// The header `event-time`.
    pub event_time: String,
    /// The header `event-namespace`.
    pub event_namespace: String,
    /// What does not belong to every event.
    pub extensions: Extensions,
}

/// What does not belong to every event.
#[derive(Debug, Clone)]
pub struct Extensions {
    /// The HTTP request that brought the event.
    pub request: Request,
}

impl Event {
    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.data)
    }

    /// The HTTP request that brought the event.
    pub fn request(&self) -> &Request {
        &self.extensions.request
    }
}

/// What the function may know of itself.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its name.
    pub function_name: String,
    /// How long a request may take (`FUNC_TIMEOUT`).
    pub timeout: Duration,
    /// The runtime that was asked for (`FUNC_RUNTIME`), or nothing.
    pub runtime: String,
    /// How much memory there is (`FUNC_MEMORY_LIMIT`), or nothing.
    pub memory_limit: String,
}
