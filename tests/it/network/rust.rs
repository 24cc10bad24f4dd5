//! cargo: where its packages come from, where its tokens are, and what of them its packages see.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::pod::Pod;
use crate::support::packages::tool;
use crate::support::registry::basic;

/// Where the toolchain is, past rustup, whose settings are in another home.
pub(super) fn toolchain() -> Option<PathBuf> {
    let rustc = tool("rust", "rustc")?;
    let output = std::process::Command::new(rustc).args(["--print", "sysroot"]).output().expect("it runs");
    Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).join("bin"))
}

/// Names the company's registry; a login in the URL becomes its token, since cargo allows none there.
pub(super) fn index<'a>(pod: &'a mut Pod, url: &str, variable: &str, path: &str) -> &'a mut Pod {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (login, host) = rest.rsplit_once('@').map_or((None, rest), |(login, host)| (Some(login), host));
    if let Some(login) = login {
        let login = percent_decode_str(login).decode_utf8_lossy();
        pod.var("CARGO_REGISTRIES_COMPANY_TOKEN", &basic(&login));
    }
    pod.var(variable, &format!("sparse+{scheme}://{host}{path}"))
}

/// A `Cargo.toml` that asks for these packages.
pub(super) fn manifest<'a>(packages: impl Iterator<Item = &'a str>) -> String {
    let asked = packages.map(|name| format!("{name} = \"1\"\n"));
    format!(
        "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n{}",
        asked.collect::<String>()
    )
}

/// A function that says what they say.
pub(super) fn function<'a>(packages: impl Iterator<Item = &'a str>) -> String {
    let texts: String = packages.map(|name| format!("{name}::TEXT, ")).collect();
    format!(
        "use kubeless::{{Context, Event}};\n\npub fn hello(_: Event, _: Context) -> String {{\n    std::hint::black_box([{texts}]).concat()\n}}\n"
    )
}
