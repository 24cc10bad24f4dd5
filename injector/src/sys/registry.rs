//! A registry of the OCI distribution specification: manifests and blobs, verified on the way, never whole in memory.

mod error;
mod login;
mod reference;
mod session;
mod upload;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use builders::function::Sha256;
use reqwest::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use rustls::ClientConfig;
use sha2::Digest as _;
use tokio::time::{sleep, timeout, timeout_at};

pub(crate) use self::error::RegistryError;
use self::login::Access;
pub(crate) use self::login::Login;
pub(crate) use self::reference::{BadReference, Reference};
use self::session::{Ask, Body, Lines, Session};
use super::fetch::{Cause, Network, Timings, tls};
use super::race::{Either, race};
use super::signal::{self, Inbox};
use super::{fs, host};

/// How often something is tried, all in all.
const ATTEMPTS: u32 = 2;
/// The largest manifest that registries must take.
const MANIFEST: usize = 4 << 20;
/// The manifests that we read.
const MANIFESTS: HeaderValue = HeaderValue::from_static("application/vnd.oci.image.manifest.v1+json");
/// How much of a tag people see.
const LONGEST_TAG: usize = 20;
/// How long to wait for what: a build goes on without a registry that takes longer.
const TIMINGS: Timings = Timings {
    connect: Duration::from_secs(3),
    answer: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    first_wait: Duration::from_millis(500),
    longest_wait: Duration::from_millis(500),
    longest_asked: Duration::from_secs(5),
};

/// One repository of a registry. Threads may use it at once.
pub(crate) struct Registry {
    reference: Reference,
    login: Option<Login>,
    network: Network,
    tls: ClientConfig,
    timings: Timings,
    inbox: &'static Inbox,
    /// What the registry wants to see.
    granted: Mutex<BTreeMap<Access, HeaderValue>>,
    /// Those that nobody uses just now.
    sessions: Mutex<Vec<Session>>,
}

/// What a manifest is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    /// A name that may stand for something else tomorrow.
    Tag(&'a str),
    /// Its digest.
    Digest(Sha256),
}

impl Registry {
    /// A repository, reached by this network, as this user.
    ///
    /// # Errors
    /// The CAs to trust cannot be read.
    pub(crate) fn new(
        reference: Reference,
        network: &Network,
        login: Option<Login>,
    ) -> Result<Self, RegistryError> {
        Registry::with(reference, network, login, TIMINGS, signal::inbox())
    }

    /// The same, with what tests replace.
    fn with(
        reference: Reference,
        network: &Network,
        login: Option<Login>,
        timings: Timings,
        inbox: &'static Inbox,
    ) -> Result<Self, RegistryError> {
        let tls = tls(&network.roots).map_err(|error| RegistryError::Setup(error.to_string()))?;
        let (granted, sessions) = (Mutex::default(), Mutex::default());
        Ok(Registry { reference, login, network: network.clone(), tls, timings, inbox, granted, sessions })
    }

    /// A manifest and its digest, if there is one of this name, until `until`.
    ///
    /// # Errors
    /// The registry does not answer, or with something else.
    pub(crate) fn manifest(
        &self,
        name: Name<'_>,
        until: Instant,
    ) -> Result<Option<(Vec<u8>, Sha256)>, RegistryError> {
        let what = self.what(name);
        let mut ask = self.question(Method::GET, &format!("manifests/{}", name.text()), &what);
        ask.headers.insert(ACCEPT, MANIFESTS);
        let found = self.run(&what, until, async |lines| {
            self.patiently(async || {
                let mut response = self.ask(lines, &ask).await?;
                if response.status() == StatusCode::NOT_FOUND {
                    self.drain(&mut response).await;
                    return Ok(None);
                }
                self.whole(&mut response, &what).await.map(Some)
            })
            .await
        })?;
        let Some(bytes) = found else { return Ok(None) };
        let digest = fs::digest_of(&bytes);
        match name {
            Name::Digest(asked) if asked != digest => Err(self.wrong(&what, "what came has another digest")),
            _ => Ok(Some((bytes, digest))),
        }
    }

    /// Whether the repository has a blob.
    ///
    /// # Errors
    /// The registry does not say.
    pub(crate) fn has_blob(&self, digest: Sha256, until: Instant) -> Result<bool, RegistryError> {
        let what = self.what(Name::Digest(digest));
        let ask = self.question(Method::HEAD, &format!("blobs/{digest}"), &what);
        self.run(&what, until, async |lines| {
            self.patiently(async || Ok(self.ask(lines, &ask).await?.status().is_success())).await
        })
    }

    /// Brings a blob of `size` bytes to `sink`, piece by piece. What `sink` was given is right only if this ends well.
    ///
    /// # Errors
    /// The blob is not there, is not what it should be, did not come, or is refused by `sink`.
    pub(crate) fn blob<E: From<RegistryError>>(
        &self,
        digest: Sha256,
        size: u64,
        until: Instant,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let what = self.what(Name::Digest(digest));
        let mut blob = Blob { digest, size, got: 0, hash: sha2::Sha256::new() };
        self.run(&what, until, async |lines| {
            self.patiently(async || self.pour(lines, &what, &mut blob, sink).await).await
        })??;
        if Sha256(blob.hash.finalize().into()) == digest {
            return Ok(());
        }
        Err(self.wrong(&what, "what came has another digest").into())
    }

    /// Brings the repository a blob of `size` bytes, which `open` lets be read.
    ///
    /// # Errors
    /// The registry does not take it, or it cannot be read.
    pub(crate) fn push_blob<R: Read>(
        &self,
        digest: Sha256,
        size: u64,
        open: impl Fn() -> io::Result<R>,
        until: Instant,
    ) -> Result<(), RegistryError> {
        let what = self.what(Name::Digest(digest));
        let open = || open().map(|from| Box::new(from) as Box<dyn Read>);
        let begin = Ask { access: Access::Push, ..self.question(Method::POST, "blobs/uploads/", &what) };
        self.run(&what, until, async |lines| {
            let mut accepted = self.patiently(async || self.ask(lines, &begin).await).await?;
            if accepted.status() != StatusCode::ACCEPTED {
                return Err(self.unexpected(&accepted, &what));
            }
            let mut url = self.location(&accepted, &what)?;
            self.drain(&mut accepted).await;
            url.query_pairs_mut().append_pair("digest", &digest.to_string());
            let body = Body::Read { size, open: &open };
            self.put(lines, &parcel(url, "application/octet-stream", &what, body)).await
        })
    }

    /// Puts a manifest under a name.
    ///
    /// # Errors
    /// The registry does not take it.
    pub(crate) fn push_manifest(
        &self,
        name: Name<'_>,
        media_type: &'static str,
        bytes: &[u8],
        until: Instant,
    ) -> Result<(), RegistryError> {
        let what = self.what(name);
        let url = self.reference.at(&format!("manifests/{}", name.text()));
        let ask = parcel(url, media_type, &what, Body::Bytes(bytes));
        self.run(&what, until, async |lines| self.patiently(async || self.put(lines, &ask).await).await)
    }

    /// Puts something where it belongs.
    async fn put(&self, lines: &mut Lines, ask: &Ask<'_>) -> Result<(), RegistryError> {
        let mut response = self.ask(lines, ask).await?;
        if !response.status().is_success() {
            return Err(self.unexpected(&response, ask.what));
        }
        self.drain(&mut response).await;
        Ok(())
    }

    /// Brings what of a blob is not here yet. What `sink` says is no reason to ask again.
    async fn pour<E>(
        &self,
        lines: &mut Lines,
        what: &str,
        blob: &mut Blob,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, RegistryError> {
        let size = blob.size;
        let mut ask = self.question(Method::GET, &format!("blobs/{}", blob.digest), what);
        if blob.got > 0 {
            let rest = HeaderValue::try_from(format!("bytes={}-", blob.got));
            ask.headers.extend(rest.ok().map(|rest| (RANGE, rest)));
        }
        let mut response = self.ask(lines, &ask).await?;
        let begins = match response.status() {
            StatusCode::PARTIAL_CONTENT => begins_at(response.headers()),
            StatusCode::OK => Some(0),
            _ => return Err(self.unexpected(&response, what)),
        };
        let begins = begins.filter(|begins| *begins <= blob.got);
        let mut known = begins.map(|begins| blob.got - begins).ok_or_else(|| {
            self.strange(what, "it goes on somewhere else than where the connection broke".to_owned())
        })?;
        let too_long = || self.wrong(what, &format!("it has more than {size} bytes"));
        if response.content_length().is_some_and(|length| length > size) {
            return Err(too_long());
        }
        while let Some(bytes) = self.chunk(&mut response, what, blob.got, Some(size)).await? {
            let new = bytes.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
            known = known.saturating_sub(bytes.len() as u64);
            blob.got += new.len() as u64;
            if blob.got > size {
                return Err(too_long());
            }
            blob.hash.update(new);
            if let Err(refused) = sink(new) {
                return Ok(Err(refused));
            }
        }
        if blob.got < size {
            return Err(self.wrong(what, &format!("it has {} of {size} bytes", blob.got)));
        }
        Ok(Ok(()))
    }

    /// All that comes.
    async fn whole(&self, response: &mut Response, what: &str) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        let of = response.content_length();
        while let Some(more) = self.chunk(response, what, bytes.len() as u64, of).await? {
            bytes.extend_from_slice(&more);
            if bytes.len() > MANIFEST {
                return Err(self.wrong(what, &format!("it has more than {MANIFEST} bytes")));
            }
        }
        Ok(bytes)
    }

    /// What comes next.
    async fn chunk(
        &self,
        response: &mut Response,
        what: &str,
        got: u64,
        of: Option<u64>,
    ) -> Result<Option<bytes::Bytes>, RegistryError> {
        let idle = self.timings.idle;
        let cause = match timeout(idle, response.chunk()).await {
            Ok(Ok(chunk)) => return Ok(chunk),
            Ok(Err(_)) => Cause::Broken { got, of },
            Err(_) => Cause::Stalled { idle, got, of },
        };
        Err(RegistryError::Network { host: self.host(), what: what.to_owned(), cause })
    }

    /// Does what takes its time, on a session that nobody else uses meanwhile.
    fn run<T>(
        &self,
        what: &str,
        until: Instant,
        work: impl AsyncFnOnce(&mut Lines) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let idle = lock(&self.sessions).pop();
        let mut session = idle.map_or_else(|| Session::new(self), Ok)?;
        let Session { runtime, lines } = &mut session;
        let done = runtime.block_on(async {
            match race(self.inbox.told(), timeout_at(until.into(), work(lines))).await {
                Either::First(signal) => Err(RegistryError::Interrupted(signal)),
                Either::Second(Ok(done)) => done,
                Either::Second(Err(_)) => {
                    Err(RegistryError::TookTooLong { host: self.host(), what: what.to_owned() })
                }
            }
        });
        lock(&self.sessions).push(session);
        done
    }

    /// Tries until it is done, will never be, or was tried often enough.
    async fn patiently<T>(
        &self,
        mut once: impl AsyncFnMut() -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut attempt = 1;
        loop {
            let error = match once().await {
                Err(error) if error.may_heal() && attempt < ATTEMPTS => error,
                done => return done,
            };
            let own = self.timings.first_wait.mul_f64(0.5 + 0.5 * host::chance());
            let asked = error.wait().unwrap_or_default();
            if asked > self.timings.longest_asked {
                return Err(error);
            }
            sleep(own.max(asked)).await;
            attempt += 1;
        }
    }

    /// What is read below the repository.
    fn question<'a>(&self, method: Method, below: &str, what: &'a str) -> Ask<'a> {
        let (url, headers) = (self.reference.at(below), HeaderMap::new());
        Ask { url, method, access: Access::Pull, what, headers, body: Body::None }
    }

    /// The registry, for people.
    fn host(&self) -> String {
        self.reference.host().to_owned()
    }

    /// A name, for people.
    fn what(&self, name: Name<'_>) -> String {
        let repository = self.reference.repository();
        match name {
            Name::Tag(tag) if tag.len() > LONGEST_TAG => {
                let start: String = tag.chars().take(LONGEST_TAG).collect();
                format!("{repository}:{start}…")
            }
            Name::Tag(tag) => format!("{repository}:{tag}"),
            Name::Digest(digest) => format!("{repository}@sha256:{}…", &digest.hex()[..12]),
        }
    }

    fn wrong(&self, what: &str, reason: &str) -> RegistryError {
        RegistryError::Wrong { host: self.host(), what: what.to_owned(), reason: reason.to_owned() }
    }

    /// An error about a status that is no success here.
    fn unexpected(&self, response: &Response, what: &str) -> RegistryError {
        let (host, what, status) = (self.host(), what.to_owned(), response.status());
        RegistryError::Status { host, what, code: status.as_u16(), status: status.to_string(), wait: None }
    }

    /// What the registry was shown when it last let us in.
    fn granted(&self, access: Access) -> Option<HeaderValue> {
        lock(&self.granted).get(&access).cloned()
    }

    fn grant(&self, access: Access, shown: &HeaderValue) {
        lock(&self.granted).insert(access, shown.clone());
    }
}

/// What the registry is, not who we are there.
impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("reference", &self.reference).finish_non_exhaustive()
    }
}

impl Name<'_> {
    /// As it stands in addresses.
    fn text(self) -> String {
        match self {
            Name::Tag(tag) => tag.to_owned(),
            Name::Digest(digest) => digest.to_string(),
        }
    }
}

/// What is brought to a registry.
fn parcel<'a>(url: Url, media_type: &'static str, what: &'a str, body: Body<'a>) -> Ask<'a> {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media_type))]);
    Ask { url, method: Method::PUT, access: Access::Push, what, headers, body }
}

/// What has come of a blob.
struct Blob {
    digest: Sha256,
    size: u64,
    got: u64,
    /// Over what `sink` was given.
    hash: sha2::Sha256,
}

/// Where a part of a blob begins.
fn begins_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.parse().ok()
}

/// Nobody panics while holding it, and what is in it is whole at any time.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
