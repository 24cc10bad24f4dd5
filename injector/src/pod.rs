//! A pod as `kubectl get pod -o json` prints it: as much of it as tells why it does not run.

mod trouble;

use serde::Deserialize;
use serde_json::Value;

pub(crate) use trouble::{Container, Role, Then, Trouble, Verdict};

/// A pod: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>.
#[derive(Debug, Deserialize)]
pub(crate) struct Pod {
    /// Its name, and what became of it as an object.
    #[serde(rename = "metadata")]
    pub(crate) meta: Metadata,
    /// What was asked for.
    pub(crate) spec: Spec,
    /// What there is; a manifest has none.
    pub(crate) status: Option<Status>,
}

/// A pod's name and place.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// Its name.
    pub(crate) name: Name,
    /// Its namespace.
    pub(crate) namespace: Option<Name>,
    /// When it is, or was, to be gone.
    pub(crate) deletion_timestamp: Option<String>,
    /// Who must agree before it is gone.
    pub(crate) finalizers: Option<Vec<String>>,
}

/// What was asked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    /// Those that run first, one after the other; and sidecars.
    pub(crate) init_containers: Option<Vec<ContainerSpec>>,
    /// Those that run then.
    pub(crate) containers: Vec<ContainerSpec>,
    /// Those that somebody added to look around (`kubectl debug`).
    pub(crate) ephemeral_containers: Option<Vec<ContainerSpec>>,
}

/// A container as it was asked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerSpec {
    /// Its name.
    pub(crate) name: Name,
    /// Its image.
    pub(crate) image: Option<String>,
    /// What it runs, if not what the image says.
    pub(crate) command: Option<Vec<String>>,
    /// Its limits.
    pub(crate) resources: Option<Resources>,
    /// `Always` makes an init container a sidecar.
    pub(crate) restart_policy: Option<String>,
}

/// What a container may use.
#[derive(Debug, Deserialize)]
pub(crate) struct Resources {
    /// The limits.
    pub(crate) limits: Option<Limits>,
}

/// The limits of a container.
#[derive(Debug, Deserialize)]
pub(crate) struct Limits {
    /// Of its memory: `"128Mi"`, or a number where it is a manifest.
    pub(crate) memory: Option<Value>,
}

/// What there is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub(crate) phase: Option<String>,
    /// Why the whole pod failed: `Evicted`.
    pub(crate) reason: Option<String>,
    /// The same in words.
    pub(crate) message: Option<String>,
    /// How far it has come.
    pub(crate) conditions: Option<Vec<Condition>>,
    /// The init containers and sidecars.
    pub(crate) init_container_statuses: Option<Vec<ContainerStatus>>,
    /// The containers.
    pub(crate) container_statuses: Option<Vec<ContainerStatus>>,
    /// Those that look around.
    pub(crate) ephemeral_container_statuses: Option<Vec<ContainerStatus>>,
}

/// One of the steps to a pod that serves.
#[derive(Debug, Deserialize)]
pub(crate) struct Condition {
    /// Which.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `True`, `False` or `Unknown`.
    pub(crate) status: String,
    /// Why.
    pub(crate) reason: Option<String>,
    /// The same in words.
    pub(crate) message: Option<String>,
}

/// A container as it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerStatus {
    /// Its name.
    pub(crate) name: Name,
    /// Whether requests may come, or an init container is done.
    pub(crate) ready: Option<bool>,
    /// How often it was started again.
    pub(crate) restart_count: Option<u32>,
    /// What it does now.
    pub(crate) state: Option<State>,
    /// What it did before.
    pub(crate) last_state: Option<State>,
}

/// What a container does; one of the three.
#[derive(Debug, Deserialize)]
pub(crate) struct State {
    /// It is not started.
    pub(crate) waiting: Option<Waiting>,
    /// It runs.
    pub(crate) running: Option<Running>,
    /// It has ended.
    pub(crate) terminated: Option<Terminated>,
}

/// A container that is not started.
#[derive(Debug, Deserialize)]
pub(crate) struct Waiting {
    /// Why: `CrashLoopBackOff`.
    pub(crate) reason: Option<String>,
    /// The same in words.
    pub(crate) message: Option<String>,
}

/// A container that runs.
#[derive(Debug, Deserialize)]
pub(crate) struct Running {}

/// A container that has ended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Terminated {
    /// Its exit status.
    pub(crate) exit_code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, …
    pub(crate) reason: Option<String>,
    /// Its termination message.
    pub(crate) message: Option<String>,
}

/// A name that the API server allows for a pod, a namespace or a container: harmless in a shell, too.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Name(String);

impl Name {
    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        if text.len() <= 253
            && ends.into_iter().all(|end| end.is_some_and(|&byte| letter(byte)))
            && bytes.iter().all(|&byte| letter(byte) || matches!(byte, b'-' | b'.'))
        {
            return Ok(Name(text));
        }
        Err(format!("{text:?} cannot be the name of a pod, a namespace or a container"))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an input tells of no pod.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PodError {
    /// It cannot be read.
    #[error("standard input cannot be read: {0}")]
    Unread(#[from] std::io::Error),
    /// There is nothing.
    #[error("standard input is empty")]
    Empty,
    /// It is not JSON.
    #[error("standard input is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// It is JSON of something else.
    #[error("standard input holds {found}, and no pod")]
    NoPod {
        /// What it is.
        found: String,
        /// The labels by which its pods are found, as `kubectl get pod -l` takes them.
        selector: Option<String>,
    },
    /// It is a pod with something in it that no pod has.
    #[error("the pod on standard input cannot be read: {0}")]
    Malformed(serde_json::Error),
}

/// The pods in a text: a pod, a list that has some, or several of them one after the other.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Pod>, PodError> {
    let text = String::from_utf8_lossy(bytes);
    if text.trim().is_empty() {
        return Err(PodError::Empty);
    }
    let documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let documents = documents.collect::<Result<Vec<_>, _>>().map_err(PodError::NotJson)?;
    let mut pods = Vec::new();
    let mut others = Vec::new();
    for object in documents.into_iter().flat_map(items) {
        match object.get("kind").and_then(Value::as_str) {
            Some("Pod") => pods.push(serde_json::from_value(object).map_err(PodError::Malformed)?),
            _ => others.push(object),
        }
    }
    if pods.is_empty() { Err(no_pod(&others)) } else { Ok(pods) }
}

/// The objects of a list; any other object alone. Those of a `PodList` do not say that they are pods.
fn items(mut object: Value) -> Vec<Value> {
    let is_pods = object.get("kind").is_some_and(|kind| kind == "PodList");
    let Some(Value::Array(items)) = object.get_mut("items").map(Value::take) else {
        return vec![object];
    };
    let named = items.into_iter().map(|mut item| {
        if let (true, Value::Object(fields)) = (is_pods, &mut item) {
            fields.entry("kind").or_insert_with(|| "Pod".into());
        }
        item
    });
    named.collect()
}

fn no_pod(others: &[Value]) -> PodError {
    let found = match others {
        [] => "an empty list".to_owned(),
        [one] => match one.get("kind").and_then(Value::as_str) {
            Some(kind) => format!("an object of kind {kind}"),
            None => "JSON without a kind".to_owned(),
        },
        several => format!("{} objects of other kinds", several.len()),
    };
    PodError::NoPod { found, selector: others.first().and_then(selector) }
}

/// The labels of the pods that a Deployment or its like makes.
fn selector(object: &Value) -> Option<String> {
    let labels = object.pointer("/spec/selector/matchLabels")?.as_object()?;
    let harmless = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
    };
    let pairs: Option<Vec<String>> = labels
        .iter()
        .map(|(key, value)| {
            let value = value.as_str()?;
            (harmless(key) && harmless(value)).then(|| format!("{key}={value}"))
        })
        .collect();
    pairs.filter(|pairs| !pairs.is_empty()).map(|pairs| pairs.join(","))
}
