//! Carries out the steps of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use builders::Builder;
use builders::assets::asset;
use builders::catalog::Runtime;
use builders::diagnostic::{Blame, Diagnostic, Output};
use builders::function::Function;
use builders::plan::{Action, Arg, Capture, Credentials, Dir, Network, Piece, Place, Run, Secrets, Step};

use crate::failure::{Failure, Stage};
use crate::provision::Rooms;
use crate::publish;
use crate::report::Reporter;
use crate::surroundings::Surroundings;
use crate::sys::exec::{self, Command, Ended, ExecError, Stream};
use crate::sys::memory::Facts;
use crate::sys::volume::Space;
use crate::sys::{fs, host, signal, volume};

/// All that the steps of one build share.
pub(crate) struct Workshop<'a> {
    /// The language.
    pub(crate) builder: &'a dyn Builder,
    /// The language's facts.
    pub(crate) runtime: &'a Runtime,
    /// The function.
    pub(crate) function: &'a Function,
    /// The rooms.
    pub(crate) rooms: &'a Rooms,
    /// Each tool's program.
    pub(crate) programs: &'a BTreeMap<String, PathBuf>,
    /// What tools see of the environment.
    pub(crate) surroundings: &'a Surroundings,
    /// The dependency files that installers read or write.
    pub(crate) manifests: &'a BTreeSet<Place>,
    /// Values behind the plan's secrets.
    pub(crate) secrets: &'a Secrets,
    /// How long a stage may take.
    pub(crate) timeout: Duration,
    /// Who tells the story.
    pub(crate) reporter: &'a Reporter,
}

/// A section of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Before anything is downloaded.
    Check,
    /// Dependencies.
    Resolve,
    /// What is launched.
    Compile,
    /// Whether it can be launched.
    Verify,
}

impl Section {
    /// Its name in the story and in the receipt.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Section::Check => "check",
            Section::Resolve => "resolve",
            Section::Compile => "compile",
            Section::Verify => "verify",
        }
    }

    /// The stage to which its failures belong.
    pub(crate) fn stage(self) -> Stage {
        match self {
            Section::Check | Section::Compile | Section::Verify => Stage::Compile,
            Section::Resolve => Stage::Resolve,
        }
    }
}

/// A step that failed.
#[derive(Debug)]
pub(crate) struct StepFailure {
    /// In which stage.
    pub(crate) stage: Stage,
    /// The step's name.
    pub(crate) step: String,
    /// Whose fault it is.
    pub(crate) blame: Blame,
    /// Whether it talked to the network.
    pub(crate) network: Network,
    /// How it ended.
    pub(crate) cause: Cause,
    /// The command, in symbolic rooms, if it was one.
    pub(crate) argv: Option<String>,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// What its output means, best first.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Its output, in the author's terms.
    pub(crate) output: String,
}

/// How a failed step ended.
#[derive(Debug)]
pub(crate) enum Cause {
    /// With a status.
    Status(i32),
    /// By a signal that was not ours.
    Killed(i32),
    /// The kernel killed a process for memory.
    OutOfMemory(Facts),
    /// It took too long.
    TimedOut(Duration),
    /// A file system was full.
    Full(PathBuf, Space),
    /// It could not be started.
    NotStarted(ExecError),
    /// A deed of our own failed.
    Io(io::Error),
    /// What it made is not what it should be.
    Rejected,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Status(status) => write!(f, "exit {status}"),
            Cause::Killed(signal) => write!(f, "killed by signal {signal}"),
            Cause::OutOfMemory(memory) => write!(f, "killed for memory ({memory})"),
            Cause::TimedOut(limit) => {
                write!(f, "stopped after {} s, the time limit of a stage", limit.as_secs())
            }
            Cause::Full(path, space) => {
                write!(f, "{} is full: {space}", path.display())
            }
            Cause::NotStarted(error) => write!(f, "{error}"),
            Cause::Io(error) => write!(f, "{}", fs::plain(error)),
            Cause::Rejected => f.write_str("the result is not what it should be"),
        }
    }
}

impl StepFailure {
    /// Whether the same inputs would fail in the same way: the author's error, in a step without network.
    pub(crate) fn repeats(&self) -> bool {
        self.blame == Blame::Author
            && self.network == Network::Unused
            && self.stage == Stage::Compile
            && matches!(self.cause, Cause::Status(_) | Cause::Rejected)
    }
}

/// What tools say of a full file system, in the C library's words.
const NO_SPACE: &str = "No space left on device";
/// What to do about a full file system.
pub(crate) const MORE_ROOM: &str = "raise the emptyDir's sizeLimit (with medium: Memory it counts as the container's memory), or free the node's disk";

/// What a step's tool left behind, for the receipt.
pub(crate) type Outputs = Vec<(Step, Output)>;

impl Workshop<'_> {
    /// Carries out the steps of a section in order, until one fails. After the last one that fetches, be it the last of
    /// all, no step sees credentials any more.
    pub(crate) fn run(&self, section: Section, steps: &[Step]) -> Result<Outputs, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut outputs = Vec::new();
        let fetches =
            |step: &Step| matches!(&step.action, Action::Run(run) if run.credentials == Credentials::Given);
        let withheld_from = steps.iter().rposition(fetches).map(|last| last + 1);
        for (number, step) in steps.iter().enumerate() {
            if Some(number) == withheld_from {
                self.withhold_credentials()?;
            }
            if let Some(signal) = signal::received() {
                return Err(Failure::Terminated { signal, stage: section.stage() });
            }
            if let Some(output) = self.act(section, step, deadline)? {
                outputs.push((step.clone(), output));
            }
        }
        if withheld_from == Some(steps.len()) {
            self.withhold_credentials()?;
        }
        Ok(outputs)
    }

    /// Takes the credentials out of the dependency files, whose readers are done: neither the code of packages
    /// nor the function's container has any business with them.
    pub(crate) fn withhold_credentials(&self) -> Result<(), Failure> {
        for path in publish::withhold_credentials(self.rooms, self.runtime, self.function, self.manifests)? {
            let mounted: Vec<_> = self.runtime.environment.mounted.keys().map(String::as_str).collect();
            self.reporter.warn(&format!(
                "{path} holds credentials, which are left out of what is published; better mount them as a secret: {}",
                mounted.join(", ")
            ));
        }
        Ok(())
    }

    /// Carries out one step; a tool leaves its output.
    fn act(&self, section: Section, step: &Step, deadline: Instant) -> Result<Option<Output>, Failure> {
        let path = |place: &Place| self.rooms.place(place);
        let done = match &step.action {
            Action::Run(run) => return self.run_tool(section, step, run, deadline).map(Some),
            Action::Write { path: to, text } => fs::write(&path(to), self.resolve(text)?.as_bytes()),
            Action::Asset { id, to } => match asset(id) {
                Some(text) => fs::write(&path(to), text.as_bytes()),
                None => return Err(Failure::Bug(format!("there is no embedded file {id}"))),
            },
            Action::Copy { from, to } if to.dir == Dir::Kept && to.path.is_some() => {
                // Of what was removed since an earlier build, nothing may stay, and what is there now is new to a tool that
                // compares times, whatever clock the machine had where the rest was made.
                let copied = fs::remove(&path(to)).and_then(|()| fs::copy(&path(from), &path(to)));
                copied.and_then(|()| fs::postdate(&path(to)))
            }
            Action::Copy { from, to } => fs::copy(&path(from), &path(to)),
            Action::Link { from, to } => fs::link(&self.link_target(from, to), &path(to)),
            Action::Inspect { file } => match fs::read(&path(file)) {
                Ok(bytes) => return self.inspected(section, step, bytes.as_deref()).map(|()| None),
                Err(error) => Err(error),
            },
        };
        done.map(|()| None).map_err(|error| self.failed(section, step, Cause::Io(error)).into())
    }

    /// Asks the builder what is wrong with a file.
    fn inspected(&self, section: Section, step: &Step, bytes: Option<&[u8]>) -> Result<(), Failure> {
        let diagnostics = self.builder.inspect(step, bytes, self.function);
        if diagnostics.is_empty() {
            return Ok(());
        }
        let blame = blame(&diagnostics, step.blame);
        Err(StepFailure { blame, diagnostics, ..self.failed(section, step, Cause::Rejected) }.into())
    }

    fn link_target(&self, from: &Place, to: &Place) -> PathBuf {
        let published = from.dir.is_published() && to.dir.is_published();
        if published { from.seen_from(to).into() } else { self.rooms.place(from) }
    }

    fn run_tool(
        &self,
        section: Section,
        step: &Step,
        run: &Run,
        deadline: Instant,
    ) -> Result<Output, Failure> {
        let command = self.command(run, deadline)?;
        let mut running = self.reporter.step(section.name(), &step.why);
        let outcome = match exec::run(&command, &mut |stream, chunk| running.output(stream, chunk)) {
            Ok(outcome) => outcome,
            Err(error) => {
                running.failed(Duration::ZERO);
                return Err(self.failed(section, step, Cause::NotStarted(error)).into());
            }
        };
        let output = Output {
            status: if let Ended::Exited(status) = outcome.ended { Some(status) } else { None },
            stdout: self.rooms.in_authors_terms(&outcome.stdout.text()),
            stderr: self.rooms.in_authors_terms(&outcome.stderr.text()),
        };
        let said = self.builder.said(step, &output);
        if let Some(said) = &said {
            running.output(Stream::Stdout, said.as_bytes());
        }
        if let Ended::Exited(0) = outcome.ended {
            running.done(outcome.elapsed);
        } else {
            running.failed(outcome.elapsed);
        }
        if !outcome.survivors.is_empty() {
            let (tool, pids) = (&run.tool, &outcome.survivors);
            self.reporter.warn(&format!("these processes of {tool} could not be ended: {pids:?}"));
        }
        let cause = match (outcome.ended, outcome.out_of_memory) {
            (Ended::Exited(0), _) => {
                self.intact(section, step)?;
                if run.capture == Capture::Whole {
                    self.inspected(section, step, Some(output.stdout.as_bytes()))?;
                }
                return Ok(output);
            }
            (Ended::Terminated(signal), _) => {
                return Err(Failure::Terminated { signal, stage: section.stage() });
            }
            (Ended::TimedOut, _) => Cause::TimedOut(self.timeout),
            (Ended::Exited(_) | Ended::Killed(_), Some(memory)) => Cause::OutOfMemory(memory),
            (Ended::Killed(signal), None) => Cause::Killed(signal),
            (Ended::Exited(status), None) => match self.full() {
                Some((path, space)) => Cause::Full(path, space),
                None => Cause::Status(status),
            },
        };
        let mut failure = self.failed(section, step, cause);
        failure.elapsed = outcome.elapsed;
        if let Cause::Status(_) = failure.cause {
            failure.diagnostics = self.builder.diagnose(step, &output, self.function);
            failure.blame = blame(&failure.diagnostics, step.blame);
            self.name_proxy(&mut failure.diagnostics);
            if output.stderr.contains(NO_SPACE) {
                failure.blame = Blame::Platform;
                self.tell_space(&mut failure.diagnostics);
            }
        }
        let told = match (run.capture, said) {
            (Capture::Whole, said) => said,
            (Capture::Ends, _) => Some(output.stdout),
        };
        // Without words it is a helper of ours: its command and its data say nothing to a person.
        if told.is_some() {
            failure.argv = Some(argv(&command.program, &run.args));
        }
        failure.output = [told.unwrap_or_default(), output.stderr].join("\n");
        Err(failure.into())
    }

    /// Refuses to go on where code that ran has put a link in a room's place: it would lead us out of the volume.
    fn intact(&self, section: Section, step: &Step) -> Result<(), Failure> {
        let Some(dir) = self.rooms.replaced() else { return Ok(()) };
        let said = io::Error::new(io::ErrorKind::NotADirectory, format!("it replaced the directory {dir}"));
        Err(StepFailure { blame: step.blame, ..self.failed(section, step, Cause::Io(said)) }.into())
    }

    fn command(&self, run: &Run, deadline: Instant) -> Result<Command, Failure> {
        let mut env = match run.credentials {
            Credentials::Given => self.surroundings.env.clone(),
            Credentials::Withheld => self.surroundings.without_credentials(),
        };
        for (name, value) in &run.env {
            env.insert(name.clone(), self.resolve(value)?);
        }
        Ok(Command {
            program: self.program(&run.tool)?.clone(),
            args: run.args.iter().map(|arg| self.resolve(arg).map(Into::into)).collect::<Result<_, _>>()?,
            env: env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            cwd: self.rooms.place(&run.cwd),
            timeout: deadline.saturating_duration_since(Instant::now()),
            capture: run.capture,
        })
    }

    fn failed(&self, section: Section, step: &Step, cause: Cause) -> StepFailure {
        let cause = match (cause, self.full()) {
            (Cause::Io(_), Some((path, space))) => Cause::Full(path, space),
            (Cause::Io(error), None) => {
                Cause::Io(io::Error::new(error.kind(), self.rooms.in_authors_terms(&fs::plain(&error))))
            }
            (cause, _) => cause,
        };
        let blame = match cause {
            Cause::Status(_) | Cause::Rejected => step.blame,
            Cause::Killed(_)
            | Cause::OutOfMemory(_)
            | Cause::TimedOut(_)
            | Cause::Full(..)
            | Cause::NotStarted(_)
            | Cause::Io(_) => Blame::Platform,
        };
        StepFailure {
            stage: section.stage(),
            step: step.name.clone(),
            blame,
            network: step.network,
            cause,
            argv: None,
            elapsed: Duration::ZERO,
            diagnostics: Vec::new(),
            output: String::new(),
        }
    }

    /// The file system that has nothing left, if one has.
    fn full(&self) -> Option<(PathBuf, Space)> {
        self.spaces().find(|(_, space)| space.free < 4096)
    }

    /// What the file systems have left on which a build writes.
    fn spaces(&self) -> impl Iterator<Item = (PathBuf, Space)> {
        [&self.rooms.volume, &self.rooms.scratch]
            .into_iter()
            .filter_map(|path| Some((path.clone(), volume::space(path).ok()?)))
    }

    /// Adds what is left now: a tool that has removed what it could not finish no longer shows which
    /// file system was full.
    fn tell_space(&self, diagnostics: &mut Vec<Diagnostic>) {
        if diagnostics.is_empty() {
            diagnostics.push(Diagnostic::new("no space is left").hint(MORE_ROOM));
        }
        diagnostics.extend(
            self.spaces().map(|(path, space)| Diagnostic::new(format!("{} has {space}", path.display()))),
        );
    }

    /// Adds to advice about the proxy which one it is: no tool says that.
    fn name_proxy(&self, diagnostics: &mut [Diagnostic]) {
        let host = |name| Some((name, host_of(self.surroundings.env.get(name)?)?));
        let Some((name, host)) = ["HTTPS_PROXY", "HTTP_PROXY"].into_iter().find_map(host) else { return };
        for hint in diagnostics.iter_mut().filter_map(|one| one.hint.as_mut()) {
            *hint = hint.replace("HTTPS_PROXY", &format!("{name} ({host})"));
        }
    }

    fn program(&self, tool: &str) -> Result<&PathBuf, Failure> {
        let missing = || Failure::Bug(format!("the plan names {tool}, which was not found"));
        self.programs.get(tool).ok_or_else(missing)
    }

    fn resolve(&self, arg: &Arg) -> Result<String, Failure> {
        arg.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Ok(text.clone()),
                Piece::Place(place) => Ok(self.rooms.place(place).display().to_string()),
                Piece::Tool(name) => self.program(name).map(|program| program.display().to_string()),
                Piece::Jobs {} => Ok(host::jobs().to_string()),
                Piece::Secret(key) => self
                    .secrets
                    .0
                    .get(key)
                    .cloned()
                    .ok_or_else(|| Failure::Bug(format!("the plan has no value for {key}"))),
            })
            .collect()
    }
}

/// The host of a proxy's URL, with its port; nothing if it could be part of a password.
fn host_of(url: &str) -> Option<&str> {
    let after = url.split_once("//").map_or(url, |(_, after)| after);
    let authority = after.rsplit_once('@').map_or(after, |(_, host)| host).trim_end_matches('/');
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "0"));
    let plain = host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
    (plain && !host.is_empty() && port.parse::<u16>().is_ok()).then_some(authority)
}

/// Whose fault a failure is: evidence that something of ours or of the platform's is broken wins
/// over what that then does to the author's code.
fn blame(diagnostics: &[Diagnostic], assumed: Blame) -> Blame {
    diagnostics.iter().filter_map(|one| one.blame).max().unwrap_or(assumed)
}

/// A command as its author would write it, with symbolic rooms.
fn argv(program: &Path, args: &[Arg]) -> String {
    let name = program.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    args.iter().fold(name, |line, arg| format!("{line} {arg}"))
}
