//! Text as a terminal would leave it: no escapes, no overwritten progress, no control characters.

use std::borrow::Cow;

/// What a tab becomes; a fixed width keeps the carets of compilers that copy tabs in place.
const TAB: &str = "    ";

/// Makes any text fit for a log: escape sequences are dropped, of a line that was overwritten the last
/// version remains, tabs are spaces, other control characters are `U+FFFD`, and no line ends in a blank.
/// Takes time in proportion to the text.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut line = 0;
    let mut returned = false;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\n' => {
                trim_line(&mut out, line);
                out.push('\n');
                line = out.len();
                returned = false;
            }
            '\r' => returned = true,
            '\u{8}' if out.len() > line => drop(out.pop()),
            '\u{1b}' => rest = after_escape(rest),
            '\u{9b}' => rest = after_control_sequence(rest),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => rest = after_control_string(rest),
            '\u{7}' | '\u{8}' | '\u{feff}' => {}
            visible => {
                if std::mem::take(&mut returned) {
                    out.truncate(line);
                }
                match visible {
                    '\t' => out.push_str(TAB),
                    '\u{b}' | '\u{c}' | '\u{2028}' | '\u{2029}' => out.push(' '),
                    hidden if hidden.is_control() || reorders(hidden) => {
                        out.push(char::REPLACEMENT_CHARACTER);
                    }
                    visible => out.push(visible),
                }
            }
        }
    }
    trim_line(&mut out, line);
    out
}

/// `text` if it fits into `room` bytes, else its beginning, with `…` if that leaves anything to read.
pub(crate) fn cut(text: &str, room: usize) -> Cow<'_, str> {
    const MARK: &str = "…";
    if text.len() <= room {
        return Cow::Borrowed(text);
    }
    let mark = if room < 8 { "" } else { MARK };
    let end = text.floor_char_boundary(room - mark.len());
    Cow::Owned(format!("{}{mark}", text[..end].trim_end()))
}

/// Removes the blanks at the end of the line that begins at `start`.
fn trim_line(out: &mut String, start: usize) {
    let kept = out[start..].trim_end().len();
    out.truncate(start + kept);
}

/// Marks that change the order in which text is shown, so that it reads as what it is not
/// (<https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>).
fn reorders(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What follows an escape sequence whose ESC has been read (ECMA-48, 5.3 to 5.6).
fn after_escape(rest: &str) -> &str {
    match rest.chars().next() {
        Some('[') => after_control_sequence(&rest[1..]),
        Some(']' | 'P' | 'X' | '^' | '_') => after_control_string(&rest[1..]),
        Some(' '..='~') => after_final(rest.trim_start_matches(|c| matches!(c, ' '..='/')), '0'),
        _ => rest,
    }
}

/// What follows the parameters of a control sequence (CSI); an unfinished one ends where it stops making sense.
fn after_control_sequence(rest: &str) -> &str {
    after_final(rest.trim_start_matches(|c| matches!(c, ' '..='?')), '@')
}

/// What follows the final byte of a sequence, if it is there.
fn after_final(rest: &str, lowest: char) -> &str {
    rest.strip_prefix(|c| (lowest..='~').contains(&c)).unwrap_or(rest)
}

/// What follows a control string (OSC, DCS, …); an unfinished one ends with its line.
fn after_control_string(rest: &str) -> &str {
    let Some(end) = rest.find(['\u{7}', '\u{9c}', '\u{1b}', '\n']) else {
        return "";
    };
    let rest = &rest[end..];
    rest.strip_prefix(['\u{7}', '\u{9c}']).or_else(|| rest.strip_prefix("\u{1b}\\")).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_leave_nothing_behind() {
        for (text, expected) in [
            ("\u{1b}[1;31merror\u{1b}[0m: no", "error: no"),
            ("\u{1b}]8;;https://example.org\u{1b}\\link\u{1b}]8;;\u{7} end", "link end"),
            ("\u{1b}(Bplain \u{1b}=text\u{1b}7", "plain text"),
            ("\u{9b}31mred\u{9d}title\u{9c}!", "red!"),
            ("\u{1b}Pdevice\u{1b}\\after", "after"),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }

    #[test]
    fn unfinished_escapes_do_not_eat_other_lines() {
        assert_eq!(plain("a\u{1b}]0;never ends\nb"), "a\nb");
        assert_eq!(plain("a\u{1b}[31;\nb"), "a\nb");
        assert_eq!(plain("a\u{1b}\nb\u{1b}"), "a\nb");
        assert_eq!(plain("a\u{1b}["), "a");
        assert_eq!(plain("a\u{1b}]0;x\u{1b}[1mb"), "ab");
        assert_eq!(plain("\u{1b}[31é"), "é");
    }

    #[test]
    fn of_an_overwritten_line_the_last_version_remains() {
        assert_eq!(plain("10%\r50%\r100% done\nnext\r\n"), "100% done\nnext\n");
        assert_eq!(plain("busy\r    \r\nerror\r"), "\nerror");
        assert_eq!(plain("|\u{8}/\u{8}-\u{8}ok\u{8}\u{8}\u{8}\u{8}fine"), "fine");
    }

    #[test]
    fn nothing_invisible_is_left() {
        assert_eq!(plain("a\tb\0c\u{7f}\u{85} \t\n"), "a    b\u{fffd}c\u{fffd}\u{fffd}\n");
        assert_eq!(plain("\u{feff}if \u{202e}reversed\u{2028}x"), "if \u{fffd}reversed x");
    }

    #[test]
    fn huge_lines_take_no_longer_than_their_length() {
        let begun = Instant::now();
        for unit in ["x", " ", "\r", "a\r", "\t", "\u{1b}", "\u{1b}]", "\u{1b}[", "\u{1b}[1m", "\u{8}", "\0"]
        {
            plain(&unit.repeat((1 << 20) / unit.len()));
        }
        // Eleven MiB: a second or so without optimisation, hours if any of them were quadratic.
        assert!(begun.elapsed() < Duration::from_mins(1));
    }

    proptest! {
        #[test]
        fn plain_text_is_clean_and_stays_as_it_is(text in "(\\PC|[\\x00-\\x1f\\x7f-\\x9f]|\u{1b}\\[|[ a\n])*") {
            let once = plain(&text);
            prop_assert!(!once.chars().any(|c| c.is_control() && c != '\n'));
            prop_assert!(once.split('\n').all(|line| line == line.trim_end()));
            prop_assert_eq!(plain(&once), once);
        }

        #[test]
        fn a_cut_keeps_to_its_room(text in "\\PC*", room in 0usize..40) {
            let short = cut(&text, room);
            prop_assert!(short.len() <= room);
            prop_assert!(text.starts_with(short.trim_end_matches('…')));
        }
    }
}
