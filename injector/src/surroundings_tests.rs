//! What tools see in a company of made-up package clients.

use builders::catalog::Catalog;

use super::*;
use crate::provision::TempDir;

/// A pod of the company: `home`, `mounted` and `scratch` below a directory that goes with the value.
struct Company(TempDir);

impl Company {
    fn new(files: &[(&str, &str)]) -> Self {
        let company = Company(TempDir::new(Path::new("/tmp")).expect("a directory"));
        for (path, text) in files {
            fs::write(&company.0.path.join(path), text.as_bytes()).expect("a file");
        }
        company
    }

    fn path(&self, below: &str) -> String {
        self.0.path.join(below).display().to_string()
    }

    /// What the tools of a made-up runtime see, where `@/` is the company's directory.
    fn tools(&self, rules: &str, env: &[(&str, &str)], ca_file: Option<&str>) -> Surroundings {
        let text = format!(
            "schema = 1\nid = 'x'\ntitle = 'X'\nversions = ['1']\nextensions = ['x']\nmanifests = []\n[environment]\n{rules}"
        );
        let catalog = Catalog::parse([("x", text.as_str())]).expect("a runtime");
        let runtime = &catalog.runtimes()[0];
        let env = env.iter().map(|(name, value)| (name.into(), value.replace("@/", &self.path("")).into()));
        let home = ("HOME".into(), self.path("home").into());
        let env = Environment(env.chain([home]).collect());
        let mut tools =
            Surroundings::select(&env, runtime, &[], &Function::default(), &self.0.path.join("mounted"));
        let ca_file = ca_file.map(|below| self.0.path.join(below));
        tools.furnish(&self.0.path.join("scratch"), runtime, ca_file.as_deref()).expect("furnished");
        tools
    }
}

/// The certificates of the bundle that a variable names, by their made-up content.
fn bundle(tools: &Surroundings, variable: &str) -> String {
    let bundle = fs::read_text(Path::new(&tools.env[variable])).expect("a bundle");
    bundle.lines().filter(|line| !line.is_empty() && !line.starts_with("--")).collect::<Vec<_>>().join(" ")
}

fn certificate(content: &str) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n")
}

#[test]
fn cargo_finds_its_configuration_its_ca_and_its_token() {
    let rules = "pass = ['CARGO_NET_*']\nfiles = ['~/.cargo/config.toml', '~/.cargo/credentials.toml', '~/.netrc']\n\
                 ca = [{ replaces = 'CARGO_HTTP_CAINFO', key = 'cainfo' }]\nhomes = { CARGO_HOME = '~/.cargo' }\n\
                 [environment.mounted]\n'cargo-config.toml' = '~/.cargo/config.toml'\n'.netrc' = '~/.netrc'\n";
    let company = Company::new(&[
        ("home/.cargo/config.toml", "[http]\ncainfo = \"~/theirs.pem\"\n"),
        ("home/.cargo/credentials.toml", "[registries.company]\ntoken = \"Bearer cio-secret-1\"\n"),
        ("home/theirs.pem", &certificate("THEIRS")),
        ("ours.pem", &certificate("OURS")),
        ("mounted/one/cargo-config.toml", "[registry]\nglobal-credential-providers = [\"${PROVIDER}\"]\n"),
        ("mounted/one/.netrc", "machine b login me password cio-secret-2\n"),
        ("mounted/two/.netrc", "machine b login me password cio-secret-3\n"),
    ]);
    let env = [("CARGO_NET_RETRY", "1"), ("PROVIDER", "passed-on"), ("AWS_TOKEN", "not-passed-on")];
    let tools = company.tools(rules, &env, Some("ours.pem"));
    assert_eq!(tools.env["CARGO_NET_RETRY"], "1");
    assert_eq!(tools.env["PROVIDER"], "passed-on");
    assert!(!tools.env.contains_key("AWS_TOKEN"));
    for secret in ["cio-secret-1", "cio-secret-2", "cio-secret-3", "passed-on"] {
        assert!(tools.secrets.contains(secret), "{secret}: {:?}", tools.secrets);
    }
    let linked = |path: &str| fs::read_text(&Path::new(&tools.env["HOME"]).join(path)).unwrap_or_default();
    assert!(linked(".cargo/credentials.toml").contains("cio-secret-1"));
    assert!(linked(".cargo/config.toml").contains("PROVIDER"));
    assert!(linked(".netrc").contains("cio-secret-2"));
    let read: Vec<_> = tools.settings.files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(read, ["~/.cargo/config.toml", "~/.cargo/credentials.toml", "~/.netrc"]);
    let mounted = |below: &str| company.path(&format!("mounted/{below}"));
    let unread = [
        format!("{} is not read: {} is instead", mounted("two/.netrc"), mounted("one/.netrc")),
        format!("~/.cargo/config.toml is not read: {} is instead", mounted("one/cargo-config.toml")),
    ];
    assert_eq!(tools.unread, unread);
    let withheld = tools.without_credentials();
    assert!(!withheld.contains_key("PROVIDER"), "{withheld:?}");
    assert!(withheld.contains_key("CARGO_HTTP_CAINFO"));
}

#[test]
fn a_home_may_be_elsewhere() {
    let rules = "pass = []\nfiles = ['~/.cargo/config.toml', '~/.config/x']\n\
                 ca = [{ replaces = 'CARGO_HTTP_CAINFO', key = 'cainfo' }]\nhomes = { CARGO_HOME = '~/.cargo' }\n";
    let company = Company::new(&[
        ("home/.cargo/config.toml", "[net]\nretry = 1\n"),
        ("image/config.toml", "http.cainfo = \"~/theirs.pem\"\n"),
        ("home/theirs.pem", &certificate("THEIRS")),
        ("ours.pem", &certificate("OURS")),
        ("xdg/x", "here"),
    ]);
    let env = [("CARGO_HOME", "@/image"), ("XDG_CONFIG_HOME", "@/xdg")];
    let tools = company.tools(rules, &env, Some("ours.pem"));
    let texts: Vec<_> = tools.settings.files.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["http.cainfo = \"~/theirs.pem\"\n", "here"]);
    assert_eq!(bundle(&tools, "CARGO_HTTP_CAINFO"), "THEIRS OURS");
    assert!(!tools.env.contains_key("CARGO_HOME"));
}

#[test]
fn go_finds_its_netrc_its_private_modules_and_its_ca() {
    let rules = "pass = ['GO*', 'NETRC']\nfiles = ['~/.netrc', '~/.gitconfig']\n\
                 ca = [{ replaces = 'SSL_CERT_FILE', directories = 'SSL_CERT_DIR' }, { replaces = 'GIT_SSL_CAINFO' }]\n\
                 [environment.mounted]\n'.netrc' = 'NETRC'\n";
    let company = Company::new(&[
        ("home/.netrc", "machine a login me password go-secret-1\n"),
        ("mounted/one/.netrc", "machine b login me password go-secret-2\n"),
        ("mounted/two/.netrc", "machine c login me password go-secret-3\n"),
        ("mounted/two/token", "go-secret-6\n"),
        ("mounted/two/.git-credentials", "https://me:go-secret-7@git.example\n"),
        ("home/.gitconfig", "[http]\n\textraHeader = Authorization: Bearer go-secret-8\n"),
        ("roots.pem", &certificate("ROOTS")),
        ("ours.pem", &certificate("OURS")),
    ]);
    let env = [
        ("GOPRIVATE", "*.corp.example"),
        ("GOPROXY", "https://me:go-secret-4@proxy.example"),
        ("SSL_CERT_FILE", "@/roots.pem"),
        ("http_proxy", "http://me:go-secret-5@proxy.example:3128"),
    ];
    let tools = company.tools(rules, &env, Some("ours.pem"));
    assert_eq!(tools.env["NETRC"], company.path("mounted/one/.netrc"));
    assert_eq!(tools.env["GOPRIVATE"], "*.corp.example");
    assert_eq!(tools.env["HTTP_PROXY"], tools.env["http_proxy"]);
    for variable in ["SSL_CERT_FILE", "GIT_SSL_CAINFO"] {
        assert_eq!(bundle(&tools, variable), "ROOTS OURS", "{variable}");
    }
    // It reads the image's directories beside that file.
    assert_eq!(tools.env["SSL_CERT_DIR"], NOTHING);
    for number in 1..=8 {
        assert!(tools.secrets.contains(&format!("go-secret-{number}")), "{number}: {:?}", tools.secrets);
    }
    let (one, two) = (company.path("mounted/one/.netrc"), company.path("mounted/two/.netrc"));
    let unread =
        [format!("{two} is not read: NETRC names {one}"), format!("~/.netrc is not read: NETRC names {one}")];
    assert_eq!(tools.unread, unread);
    let read: Vec<_> = tools.settings.files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(read, ["~/.gitconfig", &one]);
    // git looks for it where it always is.
    let linked = fs::read_text(&Path::new(&tools.env["HOME"]).join(".netrc"));
    assert!(linked.is_some_and(|text| text.contains("go-secret-2")));
    let withheld = tools.without_credentials();
    assert!(withheld.contains_key("GOPRIVATE") && !withheld.contains_key("GOPROXY"), "{withheld:?}");
}

#[test]
fn maven_finds_its_settings_and_their_variables() {
    let rules = "pass = ['MAVEN_*']\nfiles = ['~/.m2/settings.xml']\n[environment.mounted]\n'settings.xml' = 'MAVEN_SETTINGS'\n";
    let settings = "<settings><servers><server><id>company</id><username>me</username>\n\
                    <password>mvn-secret-1</password></server><server><id>other</id>\n\
                    <password>${env.OTHER_PASS}</password></server></servers></settings>\n";
    let company = Company::new(&[("mounted/one/settings.xml", settings)]);
    let tools = company.tools(rules, &[("OTHER_PASS", "mvn-secret-2"), ("NO_PROXY", "*.corp.example")], None);
    let file = company.path("mounted/one/settings.xml");
    assert_eq!(tools.env["MAVEN_SETTINGS"], file);
    assert_eq!(tools.settings.files, [(file, settings.to_owned())]);
    assert_eq!(tools.env["no_proxy"], "*.corp.example");
    assert_eq!(tools.env["OTHER_PASS"], "mvn-secret-2");
    for secret in ["mvn-secret-1", "mvn-secret-2"] {
        assert!(tools.secrets.contains(secret), "{secret}: {:?}", tools.secrets);
    }
}

#[test]
fn a_client_with_roots_of_its_own_keeps_them_until_somebody_replaces_them() {
    let rules = "pass = ['NPM_*', 'npm_config_*', 'EXTRA']\nfiles = ['~/.npmrc']\n\
                 ca = [{ replaces = 'npm_config_cafile', adds = 'EXTRA', key = 'cafile' }]\n\
                 [environment.mounted]\n'.npmrc' = 'NPM_CONFIG_USERCONFIG'\n";
    let company = Company::new(&[
        ("roots.pem", &certificate("ROOTS")),
        ("theirs.pem", &certificate("THEIRS")),
        ("ours.pem", &certificate("OURS")),
    ]);
    let seen = |env: &[(&str, &str)], ca_file| {
        let tools = company.tools(rules, env, ca_file);
        let of = |variable: &str| tools.env.contains_key(variable).then(|| bundle(&tools, variable));
        (
            of("EXTRA").unwrap_or_default(),
            of("npm_config_cafile").or(of("NPM_CONFIG_CAFILE")).unwrap_or_default(),
        )
    };
    let is = |extra: &str, all: &str| (extra.to_owned(), all.to_owned());
    let roots = ("SSL_CERT_FILE", "@/roots.pem");
    let extra = ("EXTRA", "@/theirs.pem");
    let cafile = ("NPM_CONFIG_CAFILE", "@/theirs.pem");
    assert_eq!(seen(&[], None), is("", ""));
    assert_eq!(seen(&[], Some("ours.pem")), is("OURS", ""));
    assert_eq!(seen(&[extra], Some("ours.pem")), is("THEIRS OURS", ""));
    assert_eq!(seen(&[roots], None), is("ROOTS", "ROOTS"));
    assert_eq!(seen(&[roots, extra], Some("ours.pem")), is("THEIRS OURS", "ROOTS OURS"));
    assert_eq!(seen(&[roots, cafile], Some("ours.pem")), is("ROOTS OURS", "THEIRS OURS"));
}

#[test]
fn a_file_that_a_variable_names_and_that_is_no_help_is_told() {
    let company = Company::new(&[("der.pem", "0\u{82}")]);
    let rules =
        "pass = ['NPM_*', 'npm_config_*']\n[environment.mounted]\n'.npmrc' = 'NPM_CONFIG_USERCONFIG'\n";
    let tools = company.tools(rules, &[("npm_config_userconfig", "@/absent")], None);
    let told = format!(
        "{}, which npm_config_userconfig names, cannot be read: there is no such file",
        company.path("absent")
    );
    assert_eq!(tools.unread, [told]);
    let refused = read_bundle(&company.0.path.join("der.pem")).expect_err("no PEM");
    assert!(matches!(refused, ProvisionError::CaFile { source, .. } if source.to_string().contains("PEM")));
}
