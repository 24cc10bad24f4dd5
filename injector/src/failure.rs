//! Every way in which a run can fail, and the exit status of each.

use std::io;
use std::path::PathBuf;

use builders::catalog::CatalogError;
use builders::diagnostic::{Blame, Diagnostic};
use builders::error::{DetectError, PlanError};
use builders::function::BadHandler;

use crate::arrival::ArrivalError;
use crate::cache::upkeep::UpkeepError;
use crate::cli::RequestError;
use crate::execute::StepFailure;
use crate::launch::LaunchError;
use crate::pod::PodError;
use crate::provision::ProvisionError;
use crate::publish::PublishError;
use crate::survey::SurveyError;
use crate::sys::signal::Signal;

/// A stage of the pipeline. Its number is the tens of the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Arguments and environment.
    Request = 1,
    /// The mount, the source, its checksum.
    Survey = 2,
    /// Runtime, handler, manifest.
    Detect = 3,
    /// The volume and the toolchain.
    Provision = 4,
    /// Dependencies.
    Resolve = 5,
    /// Checks, the compiler, verification.
    Compile = 6,
    /// The published tree.
    Publish = 7,
}

impl Stage {
    /// All of them, in order.
    pub(crate) const ALL: [Stage; 7] = [
        Stage::Request,
        Stage::Survey,
        Stage::Detect,
        Stage::Provision,
        Stage::Resolve,
        Stage::Compile,
        Stage::Publish,
    ];

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Request => "request",
            Stage::Survey => "survey",
            Stage::Detect => "detect",
            Stage::Provision => "provision",
            Stage::Resolve => "resolve",
            Stage::Compile => "compile",
            Stage::Publish => "publish",
        }
    }

    /// The exit status of a failure in this stage: odd is the author's to mend, even the platform's.
    pub(crate) fn code(self, blame: Blame) -> u8 {
        let tens = self as u8 * 10;
        match blame {
            Blame::Author => tens + 1,
            Blame::Platform => tens + 2,
            Blame::Ours => Failure::BUG,
        }
    }
}

/// Why a run ended without a function.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments or the environment make no sense.
    Request(RequestError),
    /// The operator's file of runtimes makes no sense.
    Catalog(CatalogError),
    /// The mount cannot be read, or is not what it should be.
    Survey(SurveyError),
    /// The function did not arrive.
    Arrival(ArrivalError),
    /// No runtime could be chosen.
    Detect(DetectError),
    /// The handler's name cannot be one.
    Handler(BadHandler),
    /// No plan could be made.
    Plan(PlanError),
    /// The volume or the toolchain is not fit.
    Provision(ProvisionError),
    /// A step of the plan failed.
    Step(Box<StepFailure>),
    /// The result could not be published.
    Publish(PublishError),
    /// What was published cannot be started here.
    Launch(LaunchError),
    /// The program could not be copied.
    Install {
        /// To this file.
        dest: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// All is not well with a cache that an operator looks after.
    Upkeep(UpkeepError),
    /// What was to be explained is no pod.
    Explain(PodError),
    /// What failed before, on the same inputs, would fail again.
    Replayed {
        /// The exit status.
        code: u8,
        /// The termination message.
        message: String,
    },
    /// We were told to stop.
    Terminated {
        /// By which signal.
        signal: Signal,
        /// In which stage.
        stage: Stage,
    },
    /// Something of ours is wrong.
    Bug(String),
}

impl Failure {
    /// The exit status of our own bugs.
    pub(crate) const BUG: u8 = 90;

    /// The exit status.
    pub(crate) fn code(&self) -> u8 {
        use Blame::{Author, Platform};
        match self {
            Failure::Request(_) | Failure::Explain(_) => Stage::Request.code(Author),
            Failure::Catalog(_) => Stage::Request.code(Platform),
            Failure::Survey(error) => Stage::Survey.code(error.blame()),
            Failure::Arrival(error) => Stage::Survey.code(error.blame()),
            Failure::Detect(_) | Failure::Handler(_) => Stage::Detect.code(Author),
            Failure::Plan(error) => match error {
                PlanError::NoHandler { .. } | PlanError::NoModule { .. } | PlanError::Manifest(_) => {
                    Stage::Detect.code(Author)
                }
                PlanError::Dependencies(_) => Stage::Resolve.code(Author),
                PlanError::NoTool { .. } | PlanError::Version(_) => Stage::Provision.code(Author),
                PlanError::Choice { .. } => Stage::Request.code(Author),
            },
            Failure::Provision(error) => Stage::Provision.code(error.blame()),
            Failure::Step(failure) => failure.stage.code(failure.blame),
            Failure::Publish(_) => Stage::Publish.code(Platform),
            Failure::Launch(error) => error.code(),
            Failure::Install { .. } | Failure::Upkeep(_) => Stage::Provision.code(Platform),
            Failure::Replayed { code, .. } => *code,
            Failure::Terminated { signal, .. } => signal.exit_status(),
            Failure::Bug(_) => Failure::BUG,
        }
    }

    /// Whether the same inputs would give the same failure, network or not: what may be replayed.
    pub(crate) fn repeats(&self) -> bool {
        matches!(self, Failure::Step(failure) if failure.repeats())
    }

    /// The located messages that a failure carries.
    pub(crate) fn diagnostics(&self) -> &[Diagnostic] {
        if let Failure::Step(failure) = self {
            &failure.diagnostics
        } else if let Failure::Plan(
            PlanError::Manifest(one) | PlanError::Dependencies(one) | PlanError::Version(one),
        ) = self
        {
            std::slice::from_ref(one)
        } else {
            &[]
        }
    }
}

macro_rules! from {
    ($($variant:ident($error:ty)),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Failure::$variant(error.into())
            }
        })*
    };
}

from!(
    Request(RequestError),
    Catalog(CatalogError),
    Survey(SurveyError),
    Detect(DetectError),
    Handler(BadHandler),
    Plan(PlanError),
    Provision(ProvisionError),
    Step(StepFailure),
    Publish(PublishError),
    Launch(LaunchError),
    Upkeep(UpkeepError),
    Explain(PodError),
);
