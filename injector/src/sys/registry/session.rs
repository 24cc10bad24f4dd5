//! One conversation with a registry at a time: its connections stay open, redirects are followed, and who we are is shown to the registry alone.

use std::io::{self, Read};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::Registry;
use super::error::RegistryError;
use super::login::{Access, Challenge, Granted, Login, bearer, question};
use super::upload::{self, Unsent};
use crate::sys::fetch::{Cause, FetchError, Names, asked_to_wait, connector, peer, setup};
use crate::sys::fs;

/// How many redirects are followed.
const REDIRECTS: usize = 5;
/// What is read of an answer that nobody wants.
const SAID: usize = 64 << 10;
/// The longest answer of a service of tokens.
const TOKEN: usize = 1 << 20;

/// What can do one thing after the other.
pub(super) struct Session {
    /// What drives it.
    pub(super) runtime: Runtime,
    /// Its connections.
    pub(super) lines: Lines,
}

/// Connections, by the proxy on the way.
pub(super) struct Lines {
    names: Names,
    clients: Vec<(Option<Url>, Client)>,
}

/// What is asked of a registry.
pub(super) struct Ask<'a> {
    /// Where.
    pub(super) url: Url,
    /// What shall be done there.
    pub(super) method: Method,
    /// What that takes.
    pub(super) access: Access,
    /// What it is about, for people.
    pub(super) what: &'a str,
    /// What else to say.
    pub(super) headers: HeaderMap,
    /// What goes with it.
    pub(super) body: Body<'a>,
}

/// What goes with a request.
pub(super) enum Body<'a> {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(&'a [u8]),
    /// What is read, as often as it is sent.
    Read {
        /// How many bytes it has.
        size: u64,
        /// Begins at the beginning.
        open: &'a dyn Fn() -> io::Result<Box<dyn Read + 'a>>,
    },
}

impl Session {
    /// A new one.
    pub(super) fn new(registry: &Registry) -> Result<Self, RegistryError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| RegistryError::Setup(fs::plain(&error)))?;
        // Who waits for names longer than for connections would not learn that it was for names.
        let names = Names::of_system(registry.timings.connect * 4 / 5);
        Ok(Session { runtime, lines: Lines { names, clients: Vec::new() } })
    }
}

impl Registry {
    /// Asks, and logs in once if that is asked for. What comes is a success, or 404.
    pub(super) async fn ask(&self, lines: &mut Lines, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        let mut shown = self.granted(ask.access);
        let mut response = self.follow(lines, ask, shown.as_ref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.reference.is_own(response.url()) {
            let challenge = Challenge::of(response.headers());
            self.drain(&mut response).await;
            shown = match challenge {
                Some(challenge) => self.log_in(lines, challenge, ask).await?,
                None => None,
            };
            if shown.is_some() {
                response = self.follow(lines, ask, shown.as_ref()).await?;
            }
        }
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return Ok(response);
        }
        let wait = asked_to_wait(response.headers());
        self.drain(&mut response).await;
        let is_login = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let (host, what, status) = (self.host(), ask.what.to_owned(), status.to_string());
        Err(if is_login && self.reference.is_own(response.url()) {
            RegistryError::Login { host, what, status }
        } else {
            RegistryError::Status { host, what, code: response.status().as_u16(), status, wait }
        })
    }

    /// Asks, and goes where redirects lead, without showing there who we are.
    async fn follow(
        &self,
        lines: &mut Lines,
        ask: &Ask<'_>,
        shown: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let mut at = ask.url.clone();
        for _ in 0..=REDIRECTS {
            let shown = shown.filter(|_| self.reference.is_own(&at));
            let mut response = self.exchange(lines, ask, &at, shown).await?;
            let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            if !is_redirect || !ask.method.is_safe() {
                return Ok(response);
            }
            at = self.location(&response, ask.what)?;
            self.drain(&mut response).await;
        }
        Err(self.strange(ask.what, format!("it redirects more than {REDIRECTS} times")))
    }

    /// Asks once, and waits for the head of the answer.
    async fn exchange(
        &self,
        lines: &mut Lines,
        ask: &Ask<'_>,
        at: &Url,
        shown: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let timings = &self.timings;
        let proxy = self.network.proxies.towards(at).map_err(|error| unusable(&error))?;
        let failed = |cause| RegistryError::Network { host: self.host(), what: ask.what.to_owned(), cause };
        let mut request = lines.client(self, at)?.request(ask.method.clone(), at.clone());
        request = request.headers(ask.headers.clone());
        if let Some(shown) = shown {
            request = request.header(AUTHORIZATION, shown);
        }
        let unsent = |source| RegistryError::Source { what: ask.what.to_owned(), source };
        let whole = timings.connect + timings.answer;
        let silent = |_| Unsent::Slow(Cause::Silent(timings.answer));
        let sent = match &ask.body {
            Body::Read { size, open } => {
                let mut from = open().map_err(unsent)?;
                upload::send(request, *size, &mut from, timings.idle, timings.answer).await
            }
            Body::Bytes(bytes) => {
                let sent = timeout(whole, request.body(bytes.to_vec()).send()).await;
                sent.map_err(silent).and_then(|sent| sent.map_err(Unsent::Request))
            }
            Body::None => {
                let sent = timeout(whole, request.send()).await;
                sent.map_err(silent).and_then(|sent| sent.map_err(Unsent::Request))
            }
        };
        let proxy = proxy.map(|proxy| proxy.to_string());
        match (sent, proxy) {
            (Ok(response), Some(proxy)) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(failed(Cause::ProxyLogin { proxy }))
            }
            (Ok(response), _) => Ok(response),
            (Err(Unsent::Request(error)), proxy) => {
                let (error, peer) = (error.without_url(), peer(at));
                Err(failed(Cause::of(&error, &peer, proxy.as_deref(), timings.connect)))
            }
            (Err(Unsent::Slow(cause)), _) => Err(failed(cause)),
            (Err(Unsent::Source(source)), _) => Err(unsent(source)),
        }
    }

    /// What shows who we are, in the way that the registry asks for; nothing if we are nobody.
    async fn log_in(
        &self,
        lines: &mut Lines,
        challenge: Challenge,
        ask: &Ask<'_>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let shown = match (challenge, &self.login) {
            (Challenge::Basic, login) => login.as_ref().and_then(Login::basic),
            (Challenge::Bearer { .. }, Some(Login::Token(token))) => bearer(token),
            (Challenge::Bearer { realm, service, scope }, login) => {
                let realm = realm.parse::<Url>().ok().filter(|realm| self.is_no_worse(realm));
                let realm = realm.ok_or_else(|| {
                    self.strange(ask.what, "it gives no address of its own kind for tokens".to_owned())
                })?;
                let identity = match login {
                    Some(Login::Identity(identity)) => Some(identity.as_str()),
                    _ => None,
                };
                let (url, form) = question(
                    realm,
                    service.as_deref(),
                    scope.as_deref(),
                    self.reference.repository(),
                    ask.access,
                    identity,
                );
                Some(self.token(lines, ask, url, form.as_deref()).await?)
            }
        };
        if let Some(shown) = &shown {
            self.grant(ask.access, shown);
        }
        Ok(shown)
    }

    /// Asks a service of tokens.
    async fn token(
        &self,
        lines: &mut Lines,
        ask: &Ask<'_>,
        url: Url,
        form: Option<&str>,
    ) -> Result<HeaderValue, RegistryError> {
        let what = format!("a token for {}", ask.what);
        let mut headers = HeaderMap::new();
        if form.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let body = form.map_or(Body::None, |form| Body::Bytes(form.as_bytes()));
        let ask = Ask { url, method, access: ask.access, what: &what, headers, body };
        let user = self.login.as_ref().and_then(Login::basic);
        let mut response = self.exchange(lines, &ask, &ask.url, user.as_ref()).await?;
        let bytes = self.rest(&mut response, TOKEN).await;
        let status = response.status();
        match status.as_u16() {
            200 => {
                let granted = serde_json::from_slice(&bytes).ok().and_then(Granted::header);
                granted.ok_or_else(|| self.strange(&what, "there is no token in the answer".to_owned()))
            }
            400 | 401 | 403 => {
                Err(RegistryError::Login { host: self.host(), what, status: status.to_string() })
            }
            code => Err(RegistryError::Status {
                host: self.host(),
                what,
                code,
                status: status.to_string(),
                wait: asked_to_wait(response.headers()),
            }),
        }
    }

    /// Where an answer sends us.
    pub(super) fn location(&self, response: &Response, what: &str) -> Result<Url, RegistryError> {
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let to = location.and_then(|location| response.url().join(location).ok());
        let to = to.filter(|to| matches!(to.scheme(), "http" | "https"));
        let mut to = to.ok_or_else(|| self.strange(what, "it does not say where to go on".to_owned()))?;
        if response.url().scheme() == "https" && to.scheme() == "http" {
            return Err(self.strange(what, "it leads from https to http".to_owned()));
        }
        // A server that names a user could make us log in elsewhere; an http address has a host, which is all that these need.
        let _ = to.set_username("");
        let _ = to.set_password(None);
        Ok(to)
    }

    /// Takes what nobody wants, so that the connection can be used again.
    pub(super) async fn drain(&self, response: &mut Response) {
        self.rest(response, SAID).await;
    }

    /// The rest of an answer, as far as it comes, up to `most` bytes.
    async fn rest(&self, response: &mut Response, most: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() <= most {
            let Ok(Ok(Some(more))) = timeout(self.timings.idle, response.chunk()).await else { break };
            bytes.extend_from_slice(&more);
        }
        bytes
    }

    /// An error about what does not belong to the protocol.
    pub(super) fn strange(&self, what: &str, reason: String) -> RegistryError {
        RegistryError::Strange { host: self.host(), what: what.to_owned(), reason }
    }

    /// Whether an address may be shown what the registry is shown.
    fn is_no_worse(&self, url: &Url) -> bool {
        url.scheme() == "https" || url.scheme() == "http" && self.reference.is_plain()
    }
}

impl Lines {
    /// What reaches an address.
    fn client(&mut self, registry: &Registry, at: &Url) -> Result<Client, RegistryError> {
        let proxy = registry.network.proxies.towards(at).map_err(|error| unusable(&error))?;
        let way = proxy.as_ref().map(|proxy| proxy.url().clone());
        if let Some((_, client)) = self.clients.iter().find(|(known, _)| *known == way) {
            return Ok(client.clone());
        }
        let connector = connector(&registry.tls, &self.names, registry.timings.connect, proxy.as_ref());
        let client = connector
            .and_then(|connector| connector.build().map_err(setup))
            .map_err(|error| unusable(&error))?;
        self.clients.push((way, client.clone()));
        Ok(client)
    }
}

fn unusable(error: &FetchError) -> RegistryError {
    RegistryError::Setup(error.to_string())
}
