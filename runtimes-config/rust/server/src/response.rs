//! What a function may return.

use std::borrow::Cow;
use std::fmt::Display;

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
const JSON: &str = "application/json";

/// An answer whose status and headers the function chooses.
#[derive(Debug, Clone, Default)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// An empty answer with this status.
    pub fn new(status: u16) -> Self {
        Response { status, headers: Vec::new(), body: Vec::new() }
    }

    /// JSON that the function wrote, with status 200.
    pub fn json(text: impl Into<String>) -> Self {
        Response::new(200).header("Content-Type", JSON).body(text.into())
    }

    /// The same answer with one more header; the last `Content-Type` counts.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        if name.eq_ignore_ascii_case("content-type") {
            self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        }
        self.headers.push((name, value.into()));
        self
    }

    /// The same answer with this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same answer with another status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// What a function may return: `()`, text, bytes, a [`Response`], an `Option` of these, or a `Result` whose error can
/// be displayed.
pub trait IntoResponse {
    /// The answer, or what the log says of the failure.
    ///
    /// # Errors
    /// Where the function failed, by its own word.
    fn into_response(self) -> Result<Response, String>;
}

/// An answer of this media type.
fn typed(kind: &str, body: Vec<u8>) -> Result<Response, String> {
    Ok(Response::new(200).header("Content-Type", kind).body(body))
}

impl IntoResponse for Response {
    fn into_response(self) -> Result<Response, String> {
        Ok(self)
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Result<Response, String> {
        Ok(Response::new(200))
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Result<Response, String> {
        typed(TEXT, self.into_bytes())
    }
}

impl IntoResponse for &'static str {
    fn into_response(self) -> Result<Response, String> {
        typed(TEXT, self.into())
    }
}

impl IntoResponse for Cow<'static, str> {
    fn into_response(self) -> Result<Response, String> {
        self.into_owned().into_response()
    }
}

impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Result<Response, String> {
        typed(BYTES, self)
    }
}

impl IntoResponse for &'static [u8] {
    fn into_response(self) -> Result<Response, String> {
        typed(BYTES, self.into())
    }
}

impl<T: IntoResponse> IntoResponse for Option<T> {
    fn into_response(self) -> Result<Response, String> {
        self.map_or_else(|| ().into_response(), T::into_response)
    }
}

impl<T: IntoResponse, E: Display> IntoResponse for Result<T, E> {
    fn into_response(self) -> Result<Response, String> {
        // The alternate form shows what was behind an error, where its type has one.
        self.map_err(|error| format!("{:#}", error))?.into_response()
    }
}
