//! What to do about a container or a pod that Kubernetes does not start, by the words that it gives as reason.

/// What is wrong, and what to do.
pub(super) struct Advice {
    /// `cannot be started: its image cannot be pulled`
    pub(super) what: &'static str,
    /// What to do.
    pub(super) next: &'static str,
}

/// Words that a message may hold, in lower case, and what to do then.
type Rules = &'static [(&'static [&'static str], &'static str)];

/// A container that could not be started.
pub(super) fn container(reason: &str, message: &str) -> Advice {
    let advice = |what, rules, otherwise| Advice { what, next: first(rules, message).unwrap_or(otherwise) };
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "ImageInspectError" | "RegistryUnavailable" => advice(
            "cannot be started: its image cannot be pulled",
            IMAGE,
            "check the image's name and tag, the pod's imagePullSecrets, and the node's way to the registry",
        ),
        "InvalidImageName" => advice(
            "cannot be started: its image's name is malformed",
            &[],
            "mend `image` in the manifest: name and tag in lower case, without blanks",
        ),
        "ErrImageNeverPull" => advice(
            "cannot be started: its image is not on the node, and may not be pulled",
            &[],
            "load the image onto the node, or set imagePullPolicy to IfNotPresent",
        ),
        "SignatureValidationFailed" => advice(
            "cannot be started: its image's signature is not accepted",
            &[],
            "ask the platform's operator which images are signed, or have this one signed",
        ),
        "CreateContainerConfigError" => advice(
            "cannot be started as its manifest asks",
            CONFIG,
            "create what the message names, or mend its name in the manifest",
        ),
        "CreateContainerError" => advice(
            "cannot be created",
            CREATE,
            "mend what the message names: a volume, a mount, a device; if nothing is wrong with it, delete the pod to have another one",
        ),
        "RunContainerError" | "StartError" | "ContainerCannotRun" => advice(
            "cannot be started: its program does not run",
            START,
            "mend `command`, `image` or the volume mounts of this container, as the message says",
        ),
        "PreStartHookError" | "PostStartHookError" => advice(
            "is ended at once: its postStart hook fails",
            &[],
            "mend lifecycle.postStart in the manifest, or what it runs",
        ),
        _ => advice("cannot be started", &[], "read the pod's events"),
    }
}

/// What to do about a pod that no node takes.
pub(super) fn unscheduled(message: &str) -> &'static str {
    first(UNSCHEDULED, message).unwrap_or(
        "read the pod's events; its node selector, affinity, tolerations and requests must fit some node",
    )
}

/// A pod that was ended as a whole.
pub(super) fn ended(reason: &str, message: &str) -> Advice {
    let (what, next) = match reason {
        "Evicted" => (
            "was evicted from its node",
            first(EVICTED, message).unwrap_or(
                "give the pod requests and limits for what the message names; a Deployment has made another one meanwhile",
            ),
        ),
        "DeadlineExceeded" => (
            "was ended: its time was over",
            "raise activeDeadlineSeconds of the pod or its Job, or find out what takes so long",
        ),
        "NodeShutdown" | "Shutdown" | "Terminated" | "NodeLost" => (
            "was ended with its node",
            "wait for the pod that replaces it; one without a controller must be created again",
        ),
        "Preempting" | "Preempted" => (
            "was ended to make room for a more important one",
            "give it a higher priorityClassName, or the cluster more room",
        ),
        "Failed" => ("failed", "read the pod's events"),
        _ => ("was not admitted by its node", "read the message: the node lacks what the pod asks for; its controller makes another one"),
    };
    Advice { what, next }
}

fn first(rules: Rules, message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    rules.iter().find(|(words, _)| words.iter().any(|word| message.contains(word))).map(|(_, advice)| *advice)
}

/// What container runtimes and registries say when an image cannot be pulled, the most special first.
const IMAGE: Rules = &[
    (
        &["no match for platform", "no matching manifest", "no image found in"],
        "choose an image that is made for the node's architecture, or a node that fits (nodeSelector: kubernetes.io/arch)",
    ),
    (
        &["toomanyrequests", "429 "],
        "wait, or pull with credentials (imagePullSecrets) or from a mirror: the registry counts pulls",
    ),
    (
        &[
            "unauthorized",
            "denied",
            "authorization failed",
            "authentication",
            "401 ",
            "403 ",
            "no basic auth",
        ],
        "check the image's name, and name a Secret with the registry's credentials in imagePullSecrets: registries answer so for what does not exist, too",
    ),
    (
        &["not found", "manifest unknown", "404 "],
        "check the image's name and tag: the registry does not know it",
    ),
    (
        &["x509", "certificate", "tls: "],
        "have the registry's CA installed on the node, in its container runtime; INJECTOR_CA_FILE is for what is built, not for images",
    ),
    (
        &[
            "no such host",
            "timeout",
            "timed out",
            "deadline exceeded",
            "refused",
            "unreachable",
            "i/o",
            "eof",
        ],
        "check the node's way to the registry: DNS, proxy, firewall",
    ),
];

/// What the kubelet says when it cannot make a container's configuration.
const CONFIG: Rules = &[
    (
        &["couldn't find key"],
        "add the key to that ConfigMap or Secret, or mend the key's name in the manifest",
    ),
    (&["configmap"], "create the ConfigMap in the pod's namespace, or mend its name in the manifest"),
    (&["secret"], "create the Secret in the pod's namespace, or mend its name in the manifest"),
    (
        &["runasnonroot", "run as root", "non-numeric user"],
        "set securityContext.runAsUser to a number other than 0: the image names root, or a user without a number",
    ),
    (&["subpath"], "mend volumeMounts.subPath: what it names is not in the volume, or is no directory"),
];

/// What container runtimes say when they cannot create a container.
const CREATE: Rules = &[
    (&["no command specified"], "set `command` in the manifest: the image names no program"),
    (
        &["is reserved for", "already in use"],
        "wait: the node has yet to remove the container that was there before",
    ),
];

/// What container runtimes say when a program cannot be started.
const START: Rules = &[
    (&["exec format error"], "use an image, and an injector, for the node's architecture"),
    (
        &[
            "injector\": stat",
            "injector: no such file",
            "injector\": no such file",
            "injector` not found",
            "injector: not found",
        ],
        "let an init container with `injector install` come first, and mount the volume that it writes to at the same place here",
    ),
    (
        &["permission denied"],
        "make the program executable for this container's user, and mount its volume without noexec",
    ),
    (
        &["not found", "no such file"],
        "mend `command` in the manifest, or choose an image that has this program",
    ),
    (
        &["read-only file system", "mountpoint", "mount "],
        "mend volumeMounts of this container: one of the mounts cannot be made",
    ),
    (&["memory", "oom"], "raise resources.limits.memory: it is too small to start anything"),
];

/// What the scheduler says.
const UNSCHEDULED: Rules = &[
    (
        &["insufficient"],
        "lower resources.requests of the pod's containers (init containers count for its whole life), or add nodes",
    ),
    (
        &["persistentvolumeclaim", "volume node affinity", "unbound"],
        "create the PersistentVolumeClaim, or use an emptyDir: a function needs nothing that lasts",
    ),
    (&["affinity", "selector"], "mend nodeSelector or affinity: no node has these labels"),
    (&["taint"], "add the toleration that the nodes' taints ask for, or wait until they are ready"),
    (&["gate"], "wait: somebody holds the pod back by a scheduling gate"),
];

/// What the kubelet says when it evicts.
const EVICTED: Rules = &[
    (&["emptydir"], "raise the sizeLimit of that emptyDir, or need fewer dependencies"),
    (&["ephemeral"], "raise resources.limits.ephemeral-storage and the sizeLimits of the pod's emptyDirs"),
    (
        &["memory"],
        "raise resources.requests.memory to what the build needs, so that the pod gets a node that has it",
    ),
    (
        &["disk", "inodes", "pid"],
        "tell the node's operator: it is short of what the message names; the pod that replaces this one may fare better elsewhere",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_registries_nodes_and_runtimes_say_leads_to_the_advice_that_helps() {
        for (reason, message, expected) in [
            (
                "ErrImagePull",
                "failed to resolve reference \"a/b:1\": a/b:1: not found",
                "image's name and tag",
            ),
            (
                "ErrImagePull",
                "rpc error: code = NotFound desc = failed to pull and unpack image \"a/b:1\": no match for platform in manifest: not found",
                "the node's architecture",
            ),
            (
                "ImagePullBackOff",
                "pull access denied for b, repository does not exist or may require 'docker login'",
                "imagePullSecrets",
            ),
            (
                "ErrImagePull",
                "failed to do request: Head \"https://a/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
                "the registry's CA",
            ),
            (
                "ErrImagePull",
                "failed to do request: Head \"https://a/v2/\": dial tcp: lookup a on 10.0.0.10:53: no such host",
                "DNS, proxy, firewall",
            ),
            ("ErrImagePull", "toomanyrequests: You have reached your pull rate limit", "from a mirror"),
            ("ErrImagePull", "something else", "imagePullSecrets"),
            (
                "ErrImageNeverPull",
                "Container image \"b\" is not present with pull policy of Never",
                "imagePullPolicy",
            ),
            ("CreateContainerConfigError", "configmap \"hello\" not found", "create the ConfigMap"),
            ("CreateContainerConfigError", "couldn't find key url in Secret shop/index", "add the key"),
            (
                "CreateContainerConfigError",
                "container has runAsNonRoot and image has non-numeric user (node), cannot verify user is non-root",
                "runAsUser",
            ),
            ("CreateContainerError", "failed to generate spec: no command specified", "set `command`"),
            ("ContainerCannotRun", "exec: \"/injector-bin/injector\": permission denied", "without noexec"),
            (
                "RunContainerError",
                "executable file `/injector-bin/injector` not found in $PATH: No such file or directory",
                "`injector install`",
            ),
            ("StartError", "exec: \"serve\": executable file not found in $PATH", "mend `command`"),
            ("SomethingNew", "", "events"),
        ] {
            let next = container(reason, message).next;
            assert!(next.contains(expected), "{reason}: {message}: {next}");
        }
    }

    #[test]
    fn what_schedulers_and_evicting_kubelets_say_leads_to_the_advice_that_helps() {
        for (message, expected) in [
            ("0/1 nodes are available: 1 Insufficient cpu.", "resources.requests"),
            ("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.", "nodeSelector"),
            ("0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: db}.", "toleration"),
            ("0/1 nodes are available: persistentvolumeclaim \"cache\" not found.", "PersistentVolumeClaim"),
            ("Scheduling is blocked due to non-empty scheduling gates", "gate"),
            ("", "events"),
        ] {
            assert!(unscheduled(message).contains(expected), "{message}");
        }
        for (message, expected) in [
            (
                "Usage of EmptyDir volume \"function\" exceeds the limit \"64Mi\". ",
                "sizeLimit of that emptyDir",
            ),
            (
                "Container build exceeded its local ephemeral storage limit \"1Gi\". ",
                "limits.ephemeral-storage",
            ),
            (
                "The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi. ",
                "requests.memory",
            ),
            ("The node was low on resource: inodes. ", "node's operator"),
        ] {
            assert!(ended("Evicted", message).next.contains(expected), "{message}");
        }
    }
}
