//! Reads docker configs: who logs in at which registry.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::cli::Environment;
use crate::sys::fs;
use crate::sys::registry::{Login, Reference};

/// How clients write logins: some leave the padding away.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The key of a secret of the type `kubernetes.io/dockerconfigjson`.
const OF_KUBERNETES: &str = ".dockerconfigjson";
/// The usual name.
const USUAL: &str = "config.json";

/// What docker configs say of a registry.
#[derive(Default)]
pub(crate) struct Docker {
    /// Who logs in there.
    pub(crate) login: Option<Login>,
    /// What no output may show, of all registries.
    pub(crate) secrets: BTreeSet<String>,
    /// Configuration that is named and that cannot be used, as sentences.
    pub(crate) unread: Vec<String>,
}

/// A config; what is not about logins is not read.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Config {
    auths: BTreeMap<String, Option<Auth>>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    /// `user:password` in base64.
    #[serde(rename = "auth")]
    pair: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// Whether there is a login, not what it is.
impl fmt::Debug for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Docker")
            .field("login", &self.login)
            .field("unread", &self.unread)
            .finish_non_exhaustive()
    }
}

impl Docker {
    /// The login for a registry: of the config in the directory that `DOCKER_CONFIG` names, else of the first one that
    /// has one among those that are mounted as secrets below `mounted` and the user's own.
    pub(crate) fn find(env: &Environment, mounted: &Path, registry: &Reference) -> Self {
        let mut found = Docker::default();
        if let Some(dir) = env.get("DOCKER_CONFIG") {
            let path = Path::new(dir).join(USUAL);
            match fs::read_text(&path) {
                Some(text) => found.read(&path, &text, registry),
                None => found
                    .unread
                    .push(format!("{}, which DOCKER_CONFIG names, cannot be read", path.display())),
            }
            return found;
        }
        let own = env.get("HOME").map(|home| Path::new(home).join(".docker").join(USUAL));
        let own = own.filter(|path| fs::is_file(path));
        for path in mounted_configs(mounted).into_iter().chain(own) {
            let text = fs::read_text(&path).unwrap_or_default();
            // Any program's configuration may have the usual name.
            if !path.starts_with(mounted) || text.contains("\"auths\"") {
                found.read(&path, &text, registry);
            }
        }
        found
    }

    /// Adds what a config says; a login that is known stays.
    fn read(&mut self, path: &Path, text: &str, registry: &Reference) {
        let config: Config = match serde_json::from_str(text) {
            Ok(config) => config,
            // Its own words repeat what it does not expect, which may be a password.
            Err(error) => {
                let place = format!("line {}, column {}", error.line(), error.column());
                self.unread.push(format!("{} is no docker config: it is wrong in {place}", path.display()));
                return;
            }
        };
        let auths = || config.auths.iter().filter_map(|(key, auth)| Some((key, auth.as_ref()?)));
        self.secrets.extend(auths().flat_map(|(_, auth)| auth.secrets()));
        if self.login.is_some() {
            return;
        }
        let fitting = auths().filter_map(|(key, auth)| Some((registry.is_below(key)?, auth.login()?)));
        self.login = fitting.max_by_key(|(length, _)| *length).map(|(_, login)| login);
        if let Some(helper) = config.helper(registry).filter(|_| self.login.is_none()) {
            self.unread.push(format!(
                "{} leaves the login at {} to the credential helper {helper:?}, which is not run: put a login into its `auths`",
                path.display(),
                registry.host()
            ));
        }
    }
}

impl Config {
    /// Who else would know a login.
    fn helper(&self, registry: &Reference) -> Option<&str> {
        let own = self.cred_helpers.iter().find(|(key, _)| registry.is_below(key).is_some());
        own.map(|(_, helper)| helper.as_str()).or(self.creds_store.as_deref()).filter(|name| !name.is_empty())
    }
}

impl Auth {
    fn login(&self) -> Option<Login> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let token = given(&self.registrytoken).map(Login::Token);
        let identity = || given(&self.identitytoken).map(Login::Identity);
        let pair = || Some(Login::User { name: given(&self.username)?, password: given(&self.password)? });
        token.or_else(identity).or_else(|| self.decoded()).or_else(pair)
    }

    /// What its pair holds. Old clients filled it up with NUL bytes.
    fn decoded(&self) -> Option<Login> {
        let text = String::from_utf8(BASE64.decode(self.pair.as_ref()?.trim()).ok()?).ok()?;
        let (name, password) = text.split_once(':')?;
        let password = password.trim_end_matches('\0');
        let user = Login::User { name: name.to_owned(), password: password.to_owned() };
        (!name.is_empty() && !password.is_empty()).then_some(user)
    }

    /// All that is secret of it, used or not.
    fn secrets(&self) -> impl Iterator<Item = String> {
        let written = [&self.pair, &self.password, &self.identitytoken, &self.registrytoken];
        let written = written.into_iter().flatten().cloned();
        let logins = self.login().into_iter().chain(self.decoded());
        let all: Vec<_> = written.chain(logins.flat_map(|login| login.secrets())).collect();
        all.into_iter().filter(|secret| !secret.is_empty())
    }
}

/// The configs among the secrets.
fn mounted_configs(mounted: &Path) -> Vec<PathBuf> {
    let secrets = fs::names(mounted).unwrap_or_default();
    let files =
        secrets.iter().flat_map(|secret| [OF_KUBERNETES, USUAL].map(|name| mounted.join(secret).join(name)));
    files.filter(|path| fs::is_file(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Reference {
        "registry.example:5000/team/cache".parse().expect("a reference")
    }

    fn me(password: &str) -> Login {
        Login::User { name: "me".to_owned(), password: password.to_owned() }
    }

    fn read(text: &str) -> Docker {
        let mut found = Docker::default();
        found.read(Path::new("config.json"), text, &registry());
        found
    }

    #[test]
    fn a_login_is_written_in_many_ways() {
        let token = |text: &str| text.to_owned();
        for (auth, expected) in [
            (r#""auth": "bWU6aHVudGVyMjI=""#, Some(me("hunter22"))),
            (r#""auth": "bWU6aHVudGVyMjI""#, Some(me("hunter22"))),
            (r#""auth": "bWU6aHVudGVyMjIAAA==""#, Some(me("hunter22"))),
            (r#""auth": "bWU6aHVuOnRlcjIy""#, Some(me("hun:ter22"))),
            (r#""username": "me", "password": "hunter22", "email": "me@here""#, Some(me("hunter22"))),
            (r#""auth": "bWU6aHVudGVyMjI=", "username": "you", "password": "other""#, Some(me("hunter22"))),
            (r#""auth": "bWU6", "identitytoken": "hunter22""#, Some(Login::Identity(token("hunter22")))),
            (r#""auth": "", "registrytoken": "hunter22""#, Some(Login::Token(token("hunter22")))),
            (r#""auth": "??""#, None),
            (r#""auth": "aHVudGVyMjI=""#, None),
            (r#""username": "me""#, None),
            ("", None),
        ] {
            let found = read(&format!(r#"{{"auths": {{"registry.example:5000": {{{auth}}}}}}}"#));
            assert_eq!(found.login, expected, "{auth}");
            assert_eq!(found.unread, [""; 0], "{auth}");
        }
    }

    #[test]
    fn the_login_that_says_most_of_the_repository_wins() {
        let keys = |keys: &[&str]| {
            // Each password is its key's length.
            let auths = keys
                .iter()
                .map(|key| format!(r#""{key}": {{"username": "me", "password": "{}"}}"#, key.len()));
            read(&format!(r#"{{"auths": {{{}}}}}"#, auths.collect::<Vec<_>>().join(", "))).login
        };
        let (host, team, other) = (
            "https://registry.example:5000/v1/",
            "registry.example:5000/team",
            "registry.example:5000/other",
        );
        assert_eq!(keys(&[host, team, other]), Some(me(&team.len().to_string())));
        assert_eq!(keys(&[host, other]), Some(me(&host.len().to_string())));
        assert_eq!(keys(&[other, "registry.example", "other.example:5000"]), None);
    }

    #[test]
    fn all_that_is_secret_is_known_whatever_it_is_for() {
        let found = read(
            r#"{"auths": {
                "registry.example:5000": {"auth": "bWU6c2VjcmV0LW9uZQ==", "password": "secret-two"},
                "b.example": {"identitytoken": "secret-three", "registrytoken": "secret-four"},
                "c.example": null}}"#,
        );
        for secret in [
            "secret-one",
            "me:secret-one",
            "bWU6c2VjcmV0LW9uZQ==",
            "secret-two",
            "secret-three",
            "secret-four",
        ] {
            assert!(found.secrets.contains(secret), "{secret}: {:?}", found.secrets);
        }
        assert!(!format!("{found:?}").contains("secret-"), "{found:?}");
    }

    #[test]
    fn helpers_are_not_run_and_that_is_said_where_it_matters() {
        let said = |text: &str| read(text).unread.join("\n");
        let text = said(r#"{"auths": {"registry.example:5000": {}}, "credsStore": "desktop"}"#);
        let expected = "config.json leaves the login at registry.example:5000 to the credential helper \"desktop\", \
                        which is not run: put a login into its `auths`";
        assert_eq!(text, expected);
        let text =
            said(r#"{"credHelpers": {"registry.example:5000": "ecr-login"}, "credsStore": "desktop"}"#);
        assert!(text.contains("\"ecr-login\""), "{text}");
        let login = r#""auths": {"registry.example:5000": {"auth": "bWU6aHVudGVyMjI="}}"#;
        assert_eq!(said(&format!(r#"{{{login}, "credsStore": "desktop"}}"#)), "");
        assert_eq!(said(r#"{"credHelpers": {"other.example": "ecr-login"}}"#), "");
    }

    #[test]
    fn what_is_no_config_is_said_without_being_repeated() {
        for text in
            ["", "hunter22", r#"{"auths": "hunter22"}"#, "{\"auths\": {\"a\": {\"auth\": 1}},\n \"hunter22\""]
        {
            let found = read(text);
            let said = found.unread.join("\n");
            assert!(
                said.starts_with("config.json is no docker config: it is wrong in line "),
                "{text}: {said}"
            );
            assert!(!said.contains("hunter22") && found.login.is_none(), "{said}");
        }
    }

    #[test]
    fn the_config_is_the_named_one_else_a_mounted_one_else_the_users_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let here = |path: &str| dir.path().join(path);
        let config = |password: &str, host: &str| {
            format!(r#"{{"auths": {{"{host}": {{"username": "me", "password": "{password}"}}}}}}"#)
        };
        // Another program's.
        fs::write(&here("mounted/one/config.json"), b"listen: 8080\n").expect("written");
        for (path, password, host) in [
            ("named/config.json", "named", "registry.example:5000"),
            ("mounted/one/.dockerconfigjson", "elsewhere", "other.example"),
            ("mounted/two/config.json", "mounted", "registry.example:5000"),
            ("home/.docker/config.json", "own", "registry.example:5000"),
        ] {
            fs::write(&here(path), config(password, host).as_bytes()).expect("written");
        }
        let find = |env: &[(&str, &str)]| {
            let env = env.iter().map(|(name, path)| (name.into(), here(path).into()));
            Docker::find(&Environment(env.collect()), &here("mounted"), &registry())
        };
        let home = ("HOME", "home");
        assert_eq!(find(&[home, ("DOCKER_CONFIG", "named")]).login, Some(me("named")));
        let found = find(&[home]);
        assert_eq!(found.login, Some(me("mounted")));
        assert_eq!(found.unread, [""; 0]);
        assert!(["elsewhere", "mounted", "own"].iter().all(|&secret| found.secrets.contains(secret)));
        fs::remove(&here("mounted/two")).expect("removed");
        assert_eq!(find(&[home]).login, Some(me("own")));
        assert_eq!(find(&[]).login, None);
        let found = find(&[home, ("DOCKER_CONFIG", "absent")]);
        assert!(found.login.is_none() && found.unread[0].contains("DOCKER_CONFIG"), "{:?}", found.unread);
    }
}
