//! Errors in our `main`, which does nothing but call the handler: that it is not there, or is not written as one.

use std::sync::LazyLock;

use regex::Regex;

use super::places::Author;
use crate::diagnostic::{Diagnostic, pattern};

/// How a handler is written.
const SIGNATURE: &str = "(event functions.Event, context functions.Context) (string, error)";

/// What an error in our `main` means for the author, if it means that.
pub(super) fn found(message: &str, author: &Author<'_>) -> Option<Diagnostic> {
    let first = message.lines().next().unwrap_or_default();
    let write = |name: &str| format!("write `func {name}{SIGNATURE}`");
    if let Some(name) = first.strip_prefix("undefined: function.") {
        // undefined: function.Hello
        let found = author.at_handler(format!("`{name}` is not defined in the handler's package"));
        return Some(
            found.hint(format!("{}, with this very name and at the top level of a file", write(name))),
        );
    }
    let patterns = &*WRONG;
    let (kind, captures) =
        patterns.iter().find_map(|(kind, pattern)| Some((*kind, pattern.captures(first)?)))?;
    let own = author.function.handler.as_ref().map_or("", |handler| &handler.function);
    let name = captures.get(1).map_or(own, |name| name.as_str());
    let what = captures.get(2).map_or("", |what| what.as_str()).replace("function.", "");
    Some(match kind {
        Wrong::Signature => author.at_handler(format!("`{name}` is {what}, not a handler")).hint(write(name)),
        Wrong::Type => author.at_handler(format!("`{name}` is a type, not a function")).hint(write(name)),
        Wrong::Generic => author
            .at_handler(format!("`{name}` has type parameters, so that it cannot be called"))
            .hint(write(name)),
        Wrong::Main => author
            .at_handler("the handler's package is `main`, which nothing can import")
            .hint("let the files begin with `package function`: `main` is what the injector adds to them"),
    })
}

#[derive(Debug, Clone, Copy)]
enum Wrong {
    Signature,
    Type,
    Generic,
    Main,
}

static WRONG: LazyLock<Vec<(Wrong, Regex)>> = LazyLock::new(|| {
    vec![
        // cannot use function.Handler (value of type func(event functions.Event) (string, error)) as server.Function value in argument to server.Serve
        (
            Wrong::Signature,
            pattern(
                r"^cannot use function\.(\w+) \((?:value|variable|constant|variable of \w+ type)(?: of (?:\w+ )?type)? (.+)\) as ",
            ),
        ),
        // function.Handler (type) is not an expression
        (Wrong::Type, pattern(r"^function\.(\w+) \(type\) is not an expression")),
        // in call to server.Serve, cannot infer T (declared at function/hello.go:7:14)
        // cannot use generic function function.Handler without instantiation
        (Wrong::Generic, pattern(r"^cannot use generic function function\.(\w+) without")),
        (Wrong::Generic, pattern("^(?:in call to server.Serve, )?cannot infer ")),
        // import "function" is a program, not an importable package
        (Wrong::Main, pattern("is a program, not an importable package")),
    ]
});
