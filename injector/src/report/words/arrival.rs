//! What is said of a function that cannot be read, or does not arrive.

use std::fmt::Write as _;

use crate::arrival::ArrivalError;
use crate::failure::Stage;
use crate::survey::SurveyError;
use crate::sys::decode::DecodeError;
use crate::sys::fetch::{Cause, FetchError};
use crate::sys::mount::MountError;
use crate::sys::unpack::{Refusal, UnpackError};

use super::super::termination::Message;
use super::{provision, say, say_unreadable};

/// Where a function is brought, for want of space there.
const ROOM: &str =
    "it is brought to INJECTOR_SCRATCH, else TMPDIR or /tmp: is that writable, and large enough?";

pub(super) fn survey(error: &SurveyError) -> Message {
    let stage = Stage::Survey;
    match error {
        SurveyError::Mount { root, source } => match source {
            MountError::Absent(_) => say(
                stage,
                format!("{source}: no function is mounted there"),
                &[
                    "mount the function's ConfigMap there, or name its directory or file in INJECTOR_SOURCE or on the command line",
                ],
            ),
            MountError::Unreadable { source: error, .. } => say_unreadable(&source.to_string(), error),
            MountError::Io(error) => say_unreadable(&format!("the function in {root} cannot be read"), error),
            MountError::Name(_) => say(
                stage,
                source.to_string(),
                &["rename the file: names are UTF-8 without control characters"],
            ),
            MountError::Escape { .. } => say(
                stage,
                source.to_string(),
                &["replace the link by a copy of what it points to, or remove it"],
            ),
            MountError::Special(_) => {
                say(stage, source.to_string(), &["remove it: a function is made of files"])
            }
            MountError::TooMuch { variable, .. } => {
                let raise =
                    variable.map(|name| format!("is this the function's own directory? If so, raise {name}"));
                let hint = raise.as_deref().unwrap_or("is this the function's own dependency file?");
                say(stage, format!("the function in {root} is too large: {source}"), &[hint])
            }
        },
        SurveyError::Unsettled => say(
            stage,
            error.to_string(),
            &["make the ConfigMap immutable and name it by its hash, so that all replicas read the same"],
        ),
        SurveyError::Checksum { expected, found, variable, .. } => {
            let mut message = say(stage, error.to_string(), &[]);
            let _ = write!(message.diagnostics[0].message, "\nexpected  {expected}\nfound     {found}");
            message.hints.push(format!("the function was changed after its manifest, or the other way round: bring {variable} up to date"));
            message
        }
        SurveyError::NothingToCheck { .. } => {
            say(stage, error.to_string(), &["a checksum is of one file; for several, leave it out"])
        }
    }
}

pub(super) fn arrival(error: &ArrivalError) -> Message {
    let stage = Stage::Survey;
    let text = error.to_string();
    match error {
        ArrivalError::Survey(error) => survey(error),
        ArrivalError::Room(error) => provision(error),
        ArrivalError::Io(_) | ArrivalError::Decode { source: DecodeError::Io(_), .. } => {
            say(stage, text, &[ROOM])
        }
        ArrivalError::NoCarrier { found, module } => {
            let listed = if found.is_empty() { "no file at all".to_owned() } else { found.join(", ") };
            let name = match module {
                Some(module) => format!("name it {module}, after the handler's module"),
                None => "name it after the handler's module, and name that in FUNC_HANDLER".to_owned(),
            };
            let address = "a function of the type url needs no file where FUNC_URL has its address";
            let hints = if found.is_empty() { &[&*name, address][..] } else { &[&*name] };
            say(stage, format!("{text}; there is {listed}"), hints)
        }
        ArrivalError::Address { .. } => say(
            stage,
            text,
            &["a function of the type url is an http or https address in a mounted file, or in FUNC_URL"],
        ),
        ArrivalError::Decode { .. } => say(
            stage,
            text,
            &[
                "make it with `base64 <file>`; for a file that is mounted as it is, set FUNC_CONTENT_TYPE to text",
            ],
        ),
        ArrivalError::Fetch(error) => say(stage, text, &download(error).map_or(vec![], |hint| vec![hint])),
        ArrivalError::WebPage { .. } => say(
            stage,
            text,
            &["is it the page about the file, or a login? give the address of the file itself"],
        ),
        ArrivalError::Unannounced { .. } => {
            say(stage, text, &["add +zip or +compressedtar to FUNC_CONTENT_TYPE"])
        }
        ArrivalError::Unpack { source, .. } => {
            say(stage, text, &unpacking(source).map_or(vec![], |hint| vec![hint]))
        }
        ArrivalError::NoName { .. } => say(
            stage,
            text,
            &["set FUNC_RUNTIME and FUNC_HANDLER: the file is named after the handler's module"],
        ),
        ArrivalError::NoDependencies { names, .. } => say(
            stage,
            text,
            &[&format!("put {} at the top of the archive, or leave +deps out", names.join(" or "))],
        ),
        ArrivalError::InTheWay(_) => say(stage, text, &["give one of the two another name"]),
    }
}

/// What to do about a download.
fn download(error: &FetchError) -> Option<&'static str> {
    Some(match error {
        FetchError::Status { code: 404 | 410, .. } | FetchError::Nowhere { .. } => {
            "is the address the one of the file itself, and is the file still there?"
        }
        FetchError::Status { code: 401 | 403, .. } => {
            "mount a Secret with a file .netrc for this host below /var/run/secrets/kubeless.io/, or sign the address anew"
        }
        FetchError::TooLarge { .. } => "is it the right file? If so, raise INJECTOR_MAX_DOWNLOAD",
        FetchError::Network { cause: Cause::Tls(_), .. } => {
            "that is for the operator of that host to mend; check the address and the node's clock, too"
        }
        FetchError::Network { cause: Cause::Untrusted { .. }, .. } => {
            "name the CA that signed its certificate in INJECTOR_CA_FILE"
        }
        FetchError::Network { cause: Cause::ProxyLogin { .. } | Cause::ProxyRefused { .. }, .. } => {
            "HTTP_PROXY and HTTPS_PROXY name the proxy and its login; NO_PROXY lists the hosts that need none"
        }
        FetchError::TookTooLong { .. } => "is that server slow? If so, raise INJECTOR_TIMEOUT",
        FetchError::Network { .. } => {
            "can this pod reach that host: a NetworkPolicy, a proxy (HTTPS_PROXY), a mesh whose sidecar is not up yet?"
        }
        FetchError::Downgrade { .. } => "give the https address to which it should lead",
        FetchError::NoProxy { .. } => "write it as http://host:port",
        FetchError::Room { .. } => ROOM,
        FetchError::Status { .. }
        | FetchError::Later { .. }
        | FetchError::Circle { .. }
        | FetchError::Redirects { .. } => "this is that server's to mend; this container will try again",
        FetchError::Interrupted(_) | FetchError::Setup(_) => return None,
    })
}

/// What to do about an archive.
fn unpacking(error: &UnpackError) -> Option<&'static str> {
    Some(match error {
        UnpackError::NotAnArchive(_) => {
            "for one source file, leave +zip or +compressedtar out of FUNC_CONTENT_TYPE; else is it the right file?"
        }
        UnpackError::Window { .. } => {
            "compress it with `xz -6` or `zstd -19`, or raise INJECTOR_MAX_WINDOW: it is memory"
        }
        UnpackError::Refused { refusal, .. } => match refusal {
            Refusal::Deep { .. }
            | Refusal::Many(_)
            | Refusal::Large(_)
            | Refusal::Ratio(_)
            | Refusal::Paths(_) => "is all of it part of the function? If so, raise the limit",
            Refusal::Broken(_) => "pack it again, upload it again: compare its size and its checksum",
            Refusal::Encrypted => "pack it without a password",
            Refusal::Method(_) => "pack it with `zip -r`, whose method is deflate, or as .tar.gz",
            Refusal::Backslash => "pack it with a program that writes `/`, as zip, tar and PowerShell 7 do",
            _ => {
                "a function is made of files, directories, and links among them: pack its directory again, without this entry"
            }
        },
        UnpackError::Io(_) => ROOM,
        UnpackError::TookTooLong(_) => "raise INJECTOR_TIMEOUT, or this container's limits.cpu",
        UnpackError::Stopped => return None,
    })
}
