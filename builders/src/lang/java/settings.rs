//! What Maven is told of a company's network: settings, proxies, whom to trust, and how long to wait.
//!
//! Sources: <https://maven.apache.org/settings.html>, <https://maven.apache.org/resolver/configuration.html>.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use roxmltree::{Document, Node};

use super::compile::kept;
use crate::Inputs;
use crate::diagnostic::Blame;
use crate::entry::tool;
use crate::error::PlanError;
use crate::plan::{Action, Arg, Capture, Credentials, Run, Step};
use crate::steps::{offline, scratch};

/// The user's settings, or what is mounted in their place.
const OWN: &str = "~/.m2/settings.xml";
/// The variables that lead our `Trust.java` to CA bundles.
const BUNDLES: [&str; 2] = ["INJECTOR_JAVA_ROOTS", "INJECTOR_JAVA_CA"];
/// How a JVM is told whom to trust.
const STORE: &str = "-Djavax.net.ssl.trustStore=";
/// The store that is made for it.
const STORE_FILE: &str = "trust.p12";
/// Has Maven, of 3 and of 4, not see of which mirror a file in its local repository came: else it asks for that mirror.
const UNTRACKED: &str = "-Daether.enhancedLocalRepository.trackingFilename=_withheld \
    -Daether.lrm.enhanced.trackingFilename=_withheld";
/// Maven waits half an hour for an answer, and asks a registry that has had enough for minutes: most of the time that
/// a stage has, or more. The names are those of Maven 3.8 and before, of 3.9, and of 4.
const PATIENCE: &str = "-Dmaven.wagon.rto=90000 -Dmaven.wagon.httpconnectionManager.maxBackoffSeconds=10 \
    -Daether.connector.requestTimeout=90000 -Daether.connector.http.retryHandler.interval=1000 \
    -Daether.transport.http.requestTimeout=90000 -Daether.transport.http.retryHandler.interval=1000";

/// What Maven is told beside what it shall do.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// What was decided and why.
    pub(super) because: Vec<String>,
    /// What is made before Maven runs.
    pub(super) steps: Vec<Step>,
    /// Values that no output may show.
    pub(super) secrets: BTreeMap<String, String>,
    /// Arguments of a run with credentials.
    args: Vec<Arg>,
    /// Options for the JVM of such a run.
    options: Vec<Arg>,
    /// Those of the operator's own that define no property, which might be a password.
    harmless: String,
}

impl Settings {
    /// Reads Maven's configuration.
    ///
    /// # Errors
    /// When CAs are given and there is no `java` to make a trust store of them.
    pub(super) fn of(inputs: &Inputs<'_>) -> Result<Self, PlanError> {
        let env = &inputs.settings.env;
        let own = env.get("MAVEN_OPTS").map_or("", String::as_str);
        let (properties, harmless): (Vec<_>, Vec<_>) =
            own.split_whitespace().partition(|word| word.starts_with("-D"));
        let mut told = Settings {
            // What was not there an hour ago, as a kept repository remembers, may be there now.
            args: vec!["-U".into()],
            options: vec![PATIENCE.into()],
            harmless: harmless.join(" "),
            ..Settings::default()
        };
        told.proxies(inputs);
        if !properties.is_empty() {
            let own = told.secret("MAVEN_OPTS", properties.join(" "));
            told.options.push(own);
        }
        if BUNDLES.iter().any(|name| env.contains_key(*name)) {
            tool(inputs, "java", "the CAs that Maven shall trust")?;
            told.trust(env, properties.iter().any(|word| word.starts_with(STORE)));
        }
        Ok(told)
    }

    /// Arguments for Maven.
    pub(super) fn args(&self, credentials: Credentials) -> Vec<Arg> {
        match credentials {
            Credentials::Given => self.args.clone(),
            Credentials::Withheld => Vec::new(),
        }
    }

    /// Variables for Maven, whose JVM takes the user's home from the system's list of users, whatever HOME says.
    pub(super) fn env(&self, credentials: Credentials) -> BTreeMap<String, Arg> {
        // What is short needs no second compiler; the operator's own options come later, and win.
        let mut options = Arg::from("-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto");
        let (home, told) = match credentials {
            Credentials::Given => ("home", self.options.clone()),
            Credentials::Withheld => ("tmp", vec![UNTRACKED.into()]),
        };
        options = options.then(" -Djava.io.tmpdir=").then(scratch("tmp"));
        options = options.then(" -Duser.home=").then(scratch(home));
        for more in told.into_iter().chain([self.harmless.as_str().into()]) {
            options = options.then(" ").then(more);
        }
        // Not /etc/mavenrc, which may set them once more.
        let skip = ("MAVEN_SKIP_RC".to_owned(), "true".into());
        BTreeMap::from([("MAVEN_OPTS".to_owned(), options), skip])
    }

    /// Adds the proxies of the environment to the user's settings, where those name none.
    fn proxies(&mut self, inputs: &Inputs<'_>) {
        let own = inputs.settings.files.iter().find(|(file, _)| file == OWN).map(|(_, text)| text.as_str());
        let (proxies, because) = proxies(&inputs.settings.env);
        if own.is_some() {
            self.because.push("Maven reads the user's settings.xml".to_owned());
        }
        if proxies.is_empty() {
            self.because.extend(because);
        } else if let Some(merged) = merge(own.unwrap_or("<settings/>"), &proxies) {
            self.because.push("Maven reads no proxy variables: they are put into settings for it".to_owned());
            self.because.extend(because);
            let text = self.secret("settings.xml", merged);
            let write = Action::Write { path: scratch("settings.xml"), text };
            let why = "the user's settings with the proxies of the environment";
            self.steps.push(offline("settings", why, Blame::Platform, write));
            self.args.extend(["-s".into(), scratch("settings.xml").into()]);
            // Else the JVM of Maven 4 gives no password to a proxy on the way to `https:`.
            self.options.push("-Djdk.http.auth.tunneling.disabledSchemes=".into());
        } else {
            self.because.push("the proxies in settings.xml win over those of the environment".to_owned());
        }
    }

    /// Has a trust store made of the CAs that somebody asked for. One that `MAVEN_OPTS` names is added to.
    fn trust(&mut self, env: &BTreeMap<String, String>, names_store: bool) {
        let alone = env.contains_key(BUNDLES[0]) && !names_store;
        let (how, why) = if alone {
            ("alone", "Maven trusts SSL_CERT_FILE, INJECTOR_CA_FILE and nobody else")
        } else {
            ("beside", "Maven trusts the given CAs beside those of its JVM")
        };
        self.because.push(why.to_owned());
        let quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-cp"];
        let mut args: Vec<Arg> = quick.map(Arg::from).into();
        args.extend([
            kept("classes").into(),
            "injector.maven.Trust".into(),
            scratch(STORE_FILE).into(),
            how.into(),
        ]);
        let own = names_store.then(|| ("JDK_JAVA_OPTIONS".to_owned(), Arg::secret("MAVEN_OPTS")));
        let run = Action::Run(Run {
            tool: "java".to_owned(),
            args,
            env: own.into_iter().collect(),
            cwd: scratch("tmp"),
            capture: Capture::Ends,
            credentials: Credentials::Given,
        });
        self.steps.push(offline("trust", "the CAs as Maven's JVM reads them", Blame::Platform, run));
        let store = Arg::from(STORE).then(scratch(STORE_FILE));
        let more = " -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=changeit";
        self.options.push(store.then(more));
    }

    /// A value that no output may show.
    fn secret(&mut self, key: &str, value: String) -> Arg {
        self.secrets.insert(key.to_owned(), value);
        Arg::secret(key)
    }
}

/// The proxies of the environment as elements of Maven's, and what of them Maven has no words for.
fn proxies(env: &BTreeMap<String, String>) -> (String, Vec<String>) {
    let said = |name: &str| {
        env.get(name).or_else(|| env.get("ALL_PROXY")).map(|url| url.trim()).filter(|url| !url.is_empty())
    };
    let (hosts, lost) = exceptions(env.get("NO_PROXY").map_or("", String::as_str));
    let mut because: Vec<String> = lost
        .iter()
        .map(|entry| format!("Maven has no words for {entry} in NO_PROXY: it asks the proxy there"))
        .collect();
    let mut elements = String::new();
    for (name, protocol) in [("HTTPS_PROXY", "https"), ("HTTP_PROXY", "http")] {
        let Some(url) = said(name) else { continue };
        match proxy(url) {
            Some(fields) => {
                let exceptions = element("nonProxyHosts", &hosts.join("|"));
                let kind = element("id", name) + &element("protocol", protocol);
                elements.extend(["<proxy>", &kind, &fields, &exceptions, "</proxy>"]);
            }
            None => because.push(format!("{name} is left out: Maven speaks to proxies at http: only")),
        }
    }
    (elements, because)
}

/// A proxy's URL in Maven's elements; `None` where it is of another kind than Maven knows.
fn proxy(url: &str) -> Option<String> {
    let rest = match url.split_once("://") {
        Some((scheme, rest)) => scheme.eq_ignore_ascii_case("http").then_some(rest)?,
        None => url.trim_start_matches('/'),
    };
    let authority = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let authority = authority.split(['/', '?']).next().unwrap_or(authority);
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let mut fields = element("host", host) + &element("port", port);
    if let Some((login, _)) = rest.rsplit_once('@') {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        for (name, value) in [("username", user), ("password", password)] {
            fields += &element(name, &percent_decode_str(value).decode_utf8_lossy());
        }
    }
    Some(fields)
}

/// The list of `NO_PROXY` in Maven's patterns, and the entries for which there are none: ranges of addresses that do
/// not end at a dot. A name stands for what is below it, too, as curl has it; Maven knows no ports.
fn exceptions(no_proxy: &str) -> (Vec<String>, Vec<String>) {
    let (mut hosts, mut lost) = (Vec::new(), Vec::new());
    for entry in no_proxy.split([',', ' ', '|']).map(str::trim).filter(|entry| !entry.is_empty()) {
        if let Some((address, bits)) = entry.split_once('/') {
            let octets: Vec<_> = address.split('.').collect();
            match (octets.len(), bits) {
                (4, "32") => hosts.push(address.to_owned()),
                (4, "24") => hosts.push(format!("{}.*", octets[..3].join("."))),
                (4, "16") => hosts.push(format!("{}.*", octets[..2].join("."))),
                (4, "8") => hosts.push(format!("{}.*", octets[0])),
                _ => lost.push(entry.to_owned()),
            }
            continue;
        }
        let host =
            entry.split_once(':').map_or(entry, |(host, port)| if port.contains(':') { entry } else { host });
        let name = host.trim_start_matches('*').trim_start_matches('.');
        if name.is_empty() {
            hosts.push("*".to_owned());
        } else {
            hosts.push(name.to_owned());
            hosts.extend(name.contains(|c: char| c.is_ascii_alphabetic()).then(|| format!("*.{name}")));
        }
    }
    (hosts, lost)
}

/// Settings with these proxies; `None` where they have some, or are not XML, of which Maven shall speak.
fn merge(settings: &str, proxies: &str) -> Option<String> {
    let settings = settings.trim_start_matches('\u{feff}');
    let document = Document::parse(settings).ok()?;
    let root = document.root_element();
    let named = |node: &Node<'_, '_>, name: &str| node.tag_name().name() == name;
    let there = root.children().find(|node| named(node, "proxies"));
    if there.is_some_and(|node| node.children().any(|child| named(&child, "proxy"))) {
        return None;
    }
    let element = format!("<proxies>{proxies}</proxies>");
    let range = if let Some(empty) = there {
        empty.range()
    } else {
        let end = root.range().end;
        if let Some(open) = settings[..end].strip_suffix("/>") {
            let rest = &settings[end..];
            let name = settings[root.range().start + 1..].split(['/', ' ', '\n', '\t', '>']).next()?;
            return Some(format!("{open}>{element}</{name}>{rest}"));
        }
        settings[..end].rfind("</").map(|at| at..at)?
    };
    Some([&settings[..range.start], &element, &settings[range.end..]].concat())
}

/// An element with a text.
fn element(name: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<{name}>{text}</{name}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "<proxy/>";

    #[test]
    fn exceptions_are_mavens_patterns() {
        for (list, hosts) in [
            ("localhost,.corp.example", "localhost|*.localhost|corp.example|*.corp.example"),
            ("*.corp.example mirror:8081", "corp.example|*.corp.example|mirror|*.mirror"),
            ("127.0.0.1, 10.0.0.12:80,::1", "127.0.0.1|10.0.0.12|::1"),
            ("10.0.0.0/8,172.16.0.0/16,192.0.2.0/24,192.0.2.7/32", "10.*|172.16.*|192.0.2.*|192.0.2.7"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(
                exceptions(list),
                (hosts.split('|').filter(|host| !host.is_empty()).map(str::to_owned).collect(), vec![]),
                "{list}"
            );
        }
        let lost = ["10.0.0.0/12", "fd00::/8"];
        assert_eq!(exceptions("10.0.0.0/12,fd00::/8"), (vec![], lost.map(str::to_owned).into()));
    }

    #[test]
    fn a_proxys_url_becomes_elements() {
        let fields = proxy("http://ci-user:t0k%2F%26%3Cn%40@proxy.corp.example:3128/").expect("a proxy");
        let expected = "<host>proxy.corp.example</host><port>3128</port><username>ci-user</username><password>t0k/&amp;&lt;n@</password>";
        assert_eq!(fields, expected);
        assert_eq!(proxy("proxy").as_deref(), Some("<host>proxy</host><port>80</port>"));
        assert_eq!(proxy("socks5://proxy:1080"), None);
        let env = [("ALL_PROXY", "socks5://proxy:1080"), ("HTTP_PROXY", "http://a:1")];
        let (elements, because) =
            proxies(&env.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert!(elements.contains("<protocol>http</protocol>") && !elements.contains("https"), "{elements}");
        assert!(because[0].starts_with("HTTPS_PROXY is left out"), "{because:?}");
    }

    #[test]
    fn proxies_are_put_into_settings_that_have_none() {
        for (settings, merged) in [
            ("<settings/>", "<settings><proxies><proxy/></proxies></settings>"),
            (
                "<s:settings xmlns:s='x' />\n",
                "<s:settings xmlns:s='x' ><proxies><proxy/></proxies></s:settings>\n",
            ),
            ("<settings><a>b</a></settings>", "<settings><a>b</a><proxies><proxy/></proxies></settings>"),
            (
                "<?xml version='1.0'?><settings><proxies>\n<!-- <proxy/> --></proxies><a/></settings>",
                "<?xml version='1.0'?><settings><proxies><proxy/></proxies><a/></settings>",
            ),
        ] {
            assert_eq!(merge(settings, PROXY).as_deref(), Some(merged));
        }
        assert_eq!(merge("<settings><proxies><proxy><id>x</id></proxy></proxies></settings>", PROXY), None);
        assert_eq!(merge("<settings>", PROXY), None);
    }
}
