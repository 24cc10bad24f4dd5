//! SIGTERM and SIGINT, and waiting for them and for connections at once. The standard library has no name for either.

use std::io::Write;
use std::net::TcpListener;
use std::os::raw::{c_int, c_short, c_ulong, c_void};
use std::os::unix::io::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};
use std::{io, ptr};

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;
const SIG_DFL: usize = 0;
const POLLIN: c_short = 1;

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

// https://man7.org/linux/man-pages/man2/signal.2.html, poll.2, write.2
extern "C" {
    fn signal(number: c_int, handler: usize) -> usize;
    fn poll(fds: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int;
    fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize;
}

/// Where the handler writes.
static WAKE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn wake(_number: c_int) {
    let byte = 1_u8;
    // SAFETY: `write` may be called in a signal handler; the descriptor is never closed, the byte lives.
    let _ = unsafe { write(WAKE.load(Ordering::Relaxed), ptr::addr_of!(byte).cast(), 1) };
}

/// What tells of a signal that arrived.
pub(crate) struct Signals(UnixStream);

/// Listens to SIGTERM and SIGINT from here on.
pub(crate) fn listen() -> io::Result<Signals> {
    let (reader, writer) = UnixStream::pair()?;
    writer.set_nonblocking(true)?;
    (&writer).flush()?;
    WAKE.store(writer.into_raw_fd(), Ordering::Relaxed);
    let handler: extern "C" fn(c_int) = wake;
    set(handler as usize);
    Ok(Signals(reader))
}

/// Lets both signals end the process.
pub(crate) fn ignore_no_more() {
    set(SIG_DFL);
}

fn set(handler: usize) {
    for number in [SIGTERM, SIGINT] {
        // SAFETY: the handler is the default, or `wake`, which does nothing that a handler may not do.
        unsafe { signal(number, handler) };
    }
}

impl Signals {
    /// Waits for a connection or a signal; whether there was a signal.
    pub(crate) fn or_connection(&self, listener: &TcpListener) -> bool {
        let on = |fd| PollFd { fd, events: POLLIN, revents: 0 };
        let mut fds = [on(self.0.as_raw_fd()), on(listener.as_raw_fd())];
        // SAFETY: the array lives and has two entries. An interrupted wait is one without a result.
        unsafe { poll(fds.as_mut_ptr(), 2, -1) };
        fds[0].revents != 0
    }
}
