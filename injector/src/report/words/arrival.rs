//! What is said of a function that cannot be read, or does not arrive.

use std::fmt::Write as _;

use crate::arrival::ArrivalError;
use crate::failure::Stage;
use crate::survey::SurveyError;
use crate::sys::decode::DecodeError;
use crate::sys::mount::MountError;

use super::super::termination::Message;
use super::{say, say_unreadable};

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
        ArrivalError::Room(_) => say(stage, text, &[]),
        ArrivalError::Io(_) | ArrivalError::Decode { source: DecodeError::Io(_), .. } => say(
            stage,
            text,
            &["the directory for it is INJECTOR_SCRATCH, else TMPDIR or /tmp: is there space?"],
        ),
        ArrivalError::NoCarrier { found, module } => {
            let found = if found.is_empty() { "no file at all".to_owned() } else { found.join(", ") };
            let hint = match module {
                Some(module) => format!("name it {module}, after the handler's module"),
                None => "name it after the handler's module, and name that in FUNC_HANDLER".to_owned(),
            };
            say(stage, format!("{text}; there is {found}"), &[&hint])
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
        ArrivalError::Fetch(error) => say(stage, text, error.hints()),
        ArrivalError::WebPage { .. } => say(
            stage,
            text,
            &["is it the page about the file, or a login? give the address of the file itself"],
        ),
        ArrivalError::Unannounced { .. } => {
            say(stage, text, &["add +zip or +compressedtar to FUNC_CONTENT_TYPE"])
        }
        ArrivalError::Unpack { source, .. } => say(stage, text, source.hints()),
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
