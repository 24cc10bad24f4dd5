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

/// The variable that names the user's settings; what is mounted as `settings.xml` gets it.
const SETTINGS: &str = "INJECTOR_MAVEN_SETTINGS";
/// The variable that names the file with the password by which those in the settings are encrypted.
const SECURITY: &str = "INJECTOR_MAVEN_SECURITY";
/// Where the user's settings are otherwise.
const OWN: &str = "~/.m2/settings.xml";
/// The variables that lead our `Trust.java` to CA bundles.
const BUNDLES: [&str; 2] = ["INJECTOR_JAVA_ROOTS", "INJECTOR_JAVA_CA"];
/// How a JVM is told whom to trust.
const STORE: &str = "-Djavax.net.ssl.trustStore=";
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
    /// Options of the JVM of such a run.
    options: Option<Arg>,
    /// Those of the operator's options for the JVM that define no property, which might be a password.
    harmless: String,
}

impl Settings {
    /// Reads the package client's configuration.
    pub(super) fn of(inputs: &Inputs<'_>) -> Result<Self, PlanError> {
        let env = &inputs.settings.env;
        let mut told = Settings { args: vec!["-U".into()], ..Settings::default() };
        let own = env.get("MAVEN_OPTS").map_or("", String::as_str);
        let (properties, others): (Vec<_>, Vec<_>) =
            own.split_whitespace().partition(|word| word.starts_with("-D"));
        told.harmless = others.join(" ");
        let mut options = Arg::from(format!("{PATIENCE} "));
        if let Some(path) = env.get(SECURITY) {
            options = options.then("-Dsettings.security=").then(told.secret(SECURITY, path)).then(" ");
        }
        options = options.then(told.settings(inputs));
        if !properties.is_empty() {
            options = options.then(told.secret("MAVEN_OPTS", &properties.join(" ")));
        }
        let names_store = properties.iter().any(|word| word.starts_with(STORE));
        if BUNDLES.iter().any(|name| env.contains_key(*name)) {
            tool(inputs, "java", "the CAs that Maven shall trust")?;
            options = options.then(told.trust(env, names_store));
        }
        told.options = Some(options);
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
        let quick = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -Djava.io.tmpdir=";
        let options = Arg::from(quick).then(scratch("tmp")).then(" ").then(self.harmless.as_str());
        let options = options.then(" -Duser.home=");
        let options = match (credentials, &self.options) {
            (Credentials::Given, Some(told)) => options.then(scratch("home")).then(" ").then(told.clone()),
            // What was fetched is there whatever the mirror was called: else Maven asks for that mirror.
            _ => options
                .then(scratch("tmp"))
                .then(" -Daether.enhancedLocalRepository.trackingFilename=_withheld"),
        };
        // Not /etc/mavenrc, which would set them once more.
        let skip = ("MAVEN_SKIP_RC".to_owned(), "true".into());
        BTreeMap::from([("MAVEN_OPTS".to_owned(), options), skip])
    }

    /// The user's settings as they are; with the proxies of the environment where they name none.
    fn settings(&mut self, inputs: &Inputs<'_>) -> Arg {
        let env = &inputs.settings.env;
        let named = env.get(SETTINGS);
        let path = named.map_or(OWN, String::as_str);
        let text = inputs.settings.files.iter().find(|(file, _)| file == path).map(|(_, text)| text.as_str());
        let (proxies, mut because) = proxies(env);
        let merged = if proxies.is_empty() { None } else { merge(text.unwrap_or("<settings/>"), &proxies) };
        let shown = if named.is_some() { SETTINGS } else { OWN };
        if text.is_some() {
            self.because.push(match named {
                Some(_) => format!("Maven reads the settings that {SETTINGS} names"),
                None => format!("Maven reads {OWN}"),
            });
        }
        let Some(merged) = merged else {
            if !proxies.is_empty() {
                self.because.push(format!("the proxies in {shown} win over those of the environment"));
            }
            if let Some(path) = named {
                let path = self.secret(SETTINGS, path);
                self.args.extend(["-s".into(), path]);
            }
            return "".into();
        };
        self.because.push(
            "the proxies of the environment are put into settings, since Maven reads no such variables"
                .to_owned(),
        );
        self.because.append(&mut because);
        let text = self.secret("settings", &merged);
        let write = Action::Write { path: scratch("settings.xml"), text };
        let why = "the user's settings with the proxies of the environment";
        self.steps.push(offline("settings", why, Blame::Platform, write));
        self.args.extend(["-s".into(), scratch("settings.xml").into()]);
        // Else the JVM of Maven 4 sends no password to a proxy on the way to `https:`.
        "-Djdk.http.auth.tunneling.disabledSchemes= ".into()
    }

    /// Has a trust store made where somebody asked for other CAs than the JVM's own. One that `MAVEN_OPTS` names is
    /// then this JVM's own.
    fn trust(&mut self, env: &BTreeMap<String, String>, names_store: bool) -> Arg {
        let alone = env.contains_key(BUNDLES[0]) && !names_store;
        self.because.push(match alone {
            true => "Maven trusts the CAs of SSL_CERT_FILE and INJECTOR_CA_FILE alone".to_owned(),
            false => "Maven trusts the given CAs beside those of its JVM".to_owned(),
        });
        let quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];
        let mut args: Vec<Arg> = quick.map(Arg::from).into();
        args.extend(["-cp".into(), kept("classes").into(), "injector.maven.Trust".into()]);
        args.extend([scratch("trust.p12").into(), if alone { "alone" } else { "beside" }.into()]);
        let options = names_store.then(|| ("JDK_JAVA_OPTIONS".to_owned(), Arg::secret("MAVEN_OPTS")));
        self.steps.push(offline(
            "trust",
            "the CAs as Maven's JVM reads them",
            Blame::Platform,
            Action::Run(Run {
                tool: "java".to_owned(),
                args,
                env: options.into_iter().collect(),
                cwd: scratch("tmp"),
                capture: Capture::Ends,
                credentials: Credentials::Given,
            }),
        ));
        let store = Arg::from(format!(" {STORE}")).then(scratch("trust.p12"));
        store.then(" -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=changeit")
    }

    /// A value that no output may show.
    fn secret(&mut self, key: &str, value: &str) -> Arg {
        self.secrets.insert(key.to_owned(), value.to_owned());
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
                elements.push_str(&format!(
                    "<proxy>{}{}{fields}{exceptions}</proxy>",
                    element("id", name),
                    element("protocol", protocol)
                ));
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
fn exceptions(list: &str) -> (Vec<String>, Vec<String>) {
    let (mut hosts, mut lost) = (Vec::new(), Vec::new());
    for entry in list.split([',', ' ', '|']).map(str::trim).filter(|entry| !entry.is_empty()) {
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
    let range = match there {
        Some(empty) => empty.range(),
        None => {
            let end = root.range().end;
            match settings[..end].strip_suffix("/>") {
                Some(open) => {
                    let rest = &settings[end..];
                    let name =
                        settings[root.range().start + 1..].split(['/', ' ', '\n', '\t', '>']).next()?;
                    return Some(format!("{open}>{element}</{name}>{rest}"));
                }
                None => settings[..end].rfind("</").map(|at| at..at)?,
            }
        }
    };
    Some([&settings[..range.start], &element, &settings[range.end..]].concat())
}

/// An element with a text.
fn element(name: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<{name}>{text}</{name}>")
}
