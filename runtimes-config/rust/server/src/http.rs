//! HTTP/1.1 on one connection: https://www.rfc-editor.org/rfc/rfc9112.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::request::{Headers, Request};
use crate::response::Response;

/// The longest request line, and the most bytes of headers.
const LINE: u64 = 64 << 10;
/// After how long without a byte a connection is given up; ingresses keep theirs for 60 seconds.
const IDLE: Duration = Duration::from_secs(75);
/// For how long what a refused client still sends is read.
const LINGER: Duration = Duration::from_secs(1);

/// Why there is no request.
pub(crate) enum Trouble {
    /// It is not passed on: status, and why.
    Refused(u16, &'static str),
    /// The client has gone, or says nothing.
    Gone(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Gone(error)
    }
}

/// A request with its body.
pub(crate) struct Received {
    pub(crate) request: Request,
    pub(crate) body: Vec<u8>,
    /// Whether the client may send another one on this connection.
    pub(crate) keep: bool,
}

/// One client's connection.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    remote_addr: IpAddr,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(IDLE))?;
        let remote_addr = match stream.peer_addr()?.ip() {
            IpAddr::V6(v6) => v6.to_ipv4().filter(|_| !v6.is_loopback()).map_or(IpAddr::V6(v6), IpAddr::V4),
            v4 => v4,
        };
        Ok(Connection { reader: BufReader::with_capacity(16 << 10, stream), remote_addr })
    }

    /// Waits for the first byte of a request; whether one came.
    pub(crate) fn waits(&mut self) -> bool {
        self.reader.fill_buf().map_or(false, |bytes| !bytes.is_empty())
    }

    /// Reads a request.
    pub(crate) fn receive(&mut self) -> Result<Received, Trouble> {
        let mut line = self.line(LINE, (414, "the request line is too long"))?;
        if line.is_empty() {
            line = self.line(LINE, (414, "the request line is too long"))?; // An empty line before a request is ignored.
        }
        let malformed = Trouble::Refused(400, "malformed request line");
        let line = String::from_utf8(line).map_err(|_| Trouble::Refused(400, "malformed request line"))?;
        let parts: Vec<&str> = line.split(' ').collect();
        let (method, target, version) = match parts[..] {
            [method, target, version] => (method, target, version),
            _ => return Err(malformed),
        };
        let digits = version.strip_prefix("HTTP/").and_then(|rest| rest.split_once('.'));
        let digits = digits.filter(|(major, minor)| [major, minor].into_iter().all(|one| is_digit(one)));
        let (major, minor) = digits.ok_or(Trouble::Refused(400, "malformed request line"))?;
        let is_target = !target.is_empty() && target.chars().all(|c| c > ' ' && c != '\u{7f}');
        if !is_token(method.as_bytes()) || !is_target {
            return Err(malformed);
        }
        if major != "1" {
            return Err(Trouble::Refused(505, "only HTTP/1.1 and HTTP/1.0 are spoken here"));
        }
        let is_1_1 = minor != "0";
        let headers = self.fields()?;
        let body = self.body(&headers, is_1_1)?;
        let closes =
            headers.get("Connection").map_or(false, |all| all.to_ascii_lowercase().contains("close"));
        let request = Request::new(method, target, headers, self.remote_addr);
        Ok(Received { request, body, keep: is_1_1 && !closes })
    }

    /// A line without its end; one that is longer than `limit` is refused.
    fn line(&mut self, limit: u64, too_long: (u16, &'static str)) -> Result<Vec<u8>, Trouble> {
        let mut line = Vec::new();
        Read::by_ref(&mut self.reader).take(limit + 1).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            let (status, why) = too_long;
            let is_long = line.len() as u64 >= limit;
            return Err(if is_long { Trouble::Refused(status, why) } else { ended().into() });
        }
        if line.pop() != Some(b'\r') || line.contains(&b'\r') {
            return Err(Trouble::Refused(400, "a line break that is not CRLF"));
        }
        Ok(line)
    }

    fn fields(&mut self) -> Result<Headers, Trouble> {
        let mut headers = Headers::default();
        let mut left = LINE;
        loop {
            let line = self.line(left, (431, "the headers are too long"))?;
            left = match left.checked_sub(line.len() as u64 + 2) {
                Some(left) => left,
                None => return Err(Trouble::Refused(431, "the headers are too long")),
            };
            if line.is_empty() {
                return Ok(headers);
            }
            let malformed = Trouble::Refused(400, "malformed header");
            let colon = match line.iter().position(|byte| *byte == b':') {
                Some(colon) if is_token(&line[..colon]) => colon,
                _ => return Err(malformed),
            };
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            if value.iter().any(|byte| matches!(byte, 0..=8 | 10..=31 | 127)) {
                return Err(malformed);
            }
            let name = String::from_utf8_lossy(name);
            // What is not UTF-8 is Latin-1: https://www.rfc-editor.org/rfc/rfc9110#section-5.5
            let value = match std::str::from_utf8(value) {
                Ok(value) => value.to_owned(),
                Err(_) => value.iter().copied().map(char::from).collect(),
            };
            headers.add(&name, value.trim_matches(|c| c == ' ' || c == '\t'));
        }
    }

    fn body(&mut self, headers: &Headers, is_1_1: bool) -> Result<Vec<u8>, Trouble> {
        let (length, coding) = (headers.get("Content-Length"), headers.get("Transfer-Encoding"));
        match coding {
            Some(_) if length.is_some() || !is_1_1 => {
                return Err(Trouble::Refused(400, "Transfer-Encoding, and a length as well"));
            }
            Some(coding) if !coding.eq_ignore_ascii_case("chunked") => {
                return Err(Trouble::Refused(501, "the only transfer coding known here is chunked"));
            }
            _ => {}
        }
        let length = match length.map(|text| (text, text.parse::<u64>())) {
            None => 0,
            Some((text, Ok(length))) if text.len() <= 18 && text.bytes().all(|c| c.is_ascii_digit()) => {
                length
            }
            Some(_) => return Err(Trouble::Refused(400, "malformed Content-Length")),
        };
        let expects = headers.get("Expect").map_or(false, |text| text.eq_ignore_ascii_case("100-continue"));
        if expects && is_1_1 {
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut body = Vec::new();
        if coding.is_none() {
            self.read(length, &mut body)?;
            return Ok(body);
        }
        loop {
            let malformed = || Trouble::Refused(400, "malformed chunk");
            let line = self.line(LINE, (400, "malformed chunk"))?;
            let line = String::from_utf8(line).map_err(|_| malformed())?;
            let digits =
                line.split(';').next().unwrap_or_default().trim_end_matches(|c| c == ' ' || c == '\t');
            let is_size = digits.len() <= 15 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let size = u64::from_str_radix(digits, 16).ok().filter(|_| is_size).ok_or_else(malformed)?;
            if size == 0 {
                self.fields()?; // Trailers.
                return Ok(body);
            }
            self.read(size, &mut body)?;
            let mut end = [0; 2];
            self.reader.read_exact(&mut end)?;
            if end != *b"\r\n" {
                return Err(malformed());
            }
        }
    }

    /// Reads so many bytes: as they come, so that an announced size alone takes no memory.
    fn read(&mut self, size: u64, body: &mut Vec<u8>) -> io::Result<()> {
        let read = Read::by_ref(&mut self.reader).take(size).read_to_end(body)?;
        if read as u64 == size {
            Ok(())
        } else {
            Err(ended())
        }
    }

    /// Sends an answer.
    pub(crate) fn answer(&mut self, response: &Response, keep: bool, is_head: bool) -> io::Result<()> {
        let mut bytes = head(response, keep).into_bytes();
        if !is_head && !is_bodiless(response.status) {
            bytes.extend(&response.body);
        }
        self.send(&bytes)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Reads what the client still sends: closing at once would reset the connection, and lose the answer.
    pub(crate) fn linger(&mut self) {
        let stream = self.reader.get_ref();
        let ready = stream.shutdown(Shutdown::Write).and_then(|()| stream.set_read_timeout(Some(LINGER)));
        let mut rest = [0; 4096];
        for _ in 0..1024 {
            if ready.is_err() || !matches!(self.reader.read(&mut rest), Ok(1..)) {
                return;
            }
        }
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the request ends early")
}

fn is_digit(text: &str) -> bool {
    text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(byte))
}

fn is_bodiless(status: u16) -> bool {
    status == 204 || status == 304
}

/// Why an answer cannot be sent.
pub(crate) fn fault(response: &Response) -> Option<&'static str> {
    let is_value = |text: &str| !text.contains(|c| matches!(c, '\r' | '\n' | '\0'));
    let sound = response.headers.iter().all(|(name, value)| is_token(name.as_bytes()) && is_value(value));
    match response.status {
        200..=599 if sound => None,
        200..=599 => Some("a header of the answer is malformed"),
        _ => Some("the status of the answer is none of HTTP's final ones"),
    }
}

fn head(response: &Response, keep: bool) -> String {
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, phrase(response.status));
    let own = ["content-length", "transfer-encoding", "connection", "date"];
    for (name, value) in &response.headers {
        if !own.iter().any(|one| name.eq_ignore_ascii_case(one)) {
            head += &format!("{}: {}\r\n", name, value);
        }
    }
    if !is_bodiless(response.status) {
        head += &format!("Content-Length: {}\r\n", response.body.len());
    }
    head += &format!("Date: {}\r\n", date());
    head + if keep { "\r\n" } else { "Connection: close\r\n\r\n" }
}

fn phrase(status: u16) -> &'static str {
    let known = [
        (200, "OK"),
        (201, "Created"),
        (202, "Accepted"),
        (204, "No Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (304, "Not Modified"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (409, "Conflict"),
        (410, "Gone"),
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (415, "Unsupported Media Type"),
        (422, "Unprocessable Content"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (500, "Internal Server Error"),
        (501, "Not Implemented"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Gateway Timeout"),
        (505, "HTTP Version Not Supported"),
    ];
    known.iter().find(|(one, _)| *one == status).map_or("", |(_, phrase)| phrase)
}

/// The time in HTTP's words.
fn date() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    written(seconds)
}

fn written(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    // Years that begin in March, in eras of 400: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let name =
        ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"][month as usize];
    let year = era * 400 + year + u64::from(month >= 10);
    let day = day - (153 * month + 2) / 5 + 1;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", weekday, day, name, year, hour, minute, second)
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn a_date_is_written_as_http_has_it() {
        // https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
        assert_eq!(written(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(written(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(written(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
