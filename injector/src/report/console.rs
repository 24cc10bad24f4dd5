//! The story of a run on stderr: for a reader at a terminal, or as plain lines for a pod's log.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::plain::plain;
use super::redact::{RedactStream, Redactor};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
const IMPORTANT: Style = Style::new().bold();
/// How often a live line moves.
const TICK: Duration = Duration::from_millis(100);
/// The longest line of a tool that is waited for, in bytes; a longer one is printed in several.
const LONGEST_LINE: usize = 1 << 20;

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// A log: one line when something begins, one when it ends, no colour.
    Plain,
    /// A person: a live line for each running step, and colour unless `NO_COLOR` forbids it.
    Terminal,
}

impl Look {
    /// The look that fits whoever reads standard error.
    pub(crate) fn of_stderr() -> Self {
        if io::stderr().is_terminal() { Look::Terminal } else { Look::Plain }
    }
}

/// Where the story is told; copies tell the same one.
#[derive(Clone)]
pub(crate) struct Console {
    look: Look,
    out: Arc<Mutex<Box<dyn Write + Send>>>,
    live: MultiProgress,
}

impl Console {
    /// The story on stderr.
    pub(crate) fn stderr(look: Look) -> Self {
        match look {
            Look::Plain => Console::new(look, io::stderr(), ProgressDrawTarget::hidden()),
            Look::Terminal => {
                let out = anstream::AutoStream::auto(io::stderr());
                Console::new(look, out, ProgressDrawTarget::stderr())
            }
        }
    }

    /// The story on any writer, the live lines on `live`.
    fn new(look: Look, out: impl Write + Send + 'static, live: ProgressDrawTarget) -> Self {
        Console {
            look,
            out: Arc::new(Mutex::new(Box::new(out))),
            live: MultiProgress::with_draw_target(live),
        }
    }

    /// Says that a step of a stage begins: `resolve`, `install 5 requirements`.
    pub(crate) fn start(&self, stage: &str, step: &str) -> Running {
        let (stage, step) = (plain(stage), plain(step));
        let line = match self.look {
            Look::Plain => {
                self.print(&format!("{stage}: {step}…\n"));
                ProgressBar::hidden()
            }
            Look::Terminal => {
                let line = self.live.add(ProgressBar::new_spinner().with_style(live_style()));
                line.set_message(format!("{stage}  {step}"));
                line.enable_steady_tick(TICK);
                line
            }
        };
        Running { console: self.clone(), line, stage, step }
    }

    /// Says something that is no step.
    pub(crate) fn note(&self, stage: &str, text: &str) {
        self.print(&format!("{}: {}\n", plain(stage), plain(text)));
    }

    /// Says something that does not stop the run.
    pub(crate) fn warning(&self, text: &str) {
        let label = self.styled(DOUBTFUL, "warning:");
        self.print(&format!("{label} {}\n", plain(text)));
    }

    /// A place for what one stream of a tool says. Each stream has its own, so that lines of two never mix.
    pub(crate) fn output(&self, redactor: &Redactor) -> Output {
        Output { console: self.clone(), raw: redactor.stream(), redactor: redactor.clone(), line: Vec::new() }
    }

    /// Says how the run ended: the termination message.
    pub(crate) fn finish(&self, message: &str) {
        let message = plain(message);
        let (headline, rest) = message.trim_end().split_once('\n').unwrap_or((message.trim_end(), ""));
        let (first, sentence) = headline.split_once(' ').unwrap_or((headline, ""));
        let style = if is_code(first) { BAD } else { GOOD };
        let headline = format!("{} {}", self.styled(style, first), self.styled(IMPORTANT, sentence));
        let end = if rest.is_empty() { "" } else { "\n" };
        self.print(&format!("{}\n{rest}{end}", headline.trim_end()));
    }

    fn styled(&self, style: Style, text: &str) -> String {
        match self.look {
            Look::Terminal if !text.is_empty() => format!("{style}{text}{style:#}"),
            Look::Terminal | Look::Plain => text.to_owned(),
        }
    }

    /// Prints above the live lines.
    fn print(&self, text: &str) {
        self.live.suspend(|| {
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            // The build is worth more than its story: whoever closed stderr does not want it.
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
        });
    }
}

/// A step that is running. Dropped without a word, it leaves no trace but its beginning.
pub(crate) struct Running {
    console: Console,
    line: ProgressBar,
    stage: String,
    step: String,
}

impl Running {
    /// Says that the step succeeded, and how long that took.
    pub(crate) fn done(self, took: Duration) {
        self.end("✓", GOOD, "done in", took);
    }

    /// Says that the step failed, and how long that took.
    pub(crate) fn failed(self, took: Duration) {
        self.end("✗", BAD, "failed after", took);
    }

    fn end(self, mark: &str, style: Style, words: &str, took: Duration) {
        self.line.finish_and_clear();
        let (stage, step, took) = (&self.stage, &self.step, seconds(took));
        self.console.print(&match self.console.look {
            Look::Plain => format!("{stage}: {step}, {words} {took}\n"),
            Look::Terminal => format!("{} {stage}  {step}  {took}\n", self.console.styled(style, mark)),
        });
    }
}

/// What one stream of a tool says, printed line by line without credentials; a rest without a newline when it
/// is dropped.
pub(crate) struct Output {
    console: Console,
    raw: RedactStream,
    redactor: Redactor,
    /// The line that has not ended.
    line: Vec<u8>,
}

impl Output {
    /// Prints the lines that end in `bytes`.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let bytes = self.raw.push(bytes);
        if let Some(end) = bytes.iter().rposition(|&byte| byte == b'\n') {
            self.line.extend_from_slice(&bytes[..=end]);
            self.print();
            self.line.extend_from_slice(&bytes[end + 1..]);
        } else {
            self.line.extend_from_slice(&bytes);
        }
        if self.line.len() > LONGEST_LINE {
            // The last character may not be whole yet.
            let last = self.line.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(0);
            let rest = self.line.split_off(last);
            self.print();
            self.line = rest;
        }
    }

    fn print(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let text = plain(&String::from_utf8_lossy(&self.line));
        self.line.clear();
        // Once more: an escape sequence within a credential hid it until now.
        let text = self.redactor.text(&text);
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.console.print(&(text + end));
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let rest = self.raw.finish();
        self.line.extend(rest);
        self.print();
    }
}

/// A time as people read it: `1.9 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Whether a word is an error's code: `E61`.
fn is_code(word: &str) -> bool {
    let digits = word.strip_prefix('E').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A live line: what is running, and for how long. Without colour, since indicatif decides on that by itself.
fn live_style() -> ProgressStyle {
    let style = ProgressStyle::default_spinner().tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ");
    let took = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // A line that cannot be drawn now is drawn at the next tick.
        write!(out, "{}", seconds(state.elapsed())).ok();
    };
    style.clone().template("{spinner} {msg}  {took}").map_or(style, |style| style.with_key("took", took))
}

#[cfg(test)]
mod tests {
    use indicatif::TermLike;

    use super::*;

    /// A screen that remembers every byte.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Screen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("UTF-8")
        }

        fn add(&self, text: &str) -> io::Result<()> {
            self.0.lock().expect("not poisoned").write_all(text.as_bytes())
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, by: usize) -> io::Result<()> {
            self.add(&"<up>".repeat(by))
        }
        fn move_cursor_down(&self, by: usize) -> io::Result<()> {
            self.add(&"<down>".repeat(by))
        }
        fn move_cursor_right(&self, by: usize) -> io::Result<()> {
            self.add(&"<right>".repeat(by))
        }
        fn move_cursor_left(&self, by: usize) -> io::Result<()> {
            self.add(&"<left>".repeat(by))
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.add(text)?;
            self.add("\n")
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.add(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.add("<clear>")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn pod() -> (Console, Screen) {
        let screen = Screen::default();
        (Console::new(Look::Plain, screen.clone(), ProgressDrawTarget::hidden()), screen)
    }

    fn terminal() -> (Console, Screen) {
        let screen = Screen::default();
        let live = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        (Console::new(Look::Terminal, screen.clone(), live), screen)
    }

    fn no_secrets() -> Redactor {
        Redactor::new([])
    }

    #[test]
    fn a_pod_gets_plain_lines() {
        let (console, screen) = pod();
        let step = console.start("resolve", "install");
        console.output(&no_secrets()).push(b"\x1b[32mgot\x1b[0m it\r\n");
        step.done(Duration::from_millis(1_900));
        console.warning("the cache is\tbroken");
        console.start("compile", "build").failed(Duration::from_millis(40));
        console.finish("E61 compile failed: x\n\nhandler.go:7:2  x\n");
        assert_eq!(
            screen.text(),
            "resolve: install…\ngot it\nresolve: install, done in 1.9 s\nwarning: the cache is    broken\n\
             compile: build…\ncompile: build, failed after 0.0 s\n\
             E61 compile failed: x\n\nhandler.go:7:2  x\n"
        );
    }

    #[test]
    fn a_terminal_gets_colour_and_marks() {
        let (console, screen) = terminal();
        console.warning("odd");
        console.finish("E61 compile failed\n\ndetail");
        console.finish("ready: python3.12\n");
        assert_eq!(
            screen.text(),
            "\u{1b}[1m\u{1b}[33mwarning:\u{1b}[0m odd\n\
             \u{1b}[1m\u{1b}[31mE61\u{1b}[0m \u{1b}[1mcompile failed\u{1b}[0m\n\ndetail\n\
             \u{1b}[32mready:\u{1b}[0m \u{1b}[1mpython3.12\u{1b}[0m\n"
        );
    }

    #[test]
    fn a_running_step_has_a_live_line_below_the_output() {
        let (console, screen) = terminal();
        let step = console.start("resolve", "install 5 requirements");
        while !screen.text().contains("resolve  install 5 requirements  0.") {
            std::thread::sleep(TICK / 10);
        }
        console.output(&no_secrets()).push(b"a line\n");
        let text = screen.text();
        let (_, after) = text.split_once("<clear>a line\n").expect("the live line is cleared first");
        assert!(after.contains("resolve  install 5 requirements  "), "and drawn again: {text}");
        step.done(Duration::from_millis(1_900));
        let end = "<clear>\u{1b}[32m✓\u{1b}[0m resolve  install 5 requirements  1.9 s\n";
        assert!(screen.text().ends_with(end), "{}", screen.text());
    }

    #[test]
    fn lines_of_two_streams_do_not_mix() {
        let (console, screen) = pod();
        let (mut out, mut err) = (console.output(&no_secrets()), console.output(&no_secrets()));
        out.push(b"one ");
        err.push("größ".as_bytes().split_at(4).0);
        out.push(b"line\nand ");
        err.push("größer\n\nlast".as_bytes().split_at(4).1);
        out.push(b"another\n");
        drop(out);
        drop(err);
        assert_eq!(screen.text(), "one line\ngrößer\n\nand another\nlast\n");
    }

    #[test]
    fn credentials_do_not_reach_the_log() {
        let (console, screen) = pod();
        let mut out = console.output(&Redactor::new(["hunter2".to_owned()]));
        for piece in ["with hun", "ter2, hu\x1b[1mnt\x1b[0mer2\nand hunter", "2\nhunt"] {
            out.push(piece.as_bytes());
        }
        drop(out);
        assert_eq!(screen.text(), "with ***, ***\nand ***\nhunt\n");
    }

    #[test]
    fn an_endless_line_is_not_kept_for_ever() {
        let (console, screen) = pod();
        let mut out = console.output(&no_secrets());
        let endless = "ä".repeat(LONGEST_LINE);
        for piece in endless.as_bytes().chunks(8191) {
            out.push(piece);
            assert!(out.line.len() <= LONGEST_LINE);
        }
        drop(out);
        assert_eq!(screen.text().replace('\n', ""), endless);
    }
}
