//! What one would write around a function without us.

mod hello;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let answer = |body: String| async move {
        hello::handler(&body).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    };
    let listener = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
    axum::serve(listener, Router::new().route("/", post(answer))).await
}
