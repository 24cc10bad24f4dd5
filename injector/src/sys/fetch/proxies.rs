//! Through which proxy the way out leads, if through any: `HTTPS_PROXY`, `NO_PROXY` and their kin.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use super::address;
use super::error::FetchError;

/// The proxies, as the environment gives them. They may hold credentials.
#[derive(Clone, Default)]
pub(crate) struct Proxies {
    /// `HTTP_PROXY`.
    pub(crate) http: Option<String>,
    /// `HTTPS_PROXY`.
    pub(crate) https: Option<String>,
    /// `ALL_PROXY`, where the one above is absent.
    pub(crate) all: Option<String>,
    /// `NO_PROXY`.
    pub(crate) no: Option<String>,
}

/// One proxy.
#[derive(Clone)]
pub(in crate::sys) struct Proxy(Url);

impl Proxies {
    /// The proxy on the way to a URL.
    pub(in crate::sys) fn towards(&self, url: &Url) -> Result<Option<Proxy>, FetchError> {
        let (own, variable) = match url.scheme() {
            "https" => (&self.https, "HTTPS_PROXY"),
            _ => (&self.http, "HTTP_PROXY"),
        };
        let own = own.as_deref().map(|value| (value, variable));
        let Some((value, variable)) = own.or_else(|| Some((self.all.as_deref()?, "ALL_PROXY"))) else {
            return Ok(None);
        };
        if self.no.as_deref().is_some_and(|no| spares(no, url)) {
            return Ok(None);
        }
        Proxy::parse(value).map(Some).ok_or(FetchError::NoProxy { variable })
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy may be given without a scheme, as curl has it: `proxy:3128`, `//user:password@proxy:3128`.
    fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        let url = if value.contains("://") {
            Url::parse(value)
        } else {
            Url::parse(&format!("http://{}", value.trim_start_matches('/')))
        };
        url.ok().filter(|url| matches!(url.scheme(), "http" | "https")).map(Proxy)
    }

    /// Its URL, with its login.
    pub(in crate::sys) fn url(&self) -> &Url {
        &self.0
    }
}

/// Its host and port.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&address::peer(&self.0))
    }
}

/// The credentials in what a proxy's variable holds.
pub(crate) fn secrets_of(value: &str) -> Vec<String> {
    let Some(Proxy(url)) = Proxy::parse(value) else {
        let after_scheme = value.split_once("//").map_or(value, |(_, rest)| rest);
        let login = after_scheme.rsplit_once('@').map_or("", |(login, _)| login);
        let password = login.split_once(':').map_or("", |(_, password)| password);
        return [value, login, password]
            .into_iter()
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect();
    };
    match (url.username(), url.password()) {
        ("", None) => Vec::new(),
        (user, None) => vec![user.to_owned()],
        (user, Some(password)) => vec![password.to_owned(), format!("{user}:{password}")],
    }
}

/// Whether a list like `NO_PROXY` names a URL's host: `*`, a domain and all below it (with a dot or `*.` before it, too),
/// an address, a network (`10.0.0.0/8`), each of them with a port or without.
fn spares(list: &str, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.');
    let port = url.port_or_known_default();
    let is_meant = |entry: &str| {
        if entry == "*" {
            return true;
        }
        let (name, wanted) = split_port(entry);
        if wanted.is_some() && wanted != port {
            return false;
        }
        match (host.parse::<IpAddr>(), name.split_once('/')) {
            (Ok(host), Some((net, length))) => {
                net.parse().is_ok_and(|net| length.parse().is_ok_and(|length| is_within(host, net, length)))
            }
            (Ok(host), None) => name.parse() == Ok(host),
            (Err(_), _) => {
                let domain = name.trim_start_matches('*').trim_matches('.').to_ascii_lowercase();
                let above = host.strip_suffix(&domain);
                !domain.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
        }
    };
    list.split([',', ' ', '\t', '\n']).map(str::trim).filter(|entry| !entry.is_empty()).any(is_meant)
}

/// An entry without its port, and the port; an IPv6 address has one only behind brackets.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|entry| entry.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.split_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) => (name, Some(port)),
        _ => (entry, None),
    }
}

/// Whether an address has the first `length` bits of a network's.
fn is_within(host: IpAddr, net: IpAddr, length: u32) -> bool {
    let (host, net, width) = match (host, net) {
        (IpAddr::V4(host), IpAddr::V4(net)) => (host.to_bits().into(), net.to_bits().into(), 32),
        (IpAddr::V6(host), IpAddr::V6(net)) => (host.to_bits(), net.to_bits(), 128),
        _ => return false,
    };
    let differing: u128 = host ^ net;
    length <= width && differing.checked_shr(width - length).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn a_list_spares_hosts_domains_networks_and_ports() {
        for (list, spared) in [
            ("*", "http://any.example/"),
            ("*", "http://10.0.0.1/"),
            ("host.example", "http://HOST.example:8080/"),
            ("host.example", "http://sub.host.example/"),
            (".host.example", "http://sub.host.example/"),
            (".host.example", "http://host.example/"),
            ("*.host.example", "http://sub.host.example/"),
            ("Host.Example.", "http://host.example/"),
            ("a, host.example:8080", "http://host.example:8080/"),
            ("a host.example:443", "https://host.example/"),
            ("10.0.0.1", "http://10.0.0.1:80/"),
            ("10.0.0.0/8", "http://10.200.3.4/"),
            ("0.0.0.0/0", "http://10.200.3.4/"),
            ("::1", "http://[::1]:8080/"),
            ("[::1]:8080", "http://[::1]:8080/"),
            ("fd00::/8", "http://[fdab::1]/"),
        ] {
            assert!(spares(list, &url(spared)), "{list} for {spared}");
        }
        for (list, proxied) in [
            ("", "http://host.example/"),
            (",", "http://host.example/"),
            ("host.example", "http://nohost.example/"),
            ("host.example:8080", "http://host.example/"),
            ("sub.host.example", "http://host.example/"),
            ("10.0.0.0/8", "http://11.0.0.1/"),
            ("10.0.0.0/33", "http://10.0.0.0/"),
            ("10.0.0.0/8", "http://host.10.example/"),
            ("fd00::/8", "http://10.0.0.1/"),
            ("::1", "http://[::2]/"),
            (".", "http://host.example/"),
        ] {
            assert!(!spares(list, &url(proxied)), "{list} for {proxied}");
        }
    }

    #[test]
    fn each_scheme_has_its_proxy_and_falls_back_on_the_one_for_all() {
        let given = |text: &str| Some(text.to_owned());
        let proxies = Proxies { https: given("secure:3128"), all: given("//u:p@all"), ..Proxies::default() };
        let towards = |target: &str| {
            proxies
                .towards(&url(target))
                .expect("a proxy")
                .map(|proxy| (proxy.to_string(), proxy.url().to_string()))
        };
        assert_eq!(towards("https://x/"), Some(("secure:3128".to_owned(), "http://secure:3128/".to_owned())));
        assert_eq!(towards("http://x/"), Some(("all:80".to_owned(), "http://u:p@all/".to_owned())));
        assert!(Proxies::default().towards(&url("http://x/")).is_ok_and(|proxy| proxy.is_none()));
    }

    #[test]
    fn a_proxy_that_is_none_is_named_by_its_variable_alone() {
        for value in ["socks5://u:hunter22@proxy", "http://u:hunter22@", "ftp://hunter22"] {
            let proxies = Proxies { all: Some(value.to_owned()), ..Proxies::default() };
            let error = proxies.towards(&url("http://x/")).err().expect("an error").to_string();
            assert!(error.contains("ALL_PROXY") && !error.contains("hunter22"), "{error}");
            assert!(!format!("{proxies:?}").contains("hunter22"));
        }
    }

    #[test]
    fn the_login_of_a_proxy_is_secret_however_it_is_written() {
        for value in ["http://me:hunter22@proxy:3128", "me:hunter22@proxy:3128", "//me:hunter22@proxy"] {
            assert_eq!(secrets_of(value), ["hunter22", "me:hunter22"], "{value}");
        }
        assert_eq!(secrets_of("http://proxy:3128"), [""; 0]);
        // Also where it names no proxy.
        let value = "http://me:hunter22@pro xy:3128";
        assert_eq!(secrets_of(value), [value, "me:hunter22", "hunter22"]);
    }
}
