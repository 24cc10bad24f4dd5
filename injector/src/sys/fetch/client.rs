//! One request for a file, wherever redirects lead it: whom to trust, through which proxy, with which login.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Response, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use super::address::Address;
use super::error::{Attempts, Cause, FetchError};
use super::proxies::Proxy;
use super::resolve::Names;
use super::{Network, Timings};

/// How many redirects are followed.
const REDIRECTS: usize = 10;
/// What we call ourselves.
const USER_AGENT: &str = concat!("injector/", env!("CARGO_PKG_VERSION"));

/// What requests are made with.
pub(super) struct Client<'a> {
    network: &'a Network,
    timings: &'a Timings,
    tls: ClientConfig,
    names: Names,
}

/// An answer, and on which way it came.
pub(super) struct Answer {
    /// The answer.
    pub(super) response: Response,
    /// Who gave it, in the end.
    pub(super) at: Address,
    /// Through which proxy.
    pub(super) proxy: Option<String>,
}

impl<'a> Client<'a> {
    /// A client for this network.
    pub(super) fn new(network: &'a Network, timings: &'a Timings) -> Result<Self, FetchError> {
        // Who waits for names longer than for connections would not learn that it was for names.
        let names = Names::of_system(timings.connect * 4 / 5);
        Ok(Client { network, timings, tls: tls(&network.roots)?, names })
    }

    /// Asks for a file, and goes where redirects lead.
    pub(super) async fn get(&self, first: &Address, headers: &HeaderMap) -> Result<Answer, FetchError> {
        let mut seen = vec![first.clone()];
        loop {
            let at = seen.last().unwrap_or(first);
            let answer = self.ask(at, first, headers).await?;
            let status = answer.response.status();
            if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let to = redirect(&answer)?;
            let from = first.to_string();
            if seen.iter().any(|one| one.bare() == to.bare()) {
                return Err(FetchError::Circle { from, to: at.to_string() });
            }
            if seen.len() > REDIRECTS {
                return Err(FetchError::Redirects { from, to: to.to_string(), most: REDIRECTS });
            }
            seen.push(to);
        }
    }

    /// Asks once, and waits for the head of the answer.
    async fn ask(&self, at: &Address, first: &Address, headers: &HeaderMap) -> Result<Answer, FetchError> {
        let Timings { connect, answer, .. } = *self.timings;
        let proxy = self.network.proxies.towards(at.url())?;
        let client = connector(&self.tls, &self.names, connect, proxy.as_ref())?.pool_max_idle_per_host(0);
        let proxy = proxy.map(|proxy| proxy.to_string());
        let mut request = client.build().map_err(setup)?.get(at.bare()).headers(headers.clone());
        if let Some(login) = at.authorization(first, &self.network.logins) {
            request = request.header(AUTHORIZATION, login);
        }
        let failed =
            |cause| Err(FetchError::Network { address: by_way_of(at, first), cause, attempts: Attempts(1) });
        match timeout(connect + answer, request.send()).await {
            Ok(Ok(response)) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => match proxy
            {
                Some(proxy) => failed(Cause::ProxyLogin { proxy }),
                None => Ok(Answer { response, at: at.clone(), proxy }),
            },
            Ok(Ok(response)) => Ok(Answer { response, at: at.clone(), proxy }),
            Ok(Err(error)) => failed(Cause::of(&error.without_url(), &at.peer(), proxy.as_deref(), connect)),
            Err(_) => failed(Cause::Silent(answer)),
        }
    }
}

/// What makes requests of ours: it decides nothing by itself, and reads nothing of the environment.
pub(in crate::sys) fn connector(
    tls: &ClientConfig,
    names: &Names,
    connect: Duration,
    proxy: Option<&Proxy>,
) -> Result<reqwest::ClientBuilder, FetchError> {
    // The bytes as they are: a digest is over them.
    let as_they_are = [(ACCEPT_ENCODING, HeaderValue::from_static("identity"))];
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .user_agent(USER_AGENT)
        .default_headers(HeaderMap::from_iter(as_they_are))
        .connect_timeout(connect)
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(names.clone());
    Ok(match proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.url().clone()).map_err(setup)?),
        None => builder,
    })
}

/// An address, and which one led there.
pub(super) fn by_way_of(at: &Address, first: &Address) -> String {
    if at == first { at.to_string() } else { format!("{at} (to which {first} redirects)") }
}

/// Where an answer sends us.
fn redirect(answer: &Answer) -> Result<Address, FetchError> {
    let Answer { response, at, .. } = answer;
    let nowhere = |reason: String| FetchError::Nowhere {
        from: at.to_string(),
        status: response.status().to_string(),
        reason,
    };
    let location =
        response.headers().get(LOCATION).ok_or_else(|| nowhere("there is no Location".to_owned()))?;
    let location = String::from_utf8_lossy(location.as_bytes());
    let to = at.redirect(&location).map_err(|error| nowhere(error.to_string()))?;
    if at.url().scheme() == "https" && to.url().scheme() == "http" {
        return Err(FetchError::Downgrade { from: at.to_string(), to: to.to_string() });
    }
    Ok(to)
}

/// Trusts these roots (PEM), or where there are none, those that browsers trust.
pub(in crate::sys) fn tls(roots: &[u8]) -> Result<ClientConfig, FetchError> {
    let mut store = RootCertStore::empty();
    if roots.is_empty() {
        store.add_parsable_certificates(TLS_SERVER_ROOT_CERTS.iter().cloned());
    } else {
        let certificates = CertificateDer::pem_slice_iter(roots).filter_map(Result::ok);
        store.add_parsable_certificates(certificates);
        if store.is_empty() {
            return Err(FetchError::Setup("no certificate of the CA bundle can be read".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| FetchError::Setup(error.to_string()))?;
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

pub(in crate::sys) fn setup(error: reqwest::Error) -> FetchError {
    FetchError::Setup(error.without_url().to_string())
}

/// The time-outs and waits; tests have shorter ones.
impl Timings {
    /// Those that people have.
    pub(super) const USUAL: Timings = Timings {
        connect: Duration::from_secs(10),
        answer: Duration::from_secs(30),
        idle: Duration::from_secs(30),
        first_wait: Duration::from_millis(500),
        longest_wait: Duration::from_secs(10),
        longest_asked: Duration::from_mins(1),
    };
}
