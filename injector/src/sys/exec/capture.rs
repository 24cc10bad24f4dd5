//! What is kept of a stream: all of it up to a bound, or its head and its tail.

use std::collections::VecDeque;

/// What is kept of each end of a stream, in bytes.
const END: usize = 64 * 1024;

/// What is kept of a stream that is data, in bytes.
const WHOLE: usize = 8 * 1024 * 1024;

/// How far a cut moves to fall between lines: so that it neither shows half a line nor leaves half
/// a credential, which no redaction would know.
const LINE: usize = 4 * 1024;

/// What was kept of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Captured {
    /// The bytes. Where head and tail were kept and something lies between them, a line says how
    /// much.
    pub(crate) bytes: Vec<u8>,
    /// How many bytes of the stream are missing.
    pub(crate) left_out: usize,
}

impl Captured {
    /// The bytes as text; what is not UTF-8 is replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A stream on its way to being [`Captured`].
#[derive(Debug)]
pub(super) struct Keep {
    head: Vec<u8>,
    head_room: usize,
    tail: VecDeque<u8>,
    tail_room: usize,
    left_out: usize,
}

impl Keep {
    /// Keeps the head and the tail.
    pub(super) fn ends() -> Self {
        Keep::new(END, END)
    }

    /// Keeps everything, up to a bound.
    pub(super) fn whole() -> Self {
        Keep::new(WHOLE, 0)
    }

    fn new(head_room: usize, tail_room: usize) -> Self {
        Keep { head: Vec::new(), head_room, tail: VecDeque::new(), tail_room, left_out: 0 }
    }

    /// Takes what comes next.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        let room = self.head_room - self.head.len();
        let (head, rest) = chunk.split_at(room.min(chunk.len()));
        self.head.extend_from_slice(head);

        let excess = (self.tail.len() + rest.len()).saturating_sub(self.tail_room);
        self.left_out += excess;
        let from_tail = excess.min(self.tail.len());
        self.tail.drain(..from_tail);
        self.tail.extend(&rest[excess - from_tail..]);
    }

    /// Ends the stream.
    pub(super) fn finish(mut self) -> Captured {
        if self.left_out > 0 && self.tail_room > 0 {
            self.cut_between_lines();
            let mark = format!("… {} left out …\n", Size(self.left_out));
            if !self.head.is_empty() && !self.head.ends_with(b"\n") {
                self.head.push(b'\n');
            }
            self.head.extend_from_slice(mark.as_bytes());
        }
        self.head.extend(self.tail);
        Captured { bytes: self.head, left_out: self.left_out }
    }

    /// Moves both cuts to the end of a line, or, within a line that is longer than that, to a space.
    fn cut_between_lines(&mut self) {
        let line_end = |byte: &u8| *byte == b'\n';
        let near = self.head.len().saturating_sub(LINE);
        let end = self.head[near..].iter().rposition(line_end).map(|end| near + end);
        let end =
            end.or_else(|| self.head.iter().rposition(u8::is_ascii_whitespace)).map_or(0, |end| end + 1);
        self.left_out += self.head.len() - end;
        self.head.truncate(end);

        let begin = self.tail.iter().take(LINE).position(line_end);
        let begin = begin.or_else(|| self.tail.iter().position(u8::is_ascii_whitespace));
        let begin = begin.map_or(self.tail.len(), |begin| begin + 1);
        self.left_out += begin;
        self.tail.drain(..begin);
    }
}

/// A number of bytes, for people.
struct Size(usize);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            bytes @ ..1024 => write!(f, "{bytes} bytes"),
            bytes => write!(f, "{} KiB", bytes / 1024),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(mut keep: Keep, chunks: &[&[u8]]) -> Captured {
        for chunk in chunks {
            keep.push(chunk);
        }
        keep.finish()
    }

    #[test]
    fn a_stream_that_fits_is_kept_as_it_is() {
        let captured = kept(Keep::new(4, 4), &[b"ab", b"cdef", b"gh"]);
        assert_eq!(captured.bytes, b"abcdefgh");
        assert_eq!(captured.left_out, 0);
    }

    #[test]
    fn between_head_and_tail_a_line_says_how_much_is_missing() {
        for chunks in
            [&[&b"abc defgh ijk"[..]][..], &[b"abc", b" defgh i", b"jk"], &[b"abc ", b"defgh", b" ijk"]]
        {
            let captured = kept(Keep::new(4, 4), chunks);
            assert_eq!(String::from_utf8(captured.bytes).expect("text"), "abc \n… 6 bytes left out …\nijk");
            assert_eq!(captured.left_out, 6);
        }
    }

    #[test]
    fn a_cut_falls_between_lines() {
        let captured = kept(Keep::new(8, 8), &[b"one\ntoken=SECRET more\nlast\n"]);
        assert_eq!(String::from_utf8(captured.bytes).expect("text"), "one\n… 18 bytes left out …\nlast\n");
    }

    #[test]
    fn a_cut_within_a_word_leaves_nothing_of_it() {
        let captured = kept(Keep::new(4, 4), &[b"SECRETSECRETSECRET"]);
        assert_eq!(String::from_utf8(captured.bytes).expect("text"), "… 18 bytes left out …\n");
    }

    #[test]
    fn data_beyond_the_bound_is_counted_and_not_marked() {
        let captured = kept(Keep::new(4, 0), &[b"abc", b"de", b"f"]);
        assert_eq!(captured.bytes, b"abcd");
        assert_eq!(captured.left_out, 2);
    }
}
