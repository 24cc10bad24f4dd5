//! The plan: what shall be done, as data. No absolute paths, no shell text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diagnostic::Blame;
use crate::function::{RelPath, as_text};

/// A room: a directory that a plan names and the injector provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dir {
    /// The function as its author wrote it.
    Source,
    /// What is resolved.
    Deps,
    /// What is compiled.
    Out,
    /// The function server of interpreted languages.
    Server,
    /// Outside the volume and gone afterwards: tools' HOME, TMPDIR, our helpers.
    Scratch,
    /// Outside the volume: what makes the next build of an edited function cheap, such as the caches of tools and
    /// compiled dependencies. Gone afterwards, unless somebody asked to keep it.
    Kept,
    /// The published tree, which holds the other published rooms: for what must stand beside them.
    Tree,
    /// The root of the file system: for tools that obey files of all directories above the one in which they run, of
    /// which `/tmp` is anybody's.
    Root,
}

impl Dir {
    /// All of them.
    pub const ALL: [Dir; 8] =
        [Dir::Source, Dir::Deps, Dir::Out, Dir::Server, Dir::Scratch, Dir::Kept, Dir::Tree, Dir::Root];

    /// The rooms that are published, in the order in which the volume shows them.
    pub const PUBLISHED: [Dir; 4] = [Dir::Source, Dir::Deps, Dir::Out, Dir::Server];

    /// Whether the room is a part of the published tree, or is that tree.
    #[must_use]
    pub fn is_published(self) -> bool {
        !matches!(self, Dir::Scratch | Dir::Kept | Dir::Root)
    }

    /// The room's name, which is also its directory's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Dir::Source => "source",
            Dir::Deps => "deps",
            Dir::Out => "out",
            Dir::Server => "server",
            Dir::Scratch => "scratch",
            Dir::Kept => "kept",
            Dir::Tree => "tree",
            Dir::Root => "root",
        }
    }
}

impl fmt::Display for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.name())
    }
}

/// A place in a room, written `<deps>/numpy`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    /// The room.
    pub dir: Dir,
    /// The path in it; `None` is the room itself.
    pub path: Option<RelPath>,
}

/// Why a text is not a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a place in a room, such as <deps>/numpy")]
pub struct BadPlace(String);

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let (room, path) = text.split_once('/').map_or((text, None), |(room, path)| (room, Some(path)));
        let dir = Dir::ALL.into_iter().find(|dir| dir.to_string() == room);
        match (dir, path.map(str::parse).transpose()) {
            (Some(dir), Ok(path)) => Ok(Place { dir, path }),
            _ => Err(BadPlace(text.to_owned())),
        }
    }
}

as_text!(Place, BadPlace);

impl Place {
    /// A path in a room.
    #[must_use]
    pub fn new(dir: Dir, path: RelPath) -> Self {
        Place { dir, path: Some(path) }
    }

    /// What a symbolic link at `link` says to point here. Both must be published: the tree is renamed,
    /// so that only a relative link goes on leading somewhere.
    #[must_use]
    pub fn seen_from(&self, link: &Place) -> String {
        let depth = |place: &Place| place.in_tree().count();
        let ups = std::iter::repeat_n("..", depth(link).saturating_sub(1));
        let steps: Vec<&str> = ups.chain(self.in_tree()).collect();
        if steps.is_empty() { ".".to_owned() } else { steps.join("/") }
    }

    /// The steps from the published tree to a published place.
    fn in_tree(&self) -> impl Iterator<Item = &str> {
        let room = (self.dir != Dir::Tree).then(|| self.dir.name());
        room.into_iter().chain(self.path.iter().flat_map(|path| path.as_str().split('/')))
    }
}

impl From<Dir> for Place {
    fn from(dir: Dir) -> Self {
        Place { dir, path: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}/{path}", self.dir),
            None => write!(f, "{}", self.dir),
        }
    }
}

/// A part of an argument or of a variable's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Piece {
    /// Plain text.
    Text(String),
    /// The absolute path of a place.
    Place(Place),
    /// The absolute path of a tool's program, by the tool's name: for a tool that starts another one.
    Tool(String),
    /// How many processes or threads a tool may use: as the container's quota and memory allow, which is the
    /// injector's to know.
    Jobs {},
    /// A value of the package clients' configuration, by its key in [`Plan::secrets`]: it may hold
    /// a credential, so that plans, receipts and logs show the key only.
    Secret(String),
}

/// An argument or a variable's value: pieces, joined without a separator. In JSON a plain text is a
/// string, so that a receipt can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Arg(pub Vec<Piece>);

/// How an [`Arg`] is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    One(Piece),
    Several(Vec<Piece>),
}

impl From<Written> for Arg {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => text.into(),
            Written::One(piece) => Arg(vec![piece]),
            Written::Several(pieces) => Arg(pieces),
        }
    }
}

impl From<Arg> for Written {
    fn from(Arg(mut pieces): Arg) -> Self {
        match (pieces.pop(), pieces.is_empty()) {
            (Some(Piece::Text(text)), true) => Written::Text(text),
            (Some(piece), true) => Written::One(piece),
            (last, _) => {
                pieces.extend(last);
                Written::Several(pieces)
            }
        }
    }
}

impl Arg {
    /// A value from [`Plan::secrets`].
    #[must_use]
    pub fn secret(key: impl Into<String>) -> Self {
        Arg(vec![Piece::Secret(key.into())])
    }

    /// The absolute path of a tool's program.
    #[must_use]
    pub fn tool(name: impl Into<String>) -> Self {
        Arg(vec![Piece::Tool(name.into())])
    }

    /// How many processes or threads a tool may use.
    #[must_use]
    pub fn jobs() -> Self {
        Arg(vec![Piece::Jobs {}])
    }

    /// The argument with more at its end.
    #[must_use]
    pub fn then(mut self, more: impl Into<Arg>) -> Self {
        self.0.extend(more.into().0);
        self
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Arg(vec![Piece::Text(text.to_owned())])
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Arg(vec![Piece::Text(text)])
    }
}

impl From<Dir> for Arg {
    fn from(dir: Dir) -> Self {
        Arg(vec![Piece::Place(dir.into())])
    }
}

impl From<Place> for Arg {
    fn from(place: Place) -> Self {
        Arg(vec![Piece::Place(place)])
    }
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Place(place) => write!(f, "{place}")?,
                Piece::Tool(name) => f.write_str(name)?,
                Piece::Jobs {} => f.write_str("<jobs>")?,
                Piece::Secret(key) => write!(f, "<{key}>")?,
            }
        }
        Ok(())
    }
}

/// What is kept of a tool's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// Head and tail of each stream; the rest is only streamed.
    Ends,
    /// All of standard output, up to 8 MiB: it is data, and is not streamed to the log.
    Whole,
}

/// Whether a step talks to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// It fetches.
    Needed,
    /// It works offline, so that the same inputs give the same result.
    Unused,
}

/// Whether a tool sees the package clients' credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Credentials {
    /// It does: it fetches.
    Given,
    /// It does not, neither variables that hold them nor the package clients' configuration files:
    /// it has no need of them, and may run code of dependencies.
    Withheld,
}

/// A tool that is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The tool's name in the toolchain.
    pub tool: String,
    /// Its arguments.
    pub args: Vec<Arg>,
    /// Variables beside those that every tool gets.
    pub env: BTreeMap<String, Arg>,
    /// The directory in which it runs.
    pub cwd: Place,
    /// What is kept of its output.
    pub capture: Capture,
    /// Whether it sees the package clients' credentials.
    pub credentials: Credentials,
}

/// One deed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Runs a tool.
    Run(Run),
    /// Writes a text.
    Write {
        /// Where to.
        path: Place,
        /// The text, which may name places: some tools take paths in files only.
        text: Arg,
    },
    /// Puts an embedded file in place.
    Asset {
        /// Its path in `runtimes-config/`.
        id: String,
        /// Where to.
        to: Place,
    },
    /// Copies a file or a tree.
    Copy {
        /// From.
        from: Place,
        /// To.
        to: Place,
    },
    /// Makes a symbolic link, relative where both places are in the published tree.
    Link {
        /// What the link points to.
        from: Place,
        /// The link.
        to: Place,
    },
    /// Hands a file that was made to the builder, which says what is wrong with it.
    Inspect {
        /// The file.
        file: Place,
    },
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// A short name, unique in its section of the plan, for example `install`.
    pub name: String,
    /// Why it is there, for `injector plan`.
    pub why: String,
    /// The deed.
    pub action: Action,
    /// Whose fault a failure is, if its output does not say better.
    pub blame: Blame,
    /// Whether it talks to the network.
    pub network: Network,
}

/// How the function is started in the main container: symbolic, so that it holds wherever the
/// volume is mounted and wherever the program lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// What to run.
    pub program: Program,
    /// Its arguments.
    pub args: Vec<Arg>,
    /// Variables to set, over those of the container.
    pub env: BTreeMap<String, Arg>,
}

/// The program of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// The first of these names on PATH, which must then be what the build used.
    Tool {
        /// The tool's name in the toolchain.
        tool: String,
        /// The names to look for, best first.
        names: Vec<String>,
        /// What must be equal between build and launch, by fact; `version` may be a prefix.
        requires: BTreeMap<String, String>,
    },
    /// A file of the published tree.
    Built(Place),
}

/// On which of a function's files resolving depends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResolvesFrom {
    /// On any of them.
    All,
    /// On these alone, so that what was resolved serves the function after an edit of another one.
    Files(BTreeSet<RelPath>),
}

/// Whether code of dependencies may run in a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ForeignCode {
    /// It may, and may leave anything in `<kept>`, which must not meet the credentials of another resolving.
    Possible,
    /// It never does.
    Impossible,
}

/// Where what a build leaves in `<kept>` is of use to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Serves {
    /// At any path.
    Anywhere,
    /// Only at the path at which it was made, and with the times that its files had: elsewhere it is made again.
    InPlace,
}

/// What shall be done with a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What was decided and why, one sentence each, for `injector plan`.
    pub because: Vec<String>,
    /// Needs no dependencies, costs little, runs first: syntax, the handler, the manifest.
    pub check: Vec<Step>,
    /// Brings in the dependencies, into `<deps>` and `<kept>`.
    pub resolve: Vec<Step>,
    /// On which files that depends.
    pub resolves_from: ResolvesFrom,
    /// Whether code of dependencies may run.
    pub foreign_code: ForeignCode,
    /// Where what `resolve` and `compile` leave in `<kept>` serves.
    pub kept: Serves,
    /// Makes what is launched: offline, from the function, `<deps>` and `<kept>`.
    pub compile: Vec<Step>,
    /// Asks whether what was made can be launched.
    pub verify: Vec<Step>,
    /// The rooms whose files are executed or mapped: there a volume must not be mounted `noexec`.
    pub executes: BTreeSet<Dir>,
    /// How it is started.
    pub launch: Launch,
    /// The dependency files that the installer reads or writes, wherever they are published:
    /// credentials in them are not.
    pub manifests: BTreeSet<Place>,
    /// Variables to which they refer, so that the tools must see them.
    pub refers: BTreeSet<String>,
    /// Values behind [`Piece::Secret`]. Never serialised, never shown.
    #[serde(skip)]
    pub secrets: Secrets,
}

/// Values that no output may show.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secrets(pub BTreeMap<String, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Display for Plan {
    /// What would run, step by step, and why: what `injector plan` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "because")?;
        for sentence in &self.because {
            writeln!(f, "  {sentence}")?;
        }
        let stages = [
            ("check", &self.check),
            ("resolve", &self.resolve),
            ("compile", &self.compile),
            ("verify", &self.verify),
        ];
        for (stage, steps) in stages.iter().filter(|(_, steps)| !steps.is_empty()) {
            writeln!(f, "{stage}")?;
            for step in *steps {
                writeln!(f, "  {}: {}", step.name, step.action)?;
                let sees = match (step.network, &step.action) {
                    (Network::Unused, _) => "",
                    (_, Action::Run(run)) if run.credentials == Credentials::Withheld => {
                        " (network, no credentials)"
                    }
                    (Network::Needed, _) => " (network)",
                };
                writeln!(f, "    {}{sees}", step.why)?;
            }
        }
        writeln!(f, "launch\n  {}", self.launch)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Run(Run { tool, args, env, cwd, .. }) => {
                write!(f, "in {cwd}: ")?;
                command(f, env, tool, args)
            }
            Action::Write { path, text } => write!(f, "write {path}, {} bytes", text.to_string().len()),
            Action::Asset { id, to } => write!(f, "put {id} at {to}"),
            Action::Copy { from, to } => write!(f, "copy {from} to {to}"),
            Action::Link { from, to } => write!(f, "link {to} to {from}"),
            Action::Inspect { file } => write!(f, "inspect {file}"),
        }
    }
}

impl fmt::Display for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Program::Tool { names, requires, .. } => {
                command(f, &self.env, &names.join("|"), &self.args)?;
                let requires: Vec<_> =
                    requires.iter().map(|(fact, built)| format!("{fact} {built}")).collect();
                write!(f, "\n    with {}", requires.join(", "))
            }
            Program::Built(place) => command(f, &self.env, &place.to_string(), &self.args),
        }
    }
}

/// A command as one would type it: variables, program, arguments; quoted only where a reader would be misled.
fn command(
    f: &mut fmt::Formatter<'_>,
    env: &BTreeMap<String, Arg>,
    program: &str,
    args: &[Arg],
) -> fmt::Result {
    for (name, value) in env {
        write!(f, "{name}={value} ")?;
    }
    f.write_str(program)?;
    for arg in args {
        let shown = arg.to_string();
        if shown.is_empty() || shown.contains(char::is_whitespace) {
            write!(f, " {shown:?}")?;
        } else {
            write!(f, " {shown}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_room_to_room() {
        let place = |dir, path: &str| Place::new(dir, path.parse().expect("a path"));
        let modules = place(Dir::Deps, "node_modules");
        assert_eq!(modules.seen_from(&place(Dir::Source, "node_modules")), "../deps/node_modules");
        assert_eq!(modules.seen_from(&place(Dir::Tree, "node_modules")), "deps/node_modules");
        assert_eq!(Place::from(Dir::Deps).seen_from(&place(Dir::Out, "a/b/c")), "../../../deps");
        assert_eq!(place(Dir::Tree, "x").seen_from(&place(Dir::Out, "y")), "../x");
    }

    #[test]
    fn an_argument_survives_json_and_reads_well() {
        let place = Place::new(Dir::Deps, "a/b".parse().expect("a path"));
        for (arg, written) in [
            (Arg::from("<deps>"), r#""<deps>""#),
            (Arg::from(place.clone()), r#"{"place":"<deps>/a/b"}"#),
            (Arg::from("--x=").then(place), r#"[{"text":"--x="},{"place":"<deps>/a/b"}]"#),
            (Arg::secret("pip.index-url"), r#"{"secret":"pip.index-url"}"#),
            (Arg::tool("python"), r#"{"tool":"python"}"#),
            (Arg::jobs(), r#"{"jobs":{}}"#),
            (Arg(Vec::new()), "[]"),
        ] {
            assert_eq!(serde_json::to_string(&arg).expect("JSON"), written);
            assert_eq!(serde_json::from_str::<Arg>(written).expect("an argument"), arg);
        }
        for bad in [r#"{"place":"<nowhere>/x"}"#, r#"{"place":"<deps>/../x"}"#, r#"{"place":"/etc"}"#] {
            assert!(serde_json::from_str::<Arg>(bad).is_err(), "{bad} was accepted");
        }
    }
}
