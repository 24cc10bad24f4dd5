//! Reads Rust source as tokens: the paths, macros, methods and attributes that a file names, and where.

use proc_macro2::{Delimiter, Group, LexError, TokenStream, TokenTree};

/// Something that product code names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// The line, from 1.
    pub(super) line: usize,
    /// A path (`std::fs::read`, with imports in braces written out), a macro (`println!`), a method
    /// or field (`.exists`), or an attribute that silences a lint (`#[allow]`).
    pub(super) text: String,
}

impl Name {
    /// Whether this is what `token` stands for: `tokio::` is a crate, anything else a name of the
    /// same kind, of which a path may have more at either end.
    pub(super) fn is(&self, token: &str) -> bool {
        let (text, inner) = (self.text.as_str(), format!("::{token}::"));
        if token.ends_with("::") { text.starts_with(token) } else { format!("::{text}::").contains(&inner) }
    }
}

/// All names of a file but those in items under `#[cfg(test)]`; comments and literals hold none.
pub(super) fn names(source: &str) -> Result<Vec<Name>, LexError> {
    let mut names = Vec::new();
    walk(source.parse()?, "", &mut names);
    Ok(names)
}

/// Collects the names of `stream`; `prefix` is the path before the braces of an import.
fn walk(stream: TokenStream, prefix: &str, names: &mut Vec<Name>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                at += usize::from(is_punct(tokens.get(at), '!'));
                let Some(TokenTree::Group(attribute)) = tokens.get(at) else {
                    continue;
                };
                at += 1;
                if is_for_tests(attribute) {
                    at = end_of_item(&tokens, at);
                } else {
                    silences(attribute, names);
                    walk(attribute.stream(), "", names);
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == '.' => {
                let is_range = at > 1 && is_punct(tokens.get(at - 2), '.');
                if let (false, Some(TokenTree::Ident(method))) = (is_range, tokens.get(at)) {
                    push(names, token, format!(".{method}"));
                    at += 1;
                }
            }
            TokenTree::Ident(first) => {
                let mut path =
                    if prefix.is_empty() { first.to_string() } else { format!("{prefix}::{first}") };
                while is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':') {
                    match tokens.get(at + 2) {
                        Some(TokenTree::Ident(next)) => path = format!("{path}::{next}"),
                        Some(TokenTree::Group(group)) => walk(group.stream(), &path, names),
                        _ => break,
                    }
                    at += 3;
                }
                let is_macro =
                    is_punct(tokens.get(at), '!') && matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
                push(names, token, if is_macro { path + "!" } else { path });
            }
            TokenTree::Group(group) => walk(group.stream(), "", names),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn push(names: &mut Vec<Name>, token: &TokenTree, text: String) {
    let line = token.span().start().line;
    names.push(Name { line, text });
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_for_tests(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(' ', "");
    text.starts_with("cfg(test)") || text.starts_with("cfg(all(test,")
}

/// Where the item that begins at `at` ends: after its braces or its semicolon.
fn end_of_item(tokens: &[TokenTree], at: usize) -> usize {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(Some(token), ';'),
    };
    let rest = tokens[at..].iter().position(is_end);
    rest.map_or(tokens.len(), |length| at + length + 1)
}

/// Notes an `allow(…)`, also within `cfg_attr`.
fn silences(attribute: &Group, names: &mut Vec<Name>) {
    let mut after_allow = false;
    for token in attribute.stream() {
        if let TokenTree::Group(group) = &token {
            if after_allow {
                push(names, &token, "#[allow]".to_owned());
            }
            silences(group, names);
        }
        after_allow = matches!(&token, TokenTree::Ident(ident) if *ident == "allow");
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    fn found(source: &str, token: &str) -> bool {
        names(source).expect("the example is Rust").iter().any(|name| name.is(token))
    }

    #[test]
    fn a_name_is_found_however_it_is_written() {
        for (source, token) in [
            ("fn f() { std::fs::read(p); }", "std::fs"),
            ("use std::{env, io};", "std::env"),
            ("use std::{io::{self, Read as _}, time::{Duration, SystemTime}};", "std::io"),
            ("use {std::process::Command};", "std::process"),
            ("use ::std::fs;", "std::fs"),
            ("fn f() { g!(\"{}\", std :: env :: var(x)) }", "std::env"),
            ("fn f() -> bool { path.exists() }", ".exists"),
            ("fn f() { let _ = 0..tokio::time::MAX; }", "tokio::"),
            ("#[tokio::main] fn f() {}", "tokio::"),
            ("fn f() { std::println!(); }", "println!"),
            ("fn f() { let now = Instant::now(); }", "Instant::now"),
            ("fn f() { std::time::Instant::now(); }", "Instant::now"),
            ("#![allow(dead_code)]", "#[allow]"),
            ("#[cfg_attr(unix, allow(dead_code))] fn f() {}", "#[allow]"),
            ("#[cfg(test)] mod tests { } fn f() { std::fs::read(p); }", "std::fs"),
            ("#[cfg(test)] use a::{b}; fn f() { std::fs::read(p); }", "std::fs"),
        ] {
            assert!(found(source, token), "{token} was not found in {source}");
        }
    }

    #[test]
    fn what_is_no_name_is_not_found() {
        for (source, token) in [
            ("// std::fs\n/* std::fs */ fn f() {}", "std::fs"),
            ("const TEXT: &str = \"std::fs\";", "std::fs"),
            ("#[cfg(test)] mod tests { use std::fs; }", "std::fs"),
            ("#[cfg(all(test, unix))] fn f() { std::fs::read(p); }", "std::fs"),
            ("fn f() { let tar = 1; a.zip(b); tar }", "tar::"),
            ("use std::fsx;", "std::fs"),
            ("fn f() { exists(); }", ".exists"),
            ("fn f() -> bool { a != (b) }", "a!"),
            ("fn allow(a: A) { allow(a) }", "#[allow]"),
        ] {
            assert!(!found(source, token), "{token} was found in {source}");
        }
    }

    #[test]
    fn a_name_has_its_line() {
        let names = names("//! Words.\n\nuse std::{\n    env,\n};\n").expect("the example is Rust");
        let line = names.iter().find(|name| name.is("std::env")).map(|name| name.line);
        assert_eq!(line, Some(4));
    }
}
