//! What is wrong with a pod, in words: the container, its message, what to do next.
//!
//! Whatever comes out of a pod was written by somebody: it is shown as plain text, its lines indented, so
//! that it can neither steer a terminal nor pass for ours.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::pod::{Condition, Container, Pod, Role, Terminated, Then, Trouble, Verdict};

use super::super::plain::{cut, plain};
use super::super::termination::one_line;
use super::{find, unstarted};

/// The most that is shown of a message, in bytes; the kubelet keeps 4096, and damaged letters count three.
const MESSAGE: usize = 12 << 10;
/// The most that is shown of a name or a reason, in bytes.
const WORD: usize = 256;

/// Explains each pod, those in trouble first.
pub(crate) fn explain(pods: &[Pod]) -> String {
    let mut pods: Vec<&Pod> = pods.iter().collect();
    pods.sort_by_key(|pod| match pod.verdict() {
        Verdict::Failed { .. } | Verdict::Troubled | Verdict::Unscheduled(_) => 0,
        Verdict::NoStatus | Verdict::Gated(_) | Verdict::Starting => 1,
        Verdict::Succeeded | Verdict::Ready => 2,
    });
    // Replicas fail alike: what is said of one is not repeated for the others.
    let mut blocks: Vec<(String, Vec<&str>)> = Vec::new();
    let mut seen: HashMap<_, usize> = HashMap::new();
    for pod in pods {
        let about = About::of(pod);
        match seen.entry(about.essence(pod)) {
            Entry::Occupied(index) => blocks[*index.get()].1.push(pod.meta.name.as_str()),
            Entry::Vacant(index) => {
                index.insert(blocks.len());
                blocks.push((about.render(pod), Vec::new()));
            }
        }
    }
    let blocks: Vec<String> = blocks
        .into_iter()
        .map(|(block, alike)| match alike.as_slice() {
            [] => block,
            names => format!("{block}the same: {}\n", names.join(", ")),
        })
        .collect();
    blocks.join("\n")
}

/// What is to be said of a pod.
struct About {
    /// What became of it as a whole.
    verdict: Option<Part>,
    /// What is wrong with its containers, worst first.
    parts: Vec<Part>,
}

/// What is to be said of a pod as a whole or of one of its containers.
#[derive(Default)]
struct Part {
    /// `init container build failed`
    what: String,
    /// Somebody's own words.
    message: String,
    /// Facts, each a line.
    facts: Vec<String>,
    /// What to do.
    next: String,
    /// Commands that show more.
    commands: Vec<String>,
}

impl About {
    fn of(pod: &Pod) -> Self {
        let verdict = pod.verdict();
        let ends = pod.meta.deletion_timestamp.is_some() || matches!(verdict, Verdict::Failed { .. });
        let troubles = pod.troubles().into_iter();
        // Where the pod was ended, its containers are not to blame; what they said last is worth reading.
        let troubles = troubles.filter(|(container, _)| !ends || container.message().is_some());
        let mut parts: Vec<Part> =
            troubles.map(|(container, trouble)| container_part(pod, container, trouble)).collect();
        if ends {
            for part in &mut parts {
                part.next.clear();
                part.commands.clear();
            }
        }
        let verdict = match &pod.meta.deletion_timestamp {
            Some(when) => Some(deleted(pod, when)),
            None => pod_part(pod, &verdict),
        };
        About { verdict, parts }
    }

    /// What pods have in common that fare alike: not their names, nor how long it took.
    fn essence(&self, pod: &Pod) -> Vec<String> {
        let namespace = pod.meta.namespace.iter().map(ToString::to_string);
        let parts = self.verdict.iter().chain(&self.parts);
        let lines = parts.flat_map(|part| {
            let headline = part.message.lines().next().unwrap_or_default();
            [part.what.clone(), headline.to_owned(), part.facts.first().cloned().unwrap_or_default()]
        });
        namespace.chain(lines).collect()
    }

    fn render(&self, pod: &Pod) -> String {
        let mut text = format!("pod {}", pod.meta.name);
        if let Some(namespace) = &pod.meta.namespace {
            text = format!("{text} in {namespace}");
        }
        for (index, part) in self.verdict.iter().chain(&self.parts).enumerate() {
            text.push_str(if index == 0 { ": " } else { "\nalso: " });
            part.render(&mut text);
        }
        text
    }
}

impl Part {
    fn render(&self, text: &mut String) {
        text.extend([&self.what, "\n"]);
        if !self.message.is_empty() {
            text.push('\n');
            for line in self.message.lines() {
                text.push_str(format!("    {line}").trim_end());
                text.push('\n');
            }
            if !self.facts.is_empty() || !self.next.is_empty() {
                text.push('\n');
            }
        }
        for fact in &self.facts {
            text.extend([fact, "\n"]);
        }
        if !self.next.is_empty() {
            text.extend(["next: ", &self.next, "\n"]);
        }
        for command in &self.commands {
            text.extend(["    ", command, "\n"]);
        }
    }
}

/// What is to be said of a pod as a whole, unless its containers say all.
fn pod_part(pod: &Pod, verdict: &Verdict<'_>) -> Option<Part> {
    let ready =
        pod.containers().into_iter().filter_map(Container::message).find(|text| text.starts_with("ready: "));
    let message = own_words(ready);
    Some(match *verdict {
        Verdict::Troubled => return None,
        Verdict::NoStatus => Part {
            what: "nothing is known of it: it has no status, as in a manifest".into(),
            next: "ask the cluster".into(),
            commands: vec![format!("kubectl get pod {} -o json | injector explain", target(pod))],
            ..Part::default()
        },
        Verdict::Failed { reason, message } => {
            let unstarted::Advice { what, next } = unstarted::ended(reason, message.unwrap_or_default());
            Part {
                what: what.into(),
                message: own_words(message),
                facts: vec![format!("reason: {}", word(reason))],
                next: next.into(),
                commands: vec![describe(pod)],
            }
        }
        Verdict::Unscheduled(condition) => Part {
            what: "no node takes it".into(),
            message: own_words(condition.message.as_deref()),
            facts: reason(condition),
            next: unstarted::unscheduled(
                condition.message.as_deref().or(condition.reason.as_deref()).unwrap_or_default(),
            )
            .into(),
            commands: vec![describe(pod)],
        },
        Verdict::Succeeded => Part { what: "has run to its end".into(), message, ..Part::default() },
        Verdict::Ready => {
            Part { what: "all is well, its containers are ready".into(), message, ..Part::default() }
        }
        Verdict::Gated(condition) => Part {
            what: "its containers are ready, but the pod is not".into(),
            message: own_words(condition.message.as_deref()),
            facts: reason(condition),
            next: "look whether its node is there, and who sets its readiness gates".into(),
            commands: vec![describe(pod)],
        },
        Verdict::Starting => starting(pod),
    })
}

/// A pod that nothing is wrong with yet.
fn starting(pod: &Pod) -> Part {
    let containers = pod.containers();
    let runs = containers
        .iter()
        .find(|one| one.role == Role::Init && one.state().is_some_and(|state| state.running.is_some()));
    if let Some(container) = runs {
        return Part {
            what: format!("{} runs now", label(*container)),
            next: "wait for it, or follow its log".into(),
            commands: vec![format!("kubectl logs {} -c {} -f", target(pod), container.spec.name)],
            ..Part::default()
        };
    }
    let waiting = containers.iter().find_map(|one| {
        let waiting = one.state()?.waiting.as_ref()?;
        Some((label(*one), waiting.reason.as_deref()?, waiting.message.as_deref()))
    });
    let (what, message) = match waiting {
        Some((label, reason, message)) => {
            (format!("is being started: {label} waits ({})", word(reason)), message)
        }
        None => ("is being started".to_owned(), None),
    };
    let sandbox = pod.denied("PodReadyToStartContainers");
    Part {
        what,
        message: own_words(message),
        facts: sandbox.map(|_| "its volumes or its network are not there yet".to_owned()).into_iter().collect(),
        next: "wait; if it stays so, look in the events for FailedMount (a ConfigMap, Secret or claim that is not there), FailedCreatePodSandBox (network) or a slow Pulling"
            .into(),
        commands: vec![describe(pod)],
    }
}

/// A pod that is on its way out.
fn deleted(pod: &Pod, when: &str) -> Part {
    let finalizers = pod.meta.finalizers.as_deref().filter(|all| !all.is_empty());
    let finalizers = finalizers.map(|all| format!("it waits for its finalizers: {}", word(&all.join(", "))));
    Part {
        what: "is being deleted".into(),
        facts: [format!("it is to be gone by {}", word(when))]
            .into_iter()
            .chain(finalizers)
            .chain(disruption(pod))
            .collect(),
        next: "look at the pod that replaces it; if this one stays, its node may be lost".into(),
        commands: vec![describe(pod)],
        ..Part::default()
    }
}

/// Who ended a pod, if the control plane said so
/// (<https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions>).
fn disruption(pod: &Pod) -> Option<String> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let found = conditions.find(|one| one.kind == "DisruptionTarget" && one.status == "True")?;
    let [reason, message] = [&found.reason, &found.message].map(|text| text.as_deref().unwrap_or_default());
    Some(format!("ended by: {}", word(&format!("{reason}: {message}"))))
}

fn container_part(pod: &Pod, container: Container<'_>, trouble: Trouble<'_>) -> Part {
    match trouble {
        Trouble::Unstarted { reason, message } => unstarted_part(pod, container, reason, message),
        Trouble::Ended { end, then } => {
            let mut part = match end.reason.as_deref() {
                Some(reason @ ("StartError" | "ContainerCannotRun")) => {
                    unstarted_part(pod, container, reason, end.message.as_deref())
                }
                _ => ended_part(pod, container, end, then),
            };
            part.facts.extend(since(container, then));
            part
        }
        Trouble::Unready => Part {
            what: format!("{} runs, and is not ready", label(container)),
            next: "look in the events for Unhealthy: its readiness or startup probe fails, or had no time yet; its log says more".into(),
            commands: vec![describe(pod), format!("kubectl logs {} -c {}", target(pod), container.spec.name)],
            ..Part::default()
        },
    }
}

fn unstarted_part(pod: &Pod, container: Container<'_>, reason: &str, message: Option<&str>) -> Part {
    let unstarted::Advice { what, next } = unstarted::container(reason, message.unwrap_or_default());
    let image = container.spec.image.as_deref().map(|image| format!("image: {}", word(image)));
    Part {
        what: format!("{} {what}", label(container)),
        message: own_words(message),
        facts: [format!("reason: {}", word(reason))].into_iter().chain(image).collect(),
        next: next.into(),
        commands: vec![describe(pod)],
    }
}

/// A container that ended when it should not.
fn ended_part(pod: &Pod, container: Container<'_>, end: &Terminated, then: Then) -> Part {
    let label = label(container);
    let message = end.message.as_deref().unwrap_or_default();
    let status = end.exit_code;
    let reason = end.reason.as_deref().filter(|reason| !matches!(*reason, "Error" | "Completed"));
    let shown = reason.map_or_else(
        || format!("exit code {status}"),
        |reason| format!("exit code {status} ({})", word(reason)),
    );
    let is_ours = is_ours(container, status, message);
    let ours = find(status).filter(|_| is_ours);
    let mut facts = Vec::new();
    if let Some(code) = &ours {
        facts.push(format!("exit code {status}: {}: {}", code.name, code.meaning));
    }
    let (what, next) = match (reason, &ours) {
        (Some("OOMKilled"), _) => {
            let limit = container.memory_limit();
            let (fact, next) = match limit.map(|limit| word(&limit)) {
                Some(limit) => (
                    format!("the kernel killed it at its memory limit, {limit}"),
                    format!("raise resources.limits.memory of {label}, now {limit}"),
                ),
                None => (
                    "the kernel killed it; it has no memory limit, so the pod's or the node's memory was used up"
                        .to_owned(),
                    format!("give {label} as much resources.requests.memory as it needs, so that its node has it"),
                ),
            };
            facts.push(format!("{shown}: {fact}"));
            ("ran out of memory", next)
        }
        (Some("ContainerStatusUnknown"), _) => {
            facts.push(format!("{shown}: nobody saw how it ended"));
            ("was lost with its node", "look at the pod that replaces it".to_owned())
        }
        (_, Some(code)) => {
            let what = match status {
                90 => "failed by a bug of the injector",
                130 | 143 => "was stopped",
                odd if odd % 2 == 1 => "failed, for the function's author to mend",
                _ => "failed, for the platform to mend",
            };
            (what, code.next.to_owned())
        }
        (_, None) => {
            let (fact, what, next) = foreign(status);
            facts.push(format!("{shown}{fact}"));
            (what, next.to_owned())
        }
    };
    let log = match then {
        Then::Stays => "",
        Then::Waits | Then::Runs | Then::Serves => " --previous",
    };
    let mut commands = vec![format!("kubectl logs {} -c {}{log}", target(pod), container.spec.name)];
    if status == 137 && reason.is_none() {
        commands.insert(0, describe(pod));
    }
    let limit = pod.bytes_per_message();
    // One of ours that just fits ends with its line.
    if message.len() >= limit && !(is_ours && message.ends_with('\n')) {
        facts.push(format!("the kubelet cut the message to {limit} bytes: more is in the log"));
        if is_ours {
            facts.push(format!(
                "hint: with INJECTOR_TERMINATION_BUDGET={limit} in its env, {label} says what fits"
            ));
        }
    }
    Part { what: format!("{label} {what}"), message: own_words(Some(message)), facts, next, commands }
}

/// Whether an exit status is one of our codes: the message says so, or an init container that runs us has none.
fn is_ours(container: Container<'_>, status: i32, message: &str) -> bool {
    let named = message.strip_prefix('E').and_then(|rest| rest.strip_prefix(&status.to_string()));
    let mut command = container.spec.command.iter().flatten();
    let runs_us = command.next().is_some_and(|program| program.rsplit('/').next() == Some("injector"));
    named.is_some_and(|rest| rest.starts_with(' '))
        || message.starts_with("killed in the stage ")
        || container.role == Role::Init && runs_us && message.is_empty()
}

/// What an exit status of somebody else's program means: a fact, what happened, what to do.
fn foreign(status: i32) -> (&'static str, &'static str, &'static str) {
    const LOG: &str = "read its log: this exit code is its program's own";
    match status {
        0 => (
            ": it ended well, though it is to run on",
            "ends again and again",
            "let its program stay in the foreground, or run it as a Job",
        ),
        126 => (": its command cannot be executed", "failed", "mend `command` in the manifest, or the image"),
        127 => (
            ": its command is not there",
            "failed",
            "mend `command` in the manifest, or choose an image that has it",
        ),
        132 => (": SIGILL", "crashed", "use an image and packages for the node's processor"),
        134 => (": SIGABRT", "crashed", LOG),
        135 => (": SIGBUS", "crashed", LOG),
        137 => (
            ": SIGKILL, and not at its memory limit as far as Kubernetes saw",
            "was killed",
            "look in the events for a liveness probe that failed, an eviction, or a node that is short of memory",
        ),
        139 => (": SIGSEGV", "crashed", "read its log; native packages for another version or libc do this"),
        143 => (
            ": SIGTERM",
            "was stopped",
            "look in the events for who stopped it: a probe, an update, a drained node",
        ),
        _ => ("", "failed", LOG),
    }
}

/// What a container has done since it ended.
fn since(container: Container<'_>, then: Then) -> Option<String> {
    let restarts = match container.status.and_then(|status| status.restart_count) {
        None | Some(0) => String::new(),
        Some(1) => ", 1 restart so far".to_owned(),
        Some(several) => format!(", {several} restarts so far"),
    };
    let waiting = container.state().and_then(|state| state.waiting.as_ref()?.reason.as_deref());
    let now = match then {
        Then::Stays if restarts.is_empty() => return None,
        Then::Stays => "it has ended".to_owned(),
        Then::Waits => format!("it waits for its next start ({})", word(waiting.unwrap_or("Waiting"))),
        Then::Runs => "it runs again now".to_owned(),
        Then::Serves => "it runs again, and is ready".to_owned(),
    };
    Some(format!("{now}{restarts}"))
}

fn reason(condition: &Condition) -> Vec<String> {
    condition.reason.iter().map(|reason| format!("reason: {}", word(reason))).collect()
}

/// `init container build`
fn label(container: Container<'_>) -> String {
    let role = match container.role {
        Role::Init => "init container",
        Role::Sidecar => "sidecar",
        Role::Main => "container",
        Role::Ephemeral => "ephemeral container",
    };
    format!("{role} {}", container.spec.name)
}

fn describe(pod: &Pod) -> String {
    format!("kubectl describe pod {}", target(pod))
}

/// A pod as kubectl takes it.
fn target(pod: &Pod) -> String {
    let name = &pod.meta.name;
    pod.meta.namespace.as_ref().map_or_else(|| name.to_string(), |space| format!("{name} -n {space}"))
}

/// A few words of somebody else's, on one line.
fn word(text: &str) -> String {
    cut(&one_line(text), WORD).into_owned()
}

/// Somebody else's message, if there is one.
fn own_words(text: Option<&str>) -> String {
    text.map(|text| cut(plain(text).trim_matches('\n'), MESSAGE).into_owned()).unwrap_or_default()
}
