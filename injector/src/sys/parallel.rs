//! Work on several things at once, in as many threads as the container may have.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use super::host;

/// More threads than these wait for one another in the file system.
const MOST_THREADS: usize = 8;

/// Does something with each of `items`, in several threads, each with something of its own that `own` makes; a thread takes
/// `batch` neighbours at once. Results come with the item's index, in no order. The first error ends it.
pub(crate) fn each<I: Sync, O, T: Send, E: Send>(
    items: &[I],
    batch: usize,
    own: impl Fn() -> O + Sync,
    work: impl Fn(&I, &mut O) -> Result<T, E> + Sync,
) -> Result<Vec<(usize, T)>, E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let worker = || {
        let mut own = own();
        let mut done = Vec::new();
        loop {
            let start = next.fetch_add(batch, Relaxed);
            if start >= items.len() {
                return Ok(done);
            }
            for (index, item) in items.iter().enumerate().skip(start).take(batch) {
                if failed.load(Relaxed) {
                    return Ok(done);
                }
                let result = work(item, &mut own);
                failed.fetch_or(result.is_err(), Relaxed);
                done.push((index, result?));
            }
        }
    };
    let threads = host::parallelism().min(MOST_THREADS).min(items.len().div_ceil(batch));
    std::thread::scope(|scope| {
        // A thread that the container's limit on processes denies us is one the less.
        let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, worker).ok();
        let others: Vec<_> = (1..threads).filter_map(spawn).collect();
        let mut done = worker();
        for other in others {
            let result = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done = done.and_then(|mut done| {
                done.append(&mut result?);
                Ok(done)
            });
        }
        done
    })
}
