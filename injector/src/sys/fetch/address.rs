//! Where something is fetched from, and who may log in there: what of it may be shown, and what is secret.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use builders::function::RelPath;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::HeaderValue;

/// An `http:` or `https:` address. Shown are scheme, host, port and path: the rest may hold credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address(Url);

/// Why a text is no address of ours. The text itself is not repeated: it may hold credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadAddress {
    /// There is none.
    #[error("it is empty")]
    Empty,
    /// It is binary, or longer than any address.
    #[error("it is no text, or one of more than 1 MiB")]
    NoText,
    /// It has blanks or control characters in its middle.
    #[error("it is more than one word")]
    Words,
    /// It is no address at all.
    #[error("it is no address: {0}")]
    NoUrl(String),
    /// It is for another protocol.
    #[error("it begins with `{0}:`, and only http: and https: are fetched")]
    Scheme(String),
}

/// A login of a netrc file.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    /// The host that it is for; `None` for any, as `default` says.
    pub(crate) machine: Option<String>,
    /// The user.
    pub(crate) user: Option<String>,
    /// The password.
    pub(crate) password: Option<String>,
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadAddress::Empty);
        }
        // A URL's parser drops line ends, and makes one address of two.
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(BadAddress::Words);
        }
        Address::new(Url::parse(text).map_err(|error| BadAddress::NoUrl(error.to_string()))?)
    }
}

impl Address {
    fn new(mut url: Url) -> Result<Self, BadAddress> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadAddress::Scheme(url.scheme().to_owned()));
        }
        url.set_fragment(None);
        Ok(Address(url))
    }

    /// What nobody shall see of it: user, password, and values of its query, of 6 bytes or more.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = String> {
        let raw = [Some(self.0.username()), self.0.password()].into_iter().flatten();
        let values = self.0.query().into_iter().flat_map(|query| query.split('&'));
        let values = values.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let secrets = raw.chain(values).flat_map(|value| [value.to_owned(), decoded(value)]);
        secrets.filter(|value| value.len() >= 6).collect::<Vec<_>>().into_iter()
    }

    /// The last part of its path, decoded, if a file may have that name.
    pub(crate) fn file_name(&self) -> Option<String> {
        let last = decoded(self.0.path_segments()?.next_back()?);
        let name: RelPath = last.parse().ok()?;
        (name.name() == last).then_some(last)
    }

    /// As it is asked for: without user and password.
    pub(super) fn bare(&self) -> Url {
        let mut url = self.0.clone();
        // An http address has a host, which is all that these need.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url
    }

    /// With its user and password, its query and all.
    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// Its host and port.
    pub(super) fn peer(&self) -> String {
        peer(&self.0)
    }

    /// Where an answer from here sends us.
    pub(super) fn redirect(&self, location: &str) -> Result<Self, BadAddress> {
        let url = self.bare().join(location).map_err(|error| BadAddress::NoUrl(error.to_string()))?;
        Address::new(url)
    }

    /// What is sent there to log in, on the way that began at `first`: this address's own user; that of the first
    /// address if this is the same scheme, host and port; or a login for this host.
    pub(super) fn authorization(&self, first: &Address, logins: &[Login]) -> Option<HeaderValue> {
        let own =
            [self, first].into_iter().find(|with| with.has_user() && with.0.origin() == self.0.origin());
        if let Some(own) = own.filter(|own| own.0.password().is_some()) {
            return basic(&decoded(own.0.username()), &decoded(own.0.password().unwrap_or_default()));
        }
        let user = own.map(|own| decoded(own.0.username()));
        let fits = |login: &&Login| user.is_none() || login.user == user;
        match (&user, self.login(first, logins.iter().filter(fits))) {
            (_, Some(login)) => basic(
                login.user.as_deref().unwrap_or_default(),
                login.password.as_deref().unwrap_or_default(),
            ),
            (Some(user), None) => basic(user, ""),
            (None, None) => None,
        }
    }

    /// The login for this host. A netrc knows neither ports nor schemes: where only a redirect leads, its logins are for
    /// https and its usual port alone, not for another service, nor for whoever listens on the way and sent us there.
    /// What is for any host is for the one that was named to us.
    fn login<'a>(&self, first: &Address, logins: impl Iterator<Item = &'a Login>) -> Option<&'a Login> {
        let host = self.0.host_str()?;
        let is_chosen = self.0.origin() == first.0.origin();
        let is_safe = self.0.scheme() == "https" && self.0.port().is_none();
        let mut whole = logins.filter(|login| login.user.is_some() || login.password.is_some());
        whole.find(|login| match &login.machine {
            Some(machine) => machine.eq_ignore_ascii_case(host) && (is_chosen || is_safe),
            None => is_chosen,
        })
    }

    fn has_user(&self) -> bool {
        !self.0.username().is_empty() || self.0.password().is_some()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.0.scheme())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))?;
        f.write_str(self.0.path())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("machine", &self.machine).finish_non_exhaustive()
    }
}

/// The host and port that a URL leads to.
pub(in crate::sys) fn peer(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What logs in as `user`.
pub(in crate::sys) fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let mut value =
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_shows_nothing_that_may_be_a_credential() {
        let full = "https://me:hunter22@Host.Example:8443/a%20b.zip?sig=abcdef%2Bx&v=1#top";
        let address = address(&format!(" {full}\n"));
        assert_eq!(address.to_string(), "https://host.example:8443/a%20b.zip");
        assert_eq!(format!("{address:?}"), "Address(https://host.example:8443/a%20b.zip)");
        let secrets: Vec<_> = address.secrets().collect();
        for secret in ["hunter22", "abcdef%2Bx", "abcdef+x"] {
            assert!(secrets.iter().any(|one| one == secret), "{secret}: {secrets:?}");
        }
        assert!(secrets.iter().all(|secret| secret.len() >= 6), "{secrets:?}");
        assert_eq!(address.file_name().as_deref(), Some("a b.zip"));
    }

    #[test]
    fn a_path_that_names_no_file_gives_no_name() {
        for text in
            ["http://host", "http://host/a/", "http://host/a%2Fb", "http://host/%2e%2e", "http://host/a%00"]
        {
            assert_eq!(address(text).file_name(), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for (text, expected) in [
            (" \n", BadAddress::Empty),
            ("http://a/x\nhttp://b/y", BadAddress::Words),
            ("ftp://me:hunter22@host/x", BadAddress::Scheme("ftp".to_owned())),
            ("file:///etc/passwd", BadAddress::Scheme("file".to_owned())),
        ] {
            assert_eq!(text.parse::<Address>(), Err(expected), "{text}");
        }
        for text in ["host/x", "http://me:hunter22@", "http://me:hunter22@host:port/"] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(
                error.starts_with("it is no address: ") && !error.contains("hunter22"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_login_is_for_the_host_that_it_was_given_for() {
        let login = |machine: Option<&str>, password: &str| Login {
            machine: machine.map(str::to_owned),
            user: Some("me".to_owned()),
            password: Some(password.to_owned()),
        };
        let you = Login { user: Some("you".to_owned()), ..login(Some("host.example"), "yours") };
        let logins = [login(Some("Host.example"), "netrc"), you, login(None, "default")];
        let sent = |at: &str, first: &str| {
            let header = address(at).authorization(&address(first), &logins)?;
            let text = header.to_str().ok()?.strip_prefix("Basic ")?.to_owned();
            assert!(header.is_sensitive());
            String::from_utf8(STANDARD.decode(text).ok()?).ok()
        };
        for (at, first, expected) in [
            ("https://u:p%40@host.example/", "https://u:p%40@host.example/", Some("u:p@")),
            ("https://host.example/there", "https://u:p@host.example/", Some("u:p")),
            ("https://host.example/", "https://host.example/", Some("me:netrc")),
            ("https://me@host.example/", "https://me@host.example/", Some("me:netrc")),
            ("https://you@host.example/", "https://you@host.example/", Some("you:yours")),
            ("https://she@host.example/", "https://she@host.example/", Some("she:")),
            ("http://host.example:8080/", "http://host.example:8080/", Some("me:netrc")),
            ("http://other.example/", "http://other.example/", Some("me:default")),
            // Elsewhere: another host, port or scheme.
            ("https://other.example/", "https://u:p@host.example/", None),
            ("https://host.example:444/", "https://u:p@host.example/", None),
            ("http://other.example:80/", "http://u:p@other.example:81/", None),
            ("https://other.example/", "http://other.example/", None),
            ("https://sub.host.example/", "https://host.example/", None),
            // Whoever is on the way of the first could read it, and send us there.
            ("http://host.example/", "http://other.example/", None),
            // A port that is usual for the first alone.
            ("https://host.example:8443/", "https://other.example:8443/", None),
            // The usual upgrade.
            ("https://host.example/", "http://host.example/", Some("me:netrc")),
            ("https://host.example/", "http://other.example:8080/", Some("me:netrc")),
        ] {
            assert_eq!(sent(at, first).as_deref(), expected, "{at} after {first}");
        }
    }

    #[test]
    fn a_redirect_leads_where_it_says_without_what_was_secret() {
        let from = address("https://u:p@host.example:8443/a/b?token=abcdef");
        for (location, expected) in [
            ("/c", "https://host.example:8443/c"),
            ("c?d=e", "https://host.example:8443/a/c?d=e"),
            ("//other.example/c", "https://other.example/c"),
            ("https://v:q@other.example/", "https://v:q@other.example/"),
        ] {
            assert_eq!(from.redirect(location).expect("an address").url().as_str(), expected, "{location}");
        }
        assert_eq!(from.redirect("ftp://host.example/"), Err(BadAddress::Scheme("ftp".to_owned())));
    }
}
