//! Being told to stop: SIGTERM and SIGINT, noticed whatever the injector is doing.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::watch;
use tokio::time::sleep;

use super::race::{Either, race};

/// How long the main flow may take to end by itself: longer than [`super::exec::GRACE`], shorter
/// than the 30 s after which a kubelet kills.
const PATIENCE: Duration = Duration::from_secs(8);

/// The watcher only waits, and its callback writes one file.
const STACK: usize = 256 * 1024;

static INBOX: LazyLock<Inbox> = LazyLock::new(Inbox::default);

/// Notices SIGTERM and SIGINT from now on. Call it first of all: without a handler, the kernel
/// drops both for PID 1.
///
/// After the first one, [`received`] says so and a running tool is ended. If the process still
/// lives 8 s later, `on_late` is called on a thread of its own, to write the last known truth, and
/// the process exits with the signal's status.
///
/// # Errors
/// The handlers or the thread cannot be had.
pub(crate) fn watch(on_late: impl FnOnce(Signal) + Send + 'static) -> io::Result<()> {
    watch_for(PATIENCE, on_late)
}

/// The signal that told us to stop, the first one if there were several.
pub(crate) fn received() -> Option<Signal> {
    inbox().first()
}

/// A request to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

impl Signal {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Signal::Terminate => "SIGTERM",
            Signal::Interrupt => "SIGINT",
        }
    }

    /// The exit status of a process that this signal ended: 128 and its number.
    pub(crate) fn exit_status(self) -> u8 {
        match self {
            Signal::Terminate => 143,
            Signal::Interrupt => 130,
        }
    }
}

/// Where signals arrive.
#[derive(Default)]
pub(super) struct Inbox(watch::Sender<Heard>);

#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    first: Option<Signal>,
    times: u32,
}

impl Inbox {
    /// The first signal.
    pub(super) fn first(&self) -> Option<Signal> {
        self.0.borrow().first
    }

    /// How often we were told.
    pub(super) fn times(&self) -> u32 {
        self.0.borrow().times
    }

    /// Waits for the first signal, which may have come long ago.
    pub(super) async fn told(&self) -> Signal {
        let mut receiver = self.0.subscribe();
        let heard = receiver.wait_for(|heard| heard.first.is_some()).await;
        match heard.ok().and_then(|heard| heard.first) {
            Some(signal) => signal,
            // It fails only without a sender, and we hold the sender.
            None => pending().await,
        }
    }

    /// Puts a signal in.
    pub(super) fn deliver(&self, signal: Signal) {
        self.0.send_modify(|heard| {
            heard.first.get_or_insert(signal);
            heard.times += 1;
        });
    }
}

/// The process's own.
pub(super) fn inbox() -> &'static Inbox {
    &INBOX
}

fn watch_for(patience: Duration, on_late: impl FnOnce(Signal) + Send + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let mut terminate = unix::signal(SignalKind::terminate())?;
    let mut interrupt = unix::signal(SignalKind::interrupt())?;
    drop(entered);
    let listen = async move {
        loop {
            inbox().deliver(match race(terminate.recv(), interrupt.recv()).await {
                Either::First(_) => Signal::Terminate,
                Either::Second(_) => Signal::Interrupt,
            });
        }
    };
    let late = async move {
        let signal = inbox().told().await;
        sleep(patience).await;
        signal
    };
    thread::Builder::new().name("signals".into()).stack_size(STACK).spawn(move || {
        let Either::First(signal) = runtime.block_on(race::<_, Infallible>(late, listen));
        on_late(signal);
        super::host::exit(signal.exit_status());
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::{Command, ExitStatus, Stdio};
    use std::time::Instant;

    use super::*;

    /// Runs an ignored test of this file in a process of its own, sends it a signal once it is
    /// ready, and gives its status and what it said after that.
    fn signalled(test: &str, signal: &str) -> (ExitStatus, String) {
        let this = fs_err::read_link("/proc/self/exe").expect("this program");
        let mut child = Command::new(this)
            .args(["--exact", "--ignored", "--nocapture", &format!("sys::signal::tests::{test}")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut said = String::new();
        while !said.ends_with("ready\n") {
            assert_ne!(stdout.read_line(&mut said).expect("text"), 0, "{said}");
        }
        let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
        assert!(kill.expect("runs").success());
        said.clear();
        stdout.read_to_string(&mut said).expect("text");
        (child.wait().expect("ends"), said)
    }

    fn say(text: &str) {
        writeln!(io::stdout(), "{text}").expect("said");
    }

    #[test]
    fn who_does_not_stop_in_time_is_stopped_with_a_last_word() {
        for (name, status) in [("TERM", 143), ("INT", 130)] {
            let (ended, said) = signalled("a_flow_that_does_not_look", name);
            assert_eq!(ended.code(), Some(status), "{said}");
            assert!(said.starts_with("late: ") && !said.contains("never said"), "{said}");
        }
    }

    #[test]
    #[ignore = "run in a process of its own, which is ended by a signal"]
    fn a_flow_that_does_not_look() {
        watch_for(Duration::from_millis(100), |signal| {
            say(&format!("late: {signal:?}"));
        })
        .expect("watched");
        say("ready");
        thread::sleep(Duration::from_secs(30));
        say("never said");
    }

    #[test]
    fn who_looks_in_time_ends_by_itself() {
        let (ended, said) = signalled("a_flow_that_looks", "INT");
        assert!(ended.success(), "{said}");
        assert!(said.contains("told: Interrupt") && !said.contains("late"), "{said}");
    }

    #[test]
    #[ignore = "run in a process of its own, to which a signal is sent"]
    fn a_flow_that_looks() {
        watch(|_| say("late")).expect("watched");
        say("ready");
        let begin = Instant::now();
        while received().is_none() && begin.elapsed() < Duration::from_secs(30) {
            thread::sleep(Duration::from_millis(5));
        }
        say(&format!("told: {:?}", received().expect("a signal")));
    }
}
