//! What servers say in HTML and other markup: its first line, for people, and whether a file is such a page.

/// The most characters that are told.
const LINE: usize = 200;

/// Whether a file of this Content-Type that begins so is a web page.
pub(crate) fn is_web_page(content_type: &str, start: &[u8]) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let is_html = ["text/html", "application/xhtml+xml"].iter().any(|html| kind.eq_ignore_ascii_case(html));
    let start = String::from_utf8_lossy(start).to_ascii_lowercase();
    let start = start.trim_start_matches('\u{feff}').trim_start();
    is_html && ["<!doctype html", "<html", "<?xml", "<head", "<!--"].iter().any(|tag| start.starts_with(tag))
}

/// The first line of a text that says anything, without markup and control characters.
pub(crate) fn first_line(text: &str) -> String {
    let plain = without_markup(text);
    let says = |line: &&str| line.contains(char::is_alphanumeric);
    let line = plain.lines().find(says).unwrap_or_default();
    let words = line.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A text without tags, comments, styles and scripts; lines are kept.
fn without_markup(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        plain.push_str(before);
        let is_tag = tag.starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c));
        if !is_tag {
            plain.push('<');
            rest = tag;
            continue;
        }
        plain.push(' ');
        let lower = tag.to_ascii_lowercase();
        let hidden = [("!--", "-->"), ("style", "</style"), ("script", "</script")];
        let closing =
            hidden.into_iter().find(|(opening, _)| lower.starts_with(opening)).map(|(_, closing)| closing);
        // What has no end goes to the end.
        let end = closing.map_or(Some(0), |closing| lower.find(closing));
        rest = end.and_then(|end| tag[end..].split_once('>')).map_or("", |(_, after)| after);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_what_a_reader_of_the_page_would_see() {
        for (text, expected) in [
            ("not there\nmore", "not there"),
            ("", ""),
            ("\n\r\n  {\n  \"message\": \"no such bucket\"\n}", "\"message\": \"no such bucket\""),
            ("<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n<body>x", "404 Not Found"),
            (
                "<html><style>\nbody { color: red }\n</style><script>\nlet a = '<b>';</script><h1>No</h1>",
                "No",
            ),
            ("<!-- a\n > b -->\n<p>gone <b>for</b> good</p>", "gone for good"),
            (
                "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>No key</Message>",
                "NoSuchKey No key",
            ),
            ("a < b and c > d", "a < b and c > d"),
            ("\u{1b}[31mred\u{7}\tand\u{0}more\u{1b}[0m", "[31mred and more [0m"),
            ("<div", ""),
            ("<style>never closed", ""),
        ] {
            assert_eq!(first_line(text), expected, "{text:?}");
        }
        let long = first_line(&"ä".repeat(300));
        assert_eq!((long.chars().count(), long.ends_with('…')), (LINE + 1, true));
    }

    #[test]
    fn a_page_says_that_it_is_one_and_looks_like_one() {
        for (kind, start) in [
            ("text/html", "<!DOCTYPE html><html>"),
            ("Text/HTML; charset=utf-8", "\u{feff} \n<HTML lang=de>"),
            ("application/xhtml+xml", "<?xml version='1.0'?><html>"),
        ] {
            assert!(is_web_page(kind, start.as_bytes()), "{kind}: {start}");
        }
        for (kind, start) in [
            ("text/plain", "<!DOCTYPE html>"),
            ("text/html", "def main(event, context):"),
            ("text/html", "PK\u{3}\u{4}"),
            ("", "<html>"),
        ] {
            assert!(!is_web_page(kind, start.as_bytes()), "{kind}: {start}");
        }
    }
}
