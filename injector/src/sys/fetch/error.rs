//! Why a download failed: a sentence for people, whose fault it is, and whether it may heal.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::iter::successors;
use std::path::PathBuf;
use std::time::Duration;

use builders::diagnostic::Blame;
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

use super::resolve::Unresolved;
use crate::content::Bytes;
use crate::sys::fs;
use crate::sys::signal::Signal;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The server answered, but not with a file.
    #[error("{address} answered {status}{}{}{attempts}", Through(proxy), Said(said))]
    Status {
        /// What was asked for.
        address: String,
        /// The status' number.
        code: u16,
        /// The status, in words too.
        status: String,
        /// The proxy on the way.
        proxy: Option<String>,
        /// The first line of what it said.
        said: String,
        /// How long it asks to wait.
        wait: Option<Duration>,
        /// How often it was asked.
        attempts: Attempts,
    },
    /// It asks to wait longer than a pod's start can.
    #[error(
        "{address} answered {status} and asks to wait {}, longer than the {} that we wait",
        Span(*wait),
        Span(*most)
    )]
    Later {
        /// What was asked for.
        address: String,
        /// The status, in words too.
        status: String,
        /// How long it asks to wait.
        wait: Duration,
        /// How long we do.
        most: Duration,
    },
    /// It is larger than it may be.
    #[error("{address} has {}, and INJECTOR_MAX_DOWNLOAD allows {}", Found { size: *size, max: *max }, Bytes(*max))]
    TooLarge {
        /// What was asked for.
        address: String,
        /// Its size, if the server told.
        size: Option<u64>,
        /// The most that is allowed, in bytes.
        max: u64,
    },
    /// It could not be reached, or broke off.
    #[error("{address} cannot be fetched: {cause}{attempts}")]
    Network {
        /// What was asked for.
        address: String,
        /// What went wrong.
        cause: Cause,
        /// How often it was tried.
        attempts: Attempts,
    },
    /// A redirect leads from https to http.
    #[error(
        "{from} redirects to {to}: from https to http is not followed, since anybody on the way could change what comes"
    )]
    Downgrade {
        /// What was asked for.
        from: String,
        /// Where that leads.
        to: String,
    },
    /// A redirect leads to what cannot be fetched.
    #[error("{from} answered {status}, and where it leads cannot be fetched: {reason}")]
    Nowhere {
        /// What was asked for.
        from: String,
        /// The status, in words too.
        status: String,
        /// What is wrong with the new address.
        reason: String,
    },
    /// Redirects go round in a circle.
    #[error("{from} redirects in a circle: {to} leads to where we were before")]
    Circle {
        /// What was asked for.
        from: String,
        /// The last address.
        to: String,
    },
    /// Redirects do not end.
    #[error("{from} redirects more than {most} times, at last to {to}")]
    Redirects {
        /// What was asked for.
        from: String,
        /// The last address.
        to: String,
        /// How many are followed.
        most: usize,
    },
    /// A variable that shall name a proxy does not.
    #[error("{variable} does not hold the address of an http or https proxy")]
    NoProxy {
        /// The variable.
        variable: &'static str,
    },
    /// All in all it took too long.
    #[error("{address} was not fetched within {}: {} came", Span(*timeout), Bytes(*got))]
    TookTooLong {
        /// What was asked for.
        address: String,
        /// What it may take.
        timeout: Duration,
        /// How much came, in bytes.
        got: u64,
    },
    /// It cannot be written.
    #[error("{} cannot be written: {}", path.display(), fs::plain(source))]
    Room {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// We were told to stop.
    #[error("stopped by {}", .0.name())]
    Interrupted(Signal),
    /// The means to fetch cannot be had.
    #[error("the network cannot be used: {0}")]
    Setup(String),
}

impl FetchError {
    /// Whose it is to mend.
    pub(crate) fn blame(&self) -> Blame {
        match self {
            FetchError::Status { code: 404 | 410, .. }
            | FetchError::TooLarge { .. }
            | FetchError::Downgrade { .. } => Blame::Author,
            FetchError::Status { .. }
            | FetchError::Later { .. }
            | FetchError::Network { .. }
            | FetchError::Nowhere { .. }
            | FetchError::Circle { .. }
            | FetchError::Redirects { .. }
            | FetchError::NoProxy { .. }
            | FetchError::TookTooLong { .. }
            | FetchError::Room { .. }
            | FetchError::Interrupted(_)
            | FetchError::Setup(_) => Blame::Platform,
        }
    }

    /// Whether another attempt may end better.
    pub(super) fn may_heal(&self) -> bool {
        match self {
            FetchError::Status { code, .. } => matches!(code, 408 | 429 | 500 | 502 | 503 | 504),
            FetchError::Network { cause, .. } => cause.may_heal(),
            _ => false,
        }
    }

    /// The same, with how often it was tried.
    pub(super) fn after(mut self, times: u32) -> Self {
        if let FetchError::Status { attempts, .. } | FetchError::Network { attempts, .. } = &mut self {
            *attempts = Attempts(times);
        }
        self
    }
}

/// What went wrong between us and a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    /// The host has no address.
    #[error("{host} cannot be resolved: {reason}")]
    Unresolved {
        /// The host.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// No connection, for a reason that the system gives.
    #[error("{reason} by {peer}")]
    Refused {
        /// Host and port, or those of the proxy.
        peer: String,
        /// The reason.
        reason: String,
    },
    /// No connection, for want of an answer.
    #[error("no connection to {peer} within {}", Span(*within))]
    Unreached {
        /// Host and port, or those of the proxy.
        peer: String,
        /// How long we waited.
        within: Duration,
    },
    /// The proxy wants to know who we are.
    #[error("the proxy {proxy} asks for a login, or does not accept the one in its URL (407)")]
    ProxyLogin {
        /// Its host and port.
        proxy: String,
    },
    /// The proxy does not connect us.
    #[error("the proxy {proxy} does not connect to {peer}")]
    ProxyRefused {
        /// Its host and port.
        proxy: String,
        /// Where we wanted to go.
        peer: String,
    },
    /// It shows a certificate that nobody whom we know has signed.
    #[error("the certificate of {peer} is not trusted: {reason}")]
    Untrusted {
        /// Host and port.
        peer: String,
        /// Who is not known.
        reason: &'static str,
    },
    /// No TLS with it, for another reason.
    #[error("{0}")]
    Tls(String),
    /// It does not speak HTTP.
    #[error("{peer} does not answer in HTTP: {reason}")]
    NoHttp {
        /// Host and port.
        peer: String,
        /// What was wrong.
        reason: String,
    },
    /// It hung up instead of an answer.
    #[error("{peer} closed the connection without an answer")]
    HungUp {
        /// Host and port.
        peer: String,
    },
    /// No answer in time.
    #[error("no answer within {}", Span(*.0))]
    Silent(Duration),
    /// Nothing more came for a while.
    #[error("nothing came for {} after {}", Span(*idle), Part { got: *got, of: *of })]
    Stalled {
        /// How long we waited.
        idle: Duration,
        /// What had come, in bytes.
        got: u64,
        /// Of how much, if the server told.
        of: Option<u64>,
    },
    /// It ended too early.
    #[error("the connection broke after {}", Part { got: *got, of: *of })]
    Broken {
        /// What had come, in bytes.
        got: u64,
        /// Of how much, if the server told.
        of: Option<u64>,
    },
    /// What should go on where it broke does not fit.
    #[error("it did not go on where the connection broke: {0}")]
    Misfit(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl Cause {
    /// Whether another attempt may end better.
    pub(in crate::sys) fn may_heal(&self) -> bool {
        !matches!(
            self,
            Cause::ProxyLogin { .. } | Cause::Untrusted { .. } | Cause::Tls(_) | Cause::NoHttp { .. }
        )
    }

    /// Why a request to `host:port` got no answer; `proxy` is on the way.
    pub(in crate::sys) fn of(
        error: &reqwest::Error,
        peer: &str,
        proxy: Option<&str>,
        connect: Duration,
    ) -> Self {
        let chain: Vec<_> = chain(error).collect();
        let said: Vec<_> = chain.iter().map(ToString::to_string).collect();
        let next = proxy.map_or_else(|| peer.to_owned(), |proxy| format!("the proxy {proxy}"));
        if let Some(tls) = chain.iter().find_map(|error| error.downcast_ref::<TlsError>()) {
            return tls_trouble(tls, peer);
        }
        if let Some(Unresolved(reason)) = chain.iter().find_map(|error| error.downcast_ref()) {
            let host = next.rsplit_once(':').map_or(&*next, |(host, _)| host).to_owned();
            return Cause::Unresolved { host, reason: reason.clone() };
        }
        if let Some(proxy) = proxy {
            let proxy = proxy.to_owned();
            // <https://github.com/hyperium/hyper-util/blob/master/src/client/legacy/connect/proxy/tunnel.rs>, whose type is private.
            if said.iter().any(|text| text == "tunnel error: proxy authorization required") {
                return Cause::ProxyLogin { proxy };
            }
            let refused =
                ["unsuccessful", "unexpected end of file"].map(|why| format!("tunnel error: {why}"));
            if said.iter().any(|text| refused.contains(text)) {
                return Cause::ProxyRefused { proxy, peer: peer.to_owned() };
            }
        }
        if error.is_connect() && error.is_timeout() {
            return Cause::Unreached { peer: next, within: connect };
        }
        let io = chain.iter().find_map(|error| error.downcast_ref::<io::Error>());
        match io.map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => {
                return Cause::Refused { peer: next, reason: "connection refused".to_owned() };
            }
            Some(
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof,
            ) => {
                return Cause::HungUp { peer: next };
            }
            _ => {}
        }
        // hyper's own words, whose type is none of our dependencies':
        // <https://github.com/hyperium/hyper/blob/master/src/error.rs>
        if said.iter().any(|text| text.starts_with("connection closed before message completed")) {
            return Cause::HungUp { peer: next };
        }
        let reason = io.map(fs::plain).or_else(|| said.last().cloned()).unwrap_or_default();
        if reason.starts_with("invalid ") || reason.starts_with("message head is too large") {
            return Cause::NoHttp { peer: next, reason };
        }
        Cause::Other(format!("no connection to {next}: {reason}"))
    }
}

/// An error and what lies behind it; what an IO error wraps is not its source, but its source's.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    })
}

/// Why there is no TLS with a server.
fn tls_trouble(error: &TlsError, peer: &str) -> Cause {
    let untrusted = |reason| Cause::Untrusted { peer: peer.to_owned(), reason };
    let its = |trouble: &str| Cause::Tls(format!("the certificate of {peer} {trouble}"));
    match error {
        TlsError::InvalidCertificate(wrong) => match wrong {
            CertificateError::UnknownIssuer => untrusted("no CA that we know has signed it"),
            // Another key under the same name, as when the company's CA was made anew.
            CertificateError::BadSignature => untrusted("the CA of that name that we know has not signed it"),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => its("has expired"),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                its("is not valid yet: is the node's clock right?")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                its("is for another name")
            }
            other => its(&format!("is not accepted: {other}")),
        },
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Cause::Tls(format!("{peer} does not speak TLS"))
        }
        TlsError::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion) => {
            Cause::Tls(format!("{peer} speaks no TLS that we do: 1.2 and 1.3"))
        }
        other => Cause::Tls(format!("no TLS with {peer}: {other}")),
    }
}

/// How often something was tried; once is not worth a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempts(pub(super) u32);

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, " (after {} attempts)", self.0) } else { Ok(()) }
    }
}

struct Through<'a>(&'a Option<String>);

impl fmt::Display for Through<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |proxy| write!(f, " through the proxy {proxy}"))
    }
}

struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

struct Found {
    size: Option<u64>,
    max: u64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size {
            Some(size) => Bytes(size).fmt(f),
            None => write!(f, "more than {}", Bytes(self.max)),
        }
    }
}

struct Part {
    got: u64,
    of: Option<u64>,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Some(of) => write!(f, "{} of {of} bytes", self.got),
            None => write!(f, "{} bytes", self.got),
        }
    }
}

/// A time that people wait.
pub(super) struct Span(pub(super) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.subsec_millis() == 0 {
            write!(f, "{} s", self.0.as_secs())
        } else {
            write!(f, "{:.1} s", self.0.as_secs_f64())
        }
    }
}
