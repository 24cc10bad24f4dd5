//! Running a tool: its output drained, its time bounded, nothing of it left behind.

mod capture;
mod descendants;

use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use builders::plan;
use rustix::process as os;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::Child;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

pub(crate) use self::capture::Captured;
use self::capture::Keep;
use super::memory::{self, Facts};
use super::race::{Either, race};
use super::signal::{self, Inbox, Signal};

/// How long a process may take to end after SIGTERM, before SIGKILL.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// How long what a tool left running may take to end by itself: a `tee` that writes the last lines
/// is no daemon.
const LINGER: Duration = Duration::from_millis(100);

/// How long to wait for the end of the output when every process that we know of has ended: a
/// stranger may have been handed the pipe.
const STRANGER: Duration = Duration::from_secs(1);

/// How often orphans are reaped while a tool runs.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How often to look whether processes have ended: at first, and at most.
const NAP: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// What is read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Runs a tool to its end, and to the end of all that it started.
///
/// What it writes goes to `sink` as it comes, in pieces that may end anywhere, except for standard
/// output with [`plan::Capture::Whole`]. One tool runs at a time: an orphan does not say whose it was.
///
/// # Errors
/// The tool cannot be started, or the kernel does not say what became of it.
pub(crate) fn run(command: &Command, sink: &mut dyn FnMut(Stream, &[u8])) -> Result<Outcome, ExecError> {
    let world = World { inbox: signal::inbox(), grace: GRACE, root: Path::new("/") };
    run_in(&world, command, sink)
}

/// Makes this process fit to run tools: it inherits their orphans, and they cannot read its memory
/// or environment. To be called once, by a command that runs tools.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn prepare() -> io::Result<()> {
    os::set_child_subreaper(Some(os::getpid()))?;
    os::set_dumpable_behavior(os::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// What to run. It gets no standard input, a process group of its own, and this environment only.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    /// The program's file.
    pub(crate) program: PathBuf,
    /// Its arguments, without its name.
    pub(crate) args: Vec<OsString>,
    /// The whole environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// The directory in which it runs.
    pub(crate) cwd: PathBuf,
    /// How long it may run.
    pub(crate) timeout: Duration,
    /// What is kept of its output.
    pub(crate) capture: plan::Capture,
}

/// One of a tool's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What became of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) ended: Ended,
    /// Its standard output.
    pub(crate) stdout: Captured,
    /// Its standard error.
    pub(crate) stderr: Captured,
    /// How long it ran.
    pub(crate) elapsed: Duration,
    /// The container's memory, if the kernel killed for want of it in the meantime.
    pub(crate) out_of_memory: Option<Facts>,
    /// Processes that even SIGKILL did not end: stuck in the kernel, frozen, or not ours to kill.
    pub(crate) survivors: Vec<i32>,
}

/// How a tool ended. The cause wins over the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal, which was not ours.
    Killed(i32),
    /// It ran longer than it may.
    TimedOut,
    /// We were told to stop.
    Terminated(Signal),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Exited(status) => write!(f, "exit {status}"),
            Ended::Killed(signal) => write!(f, "killed by signal {signal}"),
            Ended::TimedOut => f.write_str("it took too long"),
            Ended::Terminated(signal) => write!(f, "stopped by {}", signal.name()),
        }
    }
}

/// Why a tool could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    /// The directory in which it should run is absent.
    #[error("{} cannot be started: there is no directory {}", program.display(), cwd.display())]
    Directory {
        /// The program.
        program: PathBuf,
        /// The directory.
        cwd: PathBuf,
    },
    /// The program is there, what should interpret or load it is not: a script's `#!`, or the
    /// dynamic loader of another libc.
    #[error("{} cannot be started: its interpreter or dynamic loader is absent", program.display())]
    Interpreter {
        /// The program.
        program: PathBuf,
    },
    /// The kernel refused: not found, not executable, of another architecture, arguments too long.
    #[error("{} cannot be started", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was started, and then the kernel's answers failed us.
    #[error("{} was lost track of", program.display())]
    Lost {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What surrounds a run; tests have their own.
struct World<'a> {
    inbox: &'a Inbox,
    grace: Duration,
    root: &'a Path,
}

fn run_in(
    world: &World<'_>,
    command: &Command,
    sink: &mut dyn FnMut(Stream, &[u8]),
) -> Result<Outcome, ExecError> {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);

    let kills_before = memory::facts_under(world.root).map(|facts| facts.oom_kills);
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| ExecError::Start { program: command.program.clone(), source })?;
    let mut outcome = runtime.block_on(async {
        let child = start(command)?;
        attend(world, command, child, sink)
            .await
            .map_err(|source| ExecError::Lost { program: command.program.clone(), source })
    })?;
    outcome.out_of_memory = memory::facts_under(world.root)
        .filter(|facts| kills_before.is_some_and(|before| facts.oom_kills > before));
    Ok(outcome)
}

fn start(command: &Command) -> Result<Child, ExecError> {
    let started = tokio::process::Command::new(&command.program)
        .args(&command.args)
        .env_clear()
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&command.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    // The kernel says "not found" of three things.
    let program = command.program.clone();
    started.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound if !command.cwd.is_dir() => {
            ExecError::Directory { program, cwd: command.cwd.clone() }
        }
        io::ErrorKind::NotFound if program.is_file() => ExecError::Interpreter { program },
        _ => ExecError::Start { program, source },
    })
}

async fn attend(
    world: &World<'_>,
    command: &Command,
    mut child: Child,
    sink: &mut dyn FnMut(Stream, &[u8]),
) -> io::Result<Outcome> {
    let begin = Instant::now();
    let mut output = Output::of(&mut child, command.capture, sink);

    let ended = output.during(end(world, &mut child, command.timeout)).await?;
    let elapsed = begin.elapsed();
    let survivors = output.during(sweep(world, &mut child, ended)).await?;
    if let Ok(drained) = timeout(STRANGER, output.drain()).await {
        drained?;
    }
    let [stdout, stderr] = output.finish();
    Ok(Outcome {
        ended: world.inbox.first().map_or(ended, Ended::Terminated),
        stdout,
        stderr,
        elapsed,
        out_of_memory: None,
        survivors,
    })
}

/// Waits for the tool's end, or for a reason to end it.
async fn end(world: &World<'_>, child: &mut Child, allowed: Duration) -> io::Result<Ended> {
    let house = keep_house(pid(child));
    let end = race(world.inbox.told(), timeout(allowed, child.wait()));
    let Either::First(end) = race(end, house).await;
    match end {
        Either::First(signal) => Ok(Ended::Terminated(signal)),
        Either::Second(Err(_)) => Ok(Ended::TimedOut),
        Either::Second(Ok(status)) => status.map(Ended::from),
    }
}

/// Reaps orphans as long as the tool runs: a build may leave thousands, and processes are limited.
async fn keep_house(main: Option<os::Pid>) -> Infallible {
    loop {
        sleep(HOUSEKEEPING).await;
        descendants::reap(main);
    }
}

/// Ends whatever still runs, the tool itself too: TERM, later KILL, until nothing is left. Gives
/// those that survive.
async fn sweep(world: &World<'_>, child: &mut Child, ended: Ended) -> io::Result<Vec<i32>> {
    let term = match ended {
        Ended::Exited(_) | Ended::Killed(_) => LINGER,
        Ended::TimedOut | Ended::Terminated(_) => Duration::ZERO,
    };
    let kill = term + world.grace;
    let give_up = kill + world.grace;

    let begin = Instant::now();
    let mut told = HashSet::new();
    let (mut nap, longest) = NAP;
    loop {
        child.try_wait()?;
        let left = descendants::alive(pid(child))?;
        let waited = begin.elapsed();
        if left.is_empty() || waited >= give_up {
            return Ok(left.into_iter().map(|pid| pid.as_raw_nonzero().get()).collect());
        }
        for process in left {
            // One that has ended by now is as good as killed; any other failure shows as survival.
            if waited >= kill || world.inbox.times() > 1 {
                let _ = os::kill_process(process, os::Signal::KILL);
            } else if (waited >= term || world.inbox.times() > 0) && told.insert(process) {
                let _ = os::kill_process(process, os::Signal::TERM);
            }
        }
        sleep(nap).await;
        nap = longest.min(nap * 2);
    }
}

/// The tool's process, until it is reaped.
fn pid(child: &Child) -> Option<os::Pid> {
    child.id().and_then(|id| os::Pid::from_raw(id.try_into().ok()?))
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        // What has ended has either a status or a signal: WIFEXITED or WIFSIGNALED.
        match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exited(code),
            (None, signal) => Ended::Killed(signal.unwrap_or_default()),
        }
    }
}

/// Both streams, read together: a tool that fills one while we wait for the other would hang.
struct Output<'a> {
    pipes: [Pipe; 2],
    sink: &'a mut dyn FnMut(Stream, &[u8]),
    chunk: Box<[u8]>,
}

struct Pipe {
    stream: Stream,
    source: Option<Pin<Box<dyn AsyncRead>>>,
    keep: Keep,
    shown: Shown,
}

/// Whether a stream goes to the sink.
#[derive(PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

impl<'a> Output<'a> {
    fn of(child: &mut Child, capture: plan::Capture, sink: &'a mut dyn FnMut(Stream, &[u8])) -> Self {
        let (keep, shown) = match capture {
            plan::Capture::Ends => (Keep::ends(), Shown::Yes),
            plan::Capture::Whole => (Keep::whole(), Shown::No),
        };
        let stdout = Pipe {
            stream: Stream::Stdout,
            source: child.stdout.take().map(|source| Box::pin(source) as _),
            keep,
            shown,
        };
        let stderr = Pipe {
            stream: Stream::Stderr,
            source: child.stderr.take().map(|source| Box::pin(source) as _),
            keep: Keep::ends(),
            shown: Shown::Yes,
        };
        Output { pipes: [stdout, stderr], sink, chunk: vec![0; CHUNK].into() }
    }

    /// Reads while something else happens.
    async fn during<T>(&mut self, other: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let mut other = pin!(other);
        match race(other.as_mut(), self.drain()).await {
            Either::First(value) => value,
            Either::Second(drained) => {
                drained?;
                other.await
            }
        }
    }

    /// Reads both streams to their ends.
    async fn drain(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            // In turns, so that a stream without end does not keep the other waiting.
            while self.poll_both(cx)? {}
            let open = self.pipes.iter().any(|pipe| pipe.source.is_some());
            if open { Poll::Pending } else { Poll::Ready(Ok(())) }
        })
        .await
    }

    /// Reads each stream once; whether one had something.
    fn poll_both(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut progress = false;
        for pipe in &mut self.pipes {
            let Some(source) = &mut pipe.source else { continue };
            let mut chunk = ReadBuf::new(&mut self.chunk);
            let Poll::Ready(read) = source.as_mut().poll_read(cx, &mut chunk) else {
                continue;
            };
            read?;
            progress = true;
            if chunk.filled().is_empty() {
                pipe.source = None;
                continue;
            }
            pipe.keep.push(chunk.filled());
            if pipe.shown == Shown::Yes {
                (self.sink)(pipe.stream, chunk.filled());
            }
        }
        Ok(progress)
    }

    fn finish(self) -> [Captured; 2] {
        self.pipes.map(|pipe| pipe.keep.finish())
    }
}

#[cfg(test)]
mod tests;
