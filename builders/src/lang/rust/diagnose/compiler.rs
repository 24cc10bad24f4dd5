//! The compiler's messages, which cargo passes on as JSON:
//! <https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>,
//! <https://doc.rust-lang.org/rustc/json.html>.

use serde::Deserialize;

use super::super::commands::PROGRAM;
use super::super::entry::signature;
use crate::diagnostic::{Blame, Diagnostic, Output};
use crate::function::{Function, RelPath};
use crate::native;
use crate::network::platform;

/// A line of cargo's output.
#[derive(Debug, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Line {
    CompilerMessage(Compiled),
    #[serde(other)]
    Other,
}

/// A message, and what was being compiled.
#[derive(Debug, Deserialize)]
struct Compiled {
    package_id: String,
    target: Target,
    message: Message,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(rename = "message")]
    text: String,
    code: Option<Code>,
    level: String,
    spans: Vec<Span>,
    children: Vec<Message>,
    rendered: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Code {
    code: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Span {
    file_name: String,
    line_start: u32,
    column_start: u32,
    is_primary: bool,
    label: Option<String>,
    suggested_replacement: Option<String>,
    expansion: Option<Box<Expansion>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Expansion {
    span: Span,
}

/// The errors of a build, in the compiler's order.
pub(super) fn errors(output: &Output, function: &Function) -> Vec<Diagnostic> {
    let errors =
        compiled(&output.stdout).filter(|one| one.message.level.starts_with("error") && !one.is_summary());
    errors.map(|one| explain(&one, function)).collect()
}

/// The messages as the compiler would have shown them.
pub(super) fn rendered(stdout: &str) -> String {
    compiled(stdout).filter_map(|one| one.message.rendered).collect()
}

fn compiled(stdout: &str) -> impl Iterator<Item = Compiled> {
    stdout.lines().filter_map(|line| match serde_json::from_str(line) {
        Ok(Line::CompilerMessage(compiled)) => Some(compiled),
        Ok(Line::Other) | Err(_) => None,
    })
}

impl Compiled {
    /// Whether it only counts the others.
    fn is_summary(&self) -> bool {
        let Message { code, spans, text, .. } = &self.message;
        code.is_none()
            && spans.is_empty()
            && (text.starts_with("aborting due to") || text.starts_with("could not compile"))
    }

    /// The name and version of the package, where it is none of the function's own.
    ///
    /// `registry+https://…#itoa@1.0.18`, since 1.77; before: `itoa 1.0.18 (registry+https://…)`.
    fn package(&self) -> Option<String> {
        let id = &self.package_id;
        if id.starts_with("path+") || id.contains("(path+") {
            return None;
        }
        let named =
            id.rsplit_once('#').filter(|_| !id.contains(' ')).map(|(_, named)| named.replace('@', " "));
        named.or_else(|| id.split_once(" (").map(|(named, _)| named.to_owned()))
    }
}

fn explain(error: &Compiled, function: &Function) -> Diagnostic {
    let message = &error.message;
    if message.text.starts_with("linking with") || message.text.starts_with("linker ") {
        return link(message);
    }
    if message.text.contains("internal compiler error") {
        return platform(
            first_line(&message.text),
            "the compiler is broken here: try another version of Rust",
        );
    }
    if error.target.name == PROGRAM {
        return glue(message, function);
    }
    if error.package_id.contains("/function/.kubeless") {
        return Diagnostic::new(format!("our server does not compile: {}", text(message))).blame(Blame::Ours);
    }
    if let Some(package) = error.package() {
        let found = Diagnostic::new(format!("the dependency {package} does not compile: {}", text(message)));
        return found.hint("choose another version of it, or of Rust");
    }
    let found = Diagnostic::new(text(message));
    let found = match place(message, function) {
        Some((file, line, column)) => found.at(file, Some(line), Some(column)),
        None => found,
    };
    match advice(message) {
        Some(hint) => found.hint(hint),
        None => found,
    }
}

/// What is wrong, with what the compiler writes below the place, and its code.
fn text(message: &Message) -> String {
    let primary = message.spans.iter().find(|span| span.is_primary);
    let label = primary.and_then(|span| span.label.as_deref()).map(first_line);
    let head = match first_line(&message.text) {
        // As `compile_error!("")` has it.
        "" => "an error without words",
        head => head,
    };
    // Such labels say what the message has said.
    let again =
        ["not found in ", "use of undeclared ", "use of unresolved ", "no external crate", "private "];
    let label = label.filter(|label| {
        !head.contains(label) && !label.is_empty() && !again.iter().any(|start| label.starts_with(start))
    });
    let label = label.map(|label| format!(": {label}")).unwrap_or_default();
    let code = message.code.as_ref().map(|code| format!(" ({})", code.code)).unwrap_or_default();
    format!("{head}{label}{code}")
}

/// The first place in a file of the function's, the one that the compiler means first.
fn place(message: &Message, function: &Function) -> Option<(String, u32, u32)> {
    let own = |span: &Span| {
        let mut span = span;
        loop {
            let file = author_file(&span.file_name);
            if let Some(file) = file.parse::<RelPath>().ok().filter(|file| function.files.contains_key(file))
            {
                return Some((file.to_string(), span.line_start, span.column_start));
            }
            // Within a macro of somebody else's, the place counts where the author called it.
            span = &span.expansion.as_ref()?.span;
        }
    };
    // Of several places the compiler names one above the source, which need not be the first of them here.
    let shown = |span: &&Span| {
        let place = format!("--> {}:{}:{}\n", span.file_name, span.line_start, span.column_start);
        message.rendered.as_ref().is_some_and(|text| text.contains(&place))
    };
    let primary = message.spans.iter().filter(|span| span.is_primary);
    let primary = primary.clone().filter(shown).chain(primary);
    let others = message.spans.iter().filter(|span| !span.is_primary);
    let below = || message.children.iter().find_map(|child| place(child, function));
    primary.chain(others).find_map(own).or_else(below)
}

fn author_file(name: &str) -> &str {
    name.strip_prefix("<kept>/function/").unwrap_or(name)
}

/// The types of our crate that a function names.
const OURS: [&str; 7] = ["Context", "Event", "Extensions", "Headers", "IntoResponse", "Request", "Response"];

/// What brings a type of our crate into scope: the compiler knows others of that name, such as `std::task::Context`.
fn import(message: &Message) -> Option<String> {
    // cannot find type `Context` in this scope
    // failed to resolve: use of undeclared type `Response`
    let text = &message.text;
    let absent = text.starts_with("cannot find ") || text.contains("use of undeclared type");
    let name = text.split('`').nth(1).filter(|name| absent && OURS.contains(name))?;
    Some(format!("add `use kubeless::{name};`"))
}

/// The compiler's first advice, with what it would write.
fn advice(message: &Message) -> Option<String> {
    if let Some(import) = import(message) {
        return Some(import);
    }
    let help = message.children.iter().find(|child| child.level == "help")?;
    let replacement = help.spans.iter().find_map(|span| span.suggested_replacement.as_deref());
    let replacement = replacement.map(str::trim).filter(|text| !text.is_empty() && !text.contains('\n'));
    let head = first_line(&help.text);
    Some(match replacement {
        Some(text) if !head.contains(text) => format!("{}: `{text}`", head.trim_end_matches(':')),
        _ => head.to_owned(),
    })
}

fn first_line(text: &str) -> &str {
    text.lines().map(str::trim_end).find(|line| !line.is_empty()).unwrap_or_default()
}

/// An error in what hands the function to the server: it is the function that is not as it should be.
fn glue(message: &Message, function: &Function) -> Diagnostic {
    let handler = function.handler.as_ref().map_or("handler", |handler| handler.function.as_str());
    let code = message.code.as_ref().map_or("", |code| code.code.as_str());
    let written = format!("write `{}`; it may be `async`", signature(handler));
    let (what, hint) = match code {
        "E0433" | "E0432" => {
            let module = message.text.split('`').nth(1).unwrap_or_default();
            (format!("the crate has no module `{module}`"), format!("declare it in the crate's root: `pub mod {module};`"))
        }
        "E0425" => {
            let similar = message.children.iter().chain(std::iter::once(message)).flat_map(|one| &one.spans);
            let similar = similar.filter_map(|span| span.suggested_replacement.clone()).find(|name| !name.contains("::"));
            let hint = similar.map(|name| format!("there is `{name}`; name that as the handler, or {written}"));
            (format!("`{handler}` is not defined"), hint.unwrap_or(written))
        }
        "E0603" => {
            let is_module = message.text.starts_with("module ");
            let name = message.text.split('`').nth(1).unwrap_or_default();
            let hint = if is_module { format!("declare it as `pub mod {name}`") } else { written };
            (format!("`{name}` is private, and the server cannot see it"), hint)
        }
        "E0061" => (format!("`{handler}` takes another number of arguments than event and context"), written),
        "E0308" | "E0631" => (format!("`{handler}` takes other arguments than event and context"), written),
        "E0277" | "E0271" | "E0282" | "E0283" => (
            format!("`{handler}` returns what is no answer"),
            "a function may return (), text, bytes, kubeless::Response, an Option of these, or a Result whose error can be displayed".to_owned(),
        ),
        "E0423" | "E0618" => (format!("`{handler}` is not a function"), written),
        _ => (format!("`{handler}` cannot be called: {}", text(message)), written),
    };
    let file = place(message, function).or_else(|| {
        let files = function.files.keys().filter(|path| path.extension() == Some("rs"));
        let named =
            function.handler.as_ref().map(|handler| format!("{}.rs", handler.module.replace('.', "/")));
        let mut files: Vec<_> = files.map(ToString::to_string).collect();
        files.sort_by_key(|file| (named.as_deref() != Some(file), file != "src/lib.rs", file.clone()));
        files.into_iter().next().map(|file| (file, 0, 0))
    });
    let found = Diagnostic::new(what).hint(hint);
    match file {
        Some((file, 0, _)) => found.at(file, None, None),
        Some((file, line, column)) => found.at(file, Some(line), Some(column)),
        None => found,
    }
}

/// An error of the linker, which the compiler calls.
fn link(message: &Message) -> Diagnostic {
    let all: Vec<&str> =
        std::iter::once(message).chain(&message.children).map(|one| one.text.as_str()).collect();
    let all = all.join("\n");
    if let Some(lack) = native::lack(&all) {
        return platform(
            lack,
            "choose an image that has it; Rust calls `cc` to link, and links the C library in statically",
        );
    }
    // undefined reference to `no_such_symbol'
    // rust-lld: error: undefined symbol: no_such_symbol
    let marks = ["undefined reference to ", "undefined symbol: "];
    let undefined = all.lines().find_map(|line| marks.iter().find_map(|mark| Some(line.split_once(mark)?.1)));
    let found = match undefined {
        Some(symbol) => Diagnostic::new(format!(
            "the linker finds no `{}`",
            symbol.trim().trim_start_matches('`').trim_end_matches('\'')
        )),
        None => Diagnostic::new(first_line(&message.text).to_owned()),
    };
    found.hint("see the linker's own words in the log; a native library may be missing")
}
