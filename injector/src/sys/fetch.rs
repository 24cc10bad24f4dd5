//! Fetching a file over http and https: verified on the way, tried again where that may help, never whole in memory.

mod address;
mod client;
mod download;
mod error;
pub(crate) mod page;
mod proxies;
mod resolve;

use std::fmt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use builders::function::Sha256;
use httpdate::parse_http_date;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

pub(crate) use self::address::{Address, BadAddress, Login};
pub(super) use self::address::{basic, peer};
use self::client::{Answer, Client, by_way_of};
pub(super) use self::client::{connector, setup, tls};
use self::download::Download;
use self::error::{Attempts, Span};
pub(crate) use self::error::{Cause, FetchError};
pub(crate) use self::proxies::{Proxies, secrets_of as proxy_secrets};
pub(super) use self::resolve::Names;
use super::race::{Either, race};
use super::signal::{self, Inbox};
use super::{fs, host};

/// How often something is tried, all in all.
const ATTEMPTS: u32 = 5;
/// What is read of an answer that is no file.
const SAID: usize = 4 << 10;

/// How the world is reached.
#[derive(Clone, Default)]
pub(crate) struct Network {
    /// Whom to trust: certificates as PEM; where it is empty, those whom browsers trust.
    pub(crate) roots: Vec<u8>,
    /// The proxies.
    pub(crate) proxies: Proxies,
    /// Who may log in where.
    pub(crate) logins: Vec<Login>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("logins", &self.logins).finish_non_exhaustive()
    }
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Its size, in bytes.
    pub(crate) size: u64,
    /// Its digest.
    pub(crate) sha256: Sha256,
    /// Whether it is a page for people to read, by what the server says of it and by how it begins.
    pub(crate) is_web_page: bool,
}

/// Fetches what is at `from` into the file `to`, at most `max` bytes, in `allowed` at most.
///
/// What may heal is tried again, and `retrying` is told why and when. SIGTERM ends it at once. After an error,
/// there is no file.
///
/// # Errors
/// It cannot be had, is too large, or cannot be written.
pub(crate) fn fetch(
    from: &Address,
    to: &Path,
    max: u64,
    allowed: Duration,
    network: &Network,
    retrying: &mut dyn FnMut(&str),
) -> Result<Fetched, FetchError> {
    let world = World { inbox: signal::inbox(), timings: Timings::USUAL };
    fetch_in(&world, &Errand { from, max, allowed, network }, to, retrying)
}

/// What tests replace: who tells us to stop, and how long things take.
struct World<'a> {
    inbox: &'a Inbox,
    timings: Timings,
}

/// How long to wait for what.
pub(super) struct Timings {
    /// For a connection, with TLS and all.
    pub(super) connect: Duration,
    /// For the head of an answer, once connected.
    pub(super) answer: Duration,
    /// For the next bytes.
    pub(super) idle: Duration,
    /// Before the second attempt; then twice as long each time.
    pub(super) first_wait: Duration,
    /// Before any attempt, unless the server asks for more.
    pub(super) longest_wait: Duration,
    /// The longest that a server may ask for.
    pub(super) longest_asked: Duration,
}

/// What shall be fetched.
struct Errand<'a> {
    from: &'a Address,
    max: u64,
    allowed: Duration,
    network: &'a Network,
}

fn fetch_in(
    world: &World<'_>,
    errand: &Errand<'_>,
    to: &Path,
    retrying: &mut dyn FnMut(&str),
) -> Result<Fetched, FetchError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| FetchError::Setup(fs::plain(&error)))?;
    let mut download = Download::create(to)?;
    let fetched = runtime.block_on(async {
        let whole = timeout(errand.allowed, errand.carry_out(&world.timings, &mut download, retrying));
        match race(world.inbox.told(), whole).await {
            Either::First(signal) => Err(FetchError::Interrupted(signal)),
            Either::Second(Ok(content_type)) => content_type,
            Either::Second(Err(_)) => Err(FetchError::TookTooLong {
                address: errand.from.to_string(),
                timeout: errand.allowed,
                got: download.size(),
            }),
        }
    });
    let finished = fetched.and_then(|content_type| {
        let is_web_page = page::is_web_page(&content_type, download.start());
        let (size, sha256) = download.finish()?;
        Ok(Fetched { size, sha256, is_web_page })
    });
    if finished.is_err() {
        // The error tells more than that a part of the file could not be removed.
        let _ = fs::remove(to);
    }
    finished
}

impl Errand<'_> {
    /// Tries until it is there, will never be, or was tried often enough. Gives the Content-Type.
    async fn carry_out(
        &self,
        timings: &Timings,
        download: &mut Download,
        retrying: &mut dyn FnMut(&str),
    ) -> Result<String, FetchError> {
        let client = Client::new(self.network, timings)?;
        let mut attempt = 1;
        loop {
            let error = match self.attempt(&client, timings, download).await {
                Ok(content_type) => return Ok(content_type),
                Err(error) if !error.may_heal() || attempt == ATTEMPTS => return Err(error.after(attempt)),
                Err(error) => error,
            };
            let wait = timings.wait(attempt, &error)?;
            attempt += 1;
            let how = if download.goes_on() { "going on" } else { "trying again" };
            retrying(&format!("{error}; {how} in {}, attempt {attempt} of {ATTEMPTS}", Span(wait)));
            sleep(wait).await;
        }
    }

    /// Asks once, and takes what comes.
    async fn attempt(
        &self,
        client: &Client<'_>,
        timings: &Timings,
        download: &mut Download,
    ) -> Result<String, FetchError> {
        let Answer { mut response, at, proxy } = client.get(self.from, &download.rest()).await?;
        let address = by_way_of(&at, self.from);
        let failed = |cause| FetchError::Network { address: address.clone(), cause, attempts: Attempts(1) };
        match response.status().as_u16() {
            200 | 203 => download.begin(response.headers(), response.content_length())?,
            206 if download.goes_on() => {
                if let Err(misfit) = download.go_on(response.headers()) {
                    download.forget()?;
                    return Err(failed(misfit));
                }
            }
            416 if download.goes_on() => {
                download.forget()?;
                return Err(failed(Cause::Misfit(response.status().to_string())));
            }
            code => {
                return Err(FetchError::Status {
                    address,
                    code,
                    status: response.status().to_string(),
                    proxy,
                    wait: asked_to_wait(response.headers()),
                    said: said(&mut response, timings.idle, [self.from, &at]).await,
                    attempts: Attempts(1),
                });
            }
        }
        let too_large = |size| FetchError::TooLarge { address: address.clone(), size, max: self.max };
        if download.total().is_some_and(|total| total > self.max) {
            return Err(too_large(download.total()));
        }
        loop {
            let (got, of) = (download.size(), download.total());
            match timeout(timings.idle, response.chunk()).await {
                Err(_) => return Err(failed(Cause::Stalled { idle: timings.idle, got, of })),
                Ok(Err(_)) => return Err(failed(Cause::Broken { got, of })),
                Ok(Ok(Some(bytes))) if got + bytes.len() as u64 > self.max => return Err(too_large(None)),
                Ok(Ok(Some(bytes))) => download.push(&bytes)?,
                Ok(Ok(None)) if of.is_some_and(|of| of != got) => {
                    return Err(failed(Cause::Broken { got, of }));
                }
                Ok(Ok(None)) => break,
            }
        }
        let content_type = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        Ok(String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned())
    }
}

impl Timings {
    /// How long to wait after the attempt with this number: as long as the server asks, if that is not too long, and
    /// at least twice as long as before, but for what chance takes off, so that pods that failed together do not come back together.
    fn wait(&self, attempt: u32, why: &FetchError) -> Result<Duration, FetchError> {
        let full = self.longest_wait.min(self.first_wait * 2_u32.pow(attempt - 1));
        let own = full.mul_f64(0.5 + 0.5 * host::chance());
        let FetchError::Status { address, status, wait: Some(asked), .. } = why else {
            return Ok(own);
        };
        if *asked > self.longest_asked {
            let (address, status) = (address.clone(), status.clone());
            return Err(FetchError::Later { address, status, wait: *asked, most: self.longest_asked });
        }
        Ok(own.max(*asked))
    }
}

/// How long a server asks to wait: seconds, or a date.
pub(super) fn asked_to_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(until.saturating_sub(Duration::from_secs(host::now())))
}

/// The first line of an answer that is no file, without what is secret in the addresses that were asked: servers repeat
/// them, and nobody would know a secret of which a part is cut off.
async fn said(response: &mut Response, idle: Duration, asked: [&Address; 2]) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < SAID {
        // As far as it comes.
        let Ok(Ok(Some(more))) = timeout(idle, response.chunk()).await else { break };
        bytes.extend_from_slice(&more);
    }
    bytes.truncate(SAID);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let secrets = asked.into_iter().flat_map(Address::secrets);
    page::first_line(&secrets.fold(text, |text, secret| text.replace(&secret, "***")))
}

#[cfg(test)]
pub(super) mod server;
#[cfg(test)]
mod tests;
