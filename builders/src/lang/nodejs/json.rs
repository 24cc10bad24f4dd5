//! JSON with places: where a value stands in its file, and what is wrong with one that cannot be read.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::diagnostic::Diagnostic;
use crate::error::PlanError;

/// A value and the file that holds it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    file: &'a str,
    /// The file's whole text, without a byte order mark.
    text: &'a str,
    /// The value's own part of it.
    raw: &'a str,
}

/// Reads a file of JSON; a byte order mark at its start is passed over, as npm does.
///
/// # Errors
/// When it is not JSON, with the place and what was found there.
pub(super) fn parse<'a>(file: &'a str, text: &'a str) -> Result<Value<'a>, PlanError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let whole = Value { file, text, raw: text };
    let parsed: Result<&RawValue, _> = serde_json::from_str(text);
    parsed.map(|raw| Value { raw: raw.get(), ..whole }).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let found = explain(text, (before + column.saturating_sub(1)).min(text.len()), &error);
        PlanError::Manifest(whole.at(found.at, found.message).hint(found.hint))
    })
}

impl<'a> Value<'a> {
    /// The members of an object, by name; the last of several with one name counts, as in JavaScript.
    pub(super) fn members(self) -> Option<BTreeMap<String, Value<'a>>> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(self.raw).ok()?;
        Some(members.into_iter().map(|(name, raw)| (name, Value { raw: raw.get(), ..self })).collect())
    }

    /// A member of an object.
    pub(super) fn member(self, name: &str) -> Option<Value<'a>> {
        self.members()?.remove(name)
    }

    /// The value, if it is of this type.
    pub(super) fn get<T: DeserializeOwned>(self) -> Option<T> {
        serde_json::from_str(self.raw).ok()
    }

    /// Whether it is `null`, or an object or array without members.
    pub(super) fn is_empty(self) -> bool {
        self.raw == "null"
            || self.get::<Vec<serde::de::IgnoredAny>>().is_some_and(|entries| entries.is_empty())
            || self.members().is_some_and(|members| members.is_empty())
    }

    /// A message about this value.
    pub(super) fn says(self, message: impl Into<String>) -> Diagnostic {
        self.at(self.raw.as_ptr() as usize - self.text.as_ptr() as usize, message.into())
    }

    /// A message about a place in the file, given in bytes.
    fn at(self, offset: usize, message: String) -> Diagnostic {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let number = |number: usize| u32::try_from(number).ok();
        Diagnostic::new(message).at(self.file, number(line), number(column))
    }
}

/// Why a text is not JSON, in the words of who wrote it.
struct Malformed {
    /// Where, in bytes.
    at: usize,
    message: String,
    hint: &'static str,
}

/// Says what stands where the parser stumbled.
fn explain(text: &str, at: usize, error: &serde_json::Error) -> Malformed {
    let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let (before, rest) = text.split_at(at);
    let malformed = |message: String, hint| Malformed { at, message, hint };
    let said = error.to_string();
    let conflict = ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| rest.starts_with(mark));
    // The parser may stop within a word, such as `name`, which begins as `null` does.
    let ends_word = |c: char| c.is_whitespace() || ",:{}[]\"'".contains(c);
    let start = before.trim_end_matches(|c| !ends_word(c)).len();
    let word = text[start..].split(ends_word).next().unwrap_or_default();
    let comma = before.trim_end().strip_suffix(',').map(str::len);
    if conflict {
        malformed("a merge conflict is left in this file".into(), "resolve it, and deploy again")
    } else if said.starts_with("EOF while parsing a string") {
        malformed("the file ends within a string".into(), "close it with `\"`")
    } else if error.is_eof() {
        let hint = "close every `{` and `[`, and see whether the file was cut off";
        malformed("the file ends before its JSON does".into(), hint)
    } else if rest.starts_with(['/', '#']) {
        malformed("JSON has no comments".into(), "remove this one")
    } else if rest.starts_with('\'') {
        malformed("this is in single quotes".into(), "put it in double quotes: JSON knows no others")
    } else if let (Some(at), true) = (comma, rest.starts_with(['}', ']', ','])) {
        let message = "no comma may stand behind the last entry".into();
        Malformed { at, message, hint: "remove it" }
    } else if said.starts_with("expected `,`") {
        malformed("a comma is missing before this".into(), "put `,` between two entries")
    } else if said.starts_with("expected `:`") {
        malformed("a colon is missing before this".into(), "write `\"name\": \"value\"`")
    } else if said.starts_with("key must be a string") && !word.is_empty() {
        malformed(format!("the name {word} stands without quotes"), "put it in double quotes")
    } else if said.starts_with("control character") {
        malformed("a string does not end on its line".into(), "close it with `\"`")
    } else if said.starts_with("trailing characters") {
        malformed(
            "there is more after the end of the JSON".into(),
            "remove it, or see where a `}` is too many",
        )
    } else if !word.is_empty() {
        let message = format!("{word} is no JSON value");
        Malformed { at: start, message, hint: "put text in double quotes" }
    } else {
        let said = said.split(" at line ").next().unwrap_or_default();
        malformed(format!("this is not JSON: {said}"), "write the file as JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn said(text: &str) -> String {
        match parse("p.json", text) {
            Err(PlanError::Manifest(found)) => found.to_string(),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_mistake_is_named_at_its_place() {
        for (text, expected) in [
            ("{\n  \"a\": 1,\n}", "2:9: no comma may stand behind the last entry"),
            ("{\"a\": [1, 2, ]}", "1:12: no comma may stand behind the last entry"),
            ("{\n  // why\n  \"a\": 1}", "2:3: JSON has no comments"),
            ("{\"a\": 1 /* why */}", "1:9: JSON has no comments"),
            ("{'a': 1}", "1:2: this is in single quotes"),
            ("{\"a\": 'b'}", "1:7: this is in single quotes"),
            ("{a: 1}", "1:2: the name a stands without quotes"),
            ("{\"a\": 1\n  \"b\": 2}", "2:3: a comma is missing before this"),
            ("{\"ä\" 1}", "1:6: a colon is missing before this"),
            ("{\"a\": \"b\n\"}", "1:8: a string does not end on its line"),
            ("{\"a\": \"b", "1:8: the file ends within a string"),
            ("{\"a\": {", "1:7: the file ends before its JSON does"),
            ("{\"a\": undefined}", "1:7: undefined is no JSON value"),
            ("{}}", "1:3: there is more after the end of the JSON"),
            ("{\n<<<<<<< HEAD\n", "2:1: a merge conflict is left in this file"),
            ("name = x", "1:1: name is no JSON value"),
        ] {
            assert_eq!(said(text), format!("p.json:{expected}"), "{text:?}");
        }
    }

    #[test]
    fn a_value_knows_its_place() {
        let text = "\u{feff}{\n  \"ä\": {\"b\": [1], \"b\": \"c\"}\n}";
        let value = parse("p.json", text).expect("JSON");
        let inner = value.member("ä").and_then(|value| value.member("b")).expect("a member");
        assert_eq!(inner.get::<String>().as_deref(), Some("c"));
        assert_eq!(inner.says("it").to_string(), "p.json:2:24: it");
        assert!(inner.members().is_none());
    }
}
