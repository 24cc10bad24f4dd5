//! How our own downloads reach the world: whom to trust, through which proxy, and who logs in where.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::cli::Environment;
use crate::netrc;
use crate::provision::ProvisionError;
use crate::report::credentials;
use crate::surroundings::{CA_BUNDLES, NOTHING, ROOTS, read_bundle};
use crate::sys::fetch::{Network, Proxies, proxy_secrets};
use crate::sys::fs;

/// The way out, and what belongs to it.
pub(crate) struct WayOut {
    /// The way.
    pub(crate) network: Network,
    /// What no output may show of it.
    pub(crate) secrets: BTreeSet<String>,
    /// Configuration that is named and that nobody can read, as sentences.
    pub(crate) unread: Vec<String>,
}

impl fmt::Debug for WayOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WayOut").field("network", &self.network).finish_non_exhaustive()
    }
}

impl WayOut {
    /// What all languages' tools are told, too, is asked for here before a runtime is known: the image's roots, or
    /// those that `SSL_CERT_FILE` names instead, with `ca_file` added; the proxies; the netrc that `NETRC` names, else one
    /// that is mounted as a secret below `mounted`, else the user's own.
    ///
    /// # Errors
    /// Roots that somebody named cannot be read: that is no reason to trust others.
    pub(crate) fn find(
        env: &Environment,
        ca_file: Option<&Path>,
        mounted: &Path,
    ) -> Result<Self, ProvisionError> {
        let image = || CA_BUNDLES.map(Path::new).into_iter().find_map(|path| read_bundle(path).ok());
        let roots = env.get(ROOTS).map(|path| read_bundle(Path::new(path))).transpose()?.or_else(image);
        let added = ca_file.map(read_bundle).transpose()?;
        let roots = [roots, added].into_iter().flatten().collect::<Vec<_>>().join(&b'\n');

        let variable = |capitals: &str| {
            let given = env.get(capitals).or_else(|| env.get(&capitals.to_ascii_lowercase()));
            given.map(str::to_owned)
        };
        let proxies = Proxies {
            http: variable("HTTP_PROXY"),
            https: variable("HTTPS_PROXY"),
            all: variable("ALL_PROXY"),
            no: variable("NO_PROXY"),
        };
        let given = [&proxies.http, &proxies.https, &proxies.all];
        let mut secrets: BTreeSet<_> =
            given.into_iter().flatten().flat_map(|proxy| proxy_secrets(proxy)).collect();

        let mut unread = Vec::new();
        let text = match env.get("NETRC") {
            Some(NOTHING) => None,
            Some(path) => {
                let text = fs::read_text(Path::new(path));
                if text.is_none() {
                    unread.push(format!("{path}, which NETRC names, cannot be read"));
                }
                text
            }
            None => mounted_netrc(mounted).or_else(|| own_netrc(env)).and_then(|path| fs::read_text(&path)),
        };
        let text = text.unwrap_or_default();
        secrets.extend(credentials::configuration("netrc", &text));
        Ok(WayOut { network: Network { roots, proxies, logins: netrc::logins(&text) }, secrets, unread })
    }
}

/// The first netrc among the secrets.
fn mounted_netrc(mounted: &Path) -> Option<PathBuf> {
    let secrets = fs::names(mounted).unwrap_or_default();
    let files =
        secrets.iter().flat_map(|secret| [".netrc", "netrc"].map(|name| mounted.join(secret).join(name)));
    files.into_iter().find(|path| fs::is_file(path))
}

/// The user's own.
fn own_netrc(env: &Environment) -> Option<PathBuf> {
    env.get("HOME").map(|home| Path::new(home).join(".netrc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pod whose files are below a directory that goes with the value; `@/` in variables is that directory.
    struct Pod(tempfile::TempDir);

    impl Pod {
        fn new(files: &[(&str, &str)]) -> Self {
            let pod = Pod(tempfile::tempdir().expect("a directory"));
            for (path, text) in files {
                fs::write(&pod.0.path().join(path), text.as_bytes()).expect("written");
            }
            pod
        }

        fn find(&self, env: &[(&str, &str)], ca_file: Option<&str>) -> Result<WayOut, ProvisionError> {
            let here = format!("{}/", self.0.path().display());
            let env = env.iter().map(|(name, value)| (name.into(), value.replace("@/", &here).into()));
            let ca_file = ca_file.map(|below| self.0.path().join(below));
            WayOut::find(&Environment(env.collect()), ca_file.as_deref(), &self.0.path().join("mounted"))
        }

        fn machines(&self, env: &[(&str, &str)]) -> Vec<Option<String>> {
            let out = self.find(env, None).expect("a way out");
            out.network.logins.into_iter().map(|login| login.machine).collect()
        }
    }

    fn certificate(content: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn named_roots_replace_the_images_and_the_companys_are_added() {
        let pod = Pod::new(&[("roots.pem", &certificate("ROOTS")), ("ours.pem", &certificate("OURS"))]);
        let roots = |env: &[(&str, &str)], ca_file| {
            let out = pod.find(env, ca_file).expect("a way out");
            String::from_utf8(out.network.roots).expect("text")
        };
        let replacing = [("SSL_CERT_FILE", "@/roots.pem")];
        assert_eq!(roots(&replacing, None), certificate("ROOTS"));
        assert_eq!(roots(&replacing, Some("ours.pem")), certificate("ROOTS") + "\n" + &certificate("OURS"));
        let image = roots(&[], None);
        let both = roots(&[], Some("ours.pem"));
        assert!(both.starts_with(&image) && both.ends_with(&certificate("OURS")), "{both}");
    }

    #[test]
    fn roots_that_somebody_named_and_that_are_not_there_are_no_reason_to_trust_others() {
        let pod = Pod::new(&[("empty.pem", "")]);
        for (env, ca_file) in [
            (vec![("SSL_CERT_FILE", "@/absent.pem")], None),
            (vec![], Some("absent.pem")),
            (vec![], Some("empty.pem")),
        ] {
            let error = pod.find(&env, ca_file).expect_err("an error");
            assert!(matches!(error, ProvisionError::CaFile { .. }), "{error}");
        }
    }

    #[test]
    fn proxies_are_read_in_either_case_and_their_logins_are_secret() {
        let pod = Pod::new(&[]);
        let env = [
            ("http_proxy", "http://me:proxy-secret-1@proxy:3128"),
            ("HTTPS_PROXY", "you:proxy-secret-2@proxy:3128"),
            ("https_proxy", "http://never:proxy-secret-3@proxy"),
            ("all_proxy", "http://all"),
            ("no_proxy", "a,b"),
        ];
        let WayOut { network, secrets, .. } = pod.find(&env, None).expect("a way out");
        let Proxies { http, https, all, no } = network.proxies;
        assert_eq!(http.as_deref(), Some("http://me:proxy-secret-1@proxy:3128"));
        assert_eq!(https.as_deref(), Some("you:proxy-secret-2@proxy:3128"));
        assert_eq!((all.as_deref(), no.as_deref()), (Some("http://all"), Some("a,b")));
        for secret in ["proxy-secret-1", "proxy-secret-2", "you:proxy-secret-2"] {
            assert!(secrets.contains(secret), "{secret}: {secrets:?}");
        }
    }

    #[test]
    fn the_netrc_is_the_named_one_else_a_mounted_one_else_the_users_own() {
        let pod = Pod::new(&[
            ("named", "machine named login me password netrc-secret-1\n"),
            ("mounted/one/token", "x"),
            ("mounted/two/.netrc", "machine mounted login me password netrc-secret-2\n"),
            ("mounted/two/netrc", "machine never login me password netrc-secret-3\n"),
            ("home/.netrc", "machine own login me password netrc-secret-4\n"),
        ]);
        let home = ("HOME", "@/home");
        let machine = |name: &str| vec![Some(name.to_owned())];
        assert_eq!(pod.machines(&[home, ("NETRC", "@/named")]), machine("named"));
        assert_eq!(pod.machines(&[home]), machine("mounted"));
        assert_eq!(pod.machines(&[home, ("NETRC", "/dev/null")]), []);
        let out = pod.find(&[home], None).expect("a way out");
        assert!(out.secrets.contains("me:netrc-secret-2"), "{:?}", out.secrets);
        assert!(!format!("{out:?}").contains("netrc-secret"), "{out:?}");
        fs::remove(&pod.0.path().join("mounted")).expect("removed");
        assert_eq!(pod.machines(&[home]), machine("own"));
        assert_eq!(pod.machines(&[]), []);
        let out = pod.find(&[home, ("NETRC", "@/absent")], None).expect("a way out");
        assert!(out.network.logins.is_empty() && out.unread[0].contains("NETRC"), "{:?}", out.unread);
    }
}
