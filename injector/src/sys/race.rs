//! Waiting for whichever of two things happens first.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// What the first of two futures to end gave; the first named where both have ended.
#[derive(Debug)]
pub(super) enum Either<A, B> {
    /// The first future's value.
    First(A),
    /// The second future's value.
    Second(B),
}

/// Waits for either of two futures and drops the other.
pub(super) async fn race<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> Either<A, B> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| match first.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Either::First(value)),
        Poll::Pending => second.as_mut().poll(cx).map(Either::Second),
    })
    .await
}
