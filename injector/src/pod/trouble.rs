//! What is wrong in a pod, and in which of its containers: facts, not yet words.

use super::{Condition, ContainerSpec, ContainerStatus, Pod, State, Terminated};

/// How a pod is, best known first.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict<'a> {
    /// Nobody has seen it yet.
    NoStatus,
    /// It was ended as a whole: evicted, out of time.
    Failed {
        /// `Evicted`
        reason: &'a str,
        /// The same in words.
        message: Option<&'a str>,
    },
    /// Its containers say what is wrong.
    Troubled,
    /// No node takes it.
    Unscheduled(&'a Condition),
    /// It ran to its end.
    Succeeded,
    /// It serves.
    Ready,
    /// Its containers are ready, but something else must be so too.
    Gated(&'a Condition),
    /// It has not come so far.
    Starting,
}

/// A container, what was asked for beside what there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Container<'a> {
    /// What it is for.
    pub(crate) role: Role,
    /// What was asked for.
    pub(crate) spec: &'a ContainerSpec,
    /// What there is; nothing before its turn.
    pub(crate) status: Option<&'a ContainerStatus>,
}

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It must succeed before others start.
    Init,
    /// It starts before the others and runs beside them.
    Sidecar,
    /// It serves.
    Main,
    /// Somebody looks around with it.
    Ephemeral,
}

/// What is wrong with a container.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble<'a> {
    /// It could not be started.
    Unstarted {
        /// `ImagePullBackOff`
        reason: &'a str,
        /// The same in words.
        message: Option<&'a str>,
    },
    /// It ended when it should not.
    Ended {
        /// How.
        end: &'a Terminated,
        /// What it has done since.
        then: Then,
    },
    /// It runs and is not ready.
    Unready,
}

/// What a container does after it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing.
    Stays,
    /// It waits for its next start.
    Waits,
    /// It runs again, and is not ready or done.
    Runs,
    /// It runs again, and serves.
    Serves,
}

impl Pod {
    /// How it is.
    pub(crate) fn verdict(&self) -> Verdict<'_> {
        // A manifest of kubectl's own has an empty one.
        let Some((status, phase)) = self.status.as_ref().and_then(|one| Some((one, one.phase.as_deref()?)))
        else {
            return Verdict::NoStatus;
        };
        if phase == "Failed"
            && let Some(reason) = &status.reason
        {
            return Verdict::Failed { reason, message: status.message.as_deref() };
        }
        if self.troubles().iter().any(|(_, trouble)| trouble.rank() < SERVES) {
            return Verdict::Troubled;
        }
        let mut main = self.containers().into_iter().filter(|one| one.role == Role::Main);
        if phase == "Succeeded" {
            Verdict::Succeeded
        } else if phase == "Failed" {
            Verdict::Failed { reason: "Failed", message: status.message.as_deref() }
        } else if let Some(condition) = self.denied("PodScheduled") {
            Verdict::Unscheduled(condition)
        } else if !main.all(|one| one.status.and_then(|status| status.ready) == Some(true)) {
            Verdict::Starting
        } else if let Some(condition) = self.denied("Ready") {
            Verdict::Gated(condition)
        } else {
            Verdict::Ready
        }
    }

    /// A condition that it does not meet.
    pub(crate) fn denied(&self, kind: &str) -> Option<&Condition> {
        let mut conditions = self.status.as_ref()?.conditions.iter().flatten();
        conditions.find(|one| one.kind == kind && one.status != "True")
    }

    /// Its containers, in the order in which they start.
    pub(crate) fn containers(&self) -> Vec<Container<'_>> {
        let status = self.status.as_ref();
        let init = status.and_then(|status| status.init_container_statuses.as_ref());
        let main = status.and_then(|status| status.container_statuses.as_ref());
        let ephemeral = status.and_then(|status| status.ephemeral_container_statuses.as_ref());
        let specs = &self.spec;
        let init = specs.init_containers.iter().flatten().map(|spec| {
            let is_sidecar = spec.restart_policy.as_deref() == Some("Always");
            (if is_sidecar { Role::Sidecar } else { Role::Init }, spec, init)
        });
        let main = specs.containers.iter().map(|spec| (Role::Main, spec, main));
        let ephemeral =
            specs.ephemeral_containers.iter().flatten().map(|spec| (Role::Ephemeral, spec, ephemeral));
        init.chain(main)
            .chain(ephemeral)
            .map(|(role, spec, statuses)| {
                let status = statuses.and_then(|all| all.iter().find(|status| status.name == spec.name));
                Container { role, spec, status }
            })
            .collect()
    }

    /// What is wrong with its containers, worst first.
    pub(crate) fn troubles(&self) -> Vec<(Container<'_>, Trouble<'_>)> {
        let containers = self.containers().into_iter();
        let mut troubles: Vec<_> = containers.filter_map(|one| Some((one, one.trouble()?))).collect();
        // Stable: of several that are as bad, the one that should start first is the cause.
        troubles.sort_by_key(|(_, trouble)| trouble.rank());
        troubles
    }

    /// The bytes that the kubelet keeps of each container's termination message: 4096 of the file, and an
    /// equal share of 12 KiB for all containers
    /// (<https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/status/status_manager.go>).
    pub(crate) fn bytes_per_message(&self) -> usize {
        let containers = self.spec.containers.len() + self.spec.init_containers.iter().flatten().count();
        (12 * 1024 / containers.max(1)).min(crate::cli::MAX_BUDGET)
    }
}

const SERVES: u8 = 3;

impl Trouble<'_> {
    /// How bad it is, the smaller the worse; from [`SERVES`] on it is over.
    fn rank(&self) -> u8 {
        match self {
            Trouble::Unstarted { .. } | Trouble::Ended { then: Then::Stays | Then::Waits, .. } => 0,
            Trouble::Ended { then: Then::Runs, .. } => 1,
            Trouble::Unready => 2,
            Trouble::Ended { then: Then::Serves, .. } => SERVES,
        }
    }
}

impl<'a> Container<'a> {
    /// What is wrong with it.
    fn trouble(self) -> Option<Trouble<'a>> {
        let status = self.status?;
        let state = self.state()?;
        let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        if let Some(waiting) = &state.waiting {
            return match waiting.reason.as_deref() {
                None | Some("PodInitializing" | "ContainerCreating") => {
                    last.filter(|end| end.exit_code != 0).map(|end| Trouble::Ended { end, then: Then::Waits })
                }
                // Where the kubelet has no words for what it waits for, the last end says more.
                Some(reason) => match last {
                    Some(end) if reason == "CrashLoopBackOff" || waiting.message.is_none() => {
                        Some(Trouble::Ended { end, then: Then::Waits })
                    }
                    _ => Some(Trouble::Unstarted { reason, message: waiting.message.as_deref() }),
                },
            };
        }
        if let Some(end) = &state.terminated {
            return (end.exit_code != 0).then_some(Trouble::Ended { end, then: Then::Stays });
        }
        state.running.as_ref()?;
        let then = match self.role {
            Role::Main | Role::Sidecar if status.ready == Some(true) => Then::Serves,
            _ => Then::Runs,
        };
        match last.filter(|end| end.exit_code != 0) {
            Some(end) => Some(Trouble::Ended { end, then }),
            None if then == Then::Runs && matches!(self.role, Role::Main | Role::Sidecar) => {
                Some(Trouble::Unready)
            }
            None => None,
        }
    }

    /// What it does now.
    pub(crate) fn state(self) -> Option<&'a State> {
        self.status?.state.as_ref()
    }

    /// The most memory that it may use, as its manifest says it.
    pub(crate) fn memory_limit(self) -> Option<String> {
        let memory = self.spec.resources.as_ref()?.limits.as_ref()?.memory.as_ref()?;
        Some(memory.as_str().map_or_else(|| memory.to_string(), ToOwned::to_owned))
    }

    /// Its last termination message, whether it failed or not.
    pub(crate) fn message(self) -> Option<&'a str> {
        let ContainerStatus { state, last_state, .. } = self.status?;
        let mut ends =
            [state, last_state].into_iter().filter_map(|state| state.as_ref()?.terminated.as_ref());
        ends.find_map(|end| end.message.as_deref()).filter(|message| !message.trim().is_empty())
    }
}
