//! A body that is read while it is sent, never whole in memory.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::{RequestBuilder, Response};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::sys::fetch::Cause;
use crate::sys::race::{Either, race};

/// How much is read at once; about three times as much is on the way.
const PIECE: usize = 64 << 10;

/// Why it was not sent.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The connection broke.
    Request(reqwest::Error),
    /// The other side is too slow.
    Slow(Cause),
    /// It cannot be read.
    Source(io::Error),
}

/// Sends `size` bytes of what is read, and waits for the head of the answer, which may come before all is sent.
pub(super) async fn send(
    request: RequestBuilder,
    size: u64,
    from: &mut dyn Read,
    idle: Duration,
    answer: Duration,
) -> Result<Response, Unsent> {
    let (sender, receiver) = mpsc::channel(1);
    let request = request.body(reqwest::Body::wrap(Pieces { receiver, left: size }));
    match race(request.send(), feed(sender, size, from, idle, answer)).await {
        Either::First(answered) => answered.map_err(Unsent::Request),
        Either::Second(trouble) => Err(trouble),
    }
}

/// Reads as fast as it is sent, and then waits; ends with what went wrong.
async fn feed(
    sender: mpsc::Sender<Bytes>,
    size: u64,
    from: &mut dyn Read,
    idle: Duration,
    answer: Duration,
) -> Unsent {
    let mut from = from.take(size);
    let mut left = size;
    while left > 0 {
        let piece = match piece(&mut from) {
            Ok(piece) if piece.is_empty() => return Unsent::Source(io::ErrorKind::UnexpectedEof.into()),
            Ok(piece) => piece,
            Err(error) => return Unsent::Source(error),
        };
        left -= piece.len() as u64;
        match timeout(idle, sender.send(piece)).await {
            Err(_) => return Unsent::Slow(Cause::Stalled { idle, got: size - left, of: Some(size) }),
            // It wants no more: its answer says why.
            Ok(Err(_)) => break,
            Ok(Ok(())) => {}
        }
    }
    sleep(answer).await;
    Unsent::Slow(Cause::Silent(answer))
}

fn piece(from: &mut impl Read) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(PIECE);
    from.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}

struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    left: u64,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = ready!(self.receiver.poll_recv(cx));
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
