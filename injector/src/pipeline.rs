//! The story, top to bottom: one call per stage.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use builders::assets;
use builders::catalog::{Catalog, CatalogError, RuntimeName};
use builders::detect::{Detected, detect};
use builders::error::PlanError;
use builders::function::{BadHandler, Handler, RelPath, Sha256};
use builders::plan::{Plan, Serves};
use builders::toolchain::{Policy, Toolchain};
use builders::{Builder, Inputs, builder};

use crate::arrival::{Arrived, arrive};
use crate::cache::cluster::Cluster;
use crate::cache::node::{Node, NodeError};
use crate::cache::{Cache, Resolution};
use crate::cli::{Build, Environment, Format, Replay};
use crate::docker::Docker;
use crate::execute::Workshop;
use crate::failure::{Failure, Stage};
use crate::keep::Keep;
use crate::keys::{self, Keys};
use crate::make::{Cached, Job};
use crate::network::WayOut;
use crate::provision::{self, ProvisionError, TempDir};
use crate::publish::{self, Built, Receipt};
use crate::report::words;
use crate::report::{Reporter, Running};
use crate::surroundings::{self, Surroundings};
use crate::survey::{self, Survey, SurveyError};
use crate::sys::{fs, signal};
use crate::toolbox::{Memory, Probed, Remembered};
use crate::{toolbox, verdict};

/// A function of which all is known that can be known before anything is written.
pub(crate) struct Prepared {
    /// Where the function was brought, if it does not lie in the mount as it is.
    pub(crate) arrived: Option<Arrived>,
    /// The mount and the function in it.
    pub(crate) survey: Survey,
    /// The runtime, and why it is this one.
    pub(crate) detected: Detected,
    /// Its builder.
    pub(crate) builder: &'static dyn Builder,
    /// What its tools may see.
    pub(crate) surroundings: Surroundings,
    /// What the operator allows.
    pub(crate) policy: Policy,
}

/// Reads the function, and chooses its runtime.
pub(crate) fn prepare(
    request: &Build,
    env: &Environment,
    reporter: &mut Reporter,
) -> Result<Prepared, Failure> {
    reporter.stage(Stage::Survey);
    let catalog = catalog(request.config.as_deref())?;
    let arrived = arrive(request, env, &catalog, reporter);
    go_on(Stage::Survey)?;
    let arrived = arrived?;
    let (source, checksum) = match &arrived {
        Some(arrived) => (&arrived.tree, None),
        None => (&request.source, request.checksum),
    };
    let mut survey = survey::survey(request, source, checksum, &catalog)?;

    reporter.stage(Stage::Detect);
    survey.function.handler = handler(request, survey.handler_key.as_deref())?;
    let detected = detect(request.runtime.as_ref(), &survey.function, &catalog)?;
    let runtime = &detected.runtime;
    let builder =
        builder(&runtime.id).ok_or_else(|| Failure::Bug(format!("{} has no builder", runtime.id)))?;
    let mounted = Path::new(surroundings::MOUNTED);
    let surroundings = Surroundings::select(env, runtime, &request.pass_env, &survey.function, mounted);
    reporter.hide(surroundings.secrets.iter().cloned());
    for unread in &surroundings.unread {
        reporter.warn(unread);
    }
    let policy = toolbox::policy(env, runtime, request);
    Ok(Prepared { arrived, survey, detected, builder, surroundings, policy })
}

impl Prepared {
    /// Decides what shall be done with these tools. One that is lacking and is there, but broken, is not called absent.
    pub(crate) fn plan(&self, probed: &mut Probed) -> Result<Plan, Failure> {
        let inputs = Inputs {
            function: &self.survey.function,
            runtime: &self.detected.runtime,
            toolchain: &probed.toolchain,
            settings: &self.surroundings.settings,
            policy: &self.policy,
        };
        self.builder.plan(&inputs).map_err(|error| match &error {
            PlanError::NoTool { tool, .. } => match probed.lacking.remove(tool) {
                Some(broken @ ProvisionError::ToolBroken { .. }) => broken.into(),
                _ => error.into(),
            },
            _ => error.into(),
        })
    }

    /// On what the result depends.
    pub(crate) fn keys(&self, plan: &Plan, toolchain: &Toolchain, request: &Build) -> Result<Keys, Failure> {
        let settings = self.surroundings.inputs(&self.detected.runtime);
        let salt = request.cache.salt.as_deref();
        keys::of(&self.survey.function, plan, toolchain, settings, salt)
            .map_err(|error| Failure::Bug(error.to_string()))
    }

    /// Whether a lock file says what is resolved.
    pub(crate) fn resolution(&self) -> Resolution {
        let Prepared { detected, survey, .. } = self;
        let is_lock = |path: &RelPath| detected.runtime.locks.iter().any(|lock| lock == path.as_str());
        if survey.function.files.keys().any(is_lock) { Resolution::Locked } else { Resolution::Free }
    }

    /// Finds the tools, and asks each what it is.
    pub(crate) fn probe(&self, memory: &mut dyn Memory) -> Result<Probed, Failure> {
        let Detected { runtime, name, .. } = &self.detected;
        let function = &self.survey.function;
        Ok(toolbox::probe(self.builder, runtime, name, function, &self.surroundings, memory)?)
    }
}

/// Builds a function into the volume, reports how that ended, and returns the exit status.
pub(crate) fn build(request: &Build, env: &Environment, reporter: &mut Reporter) -> u8 {
    let mut identity = None;
    let result = settle(request, env, reporter, &mut identity);
    let (code, message) = match &result {
        Ok(receipt) => (0, reporter.ready(&words::ready(receipt))),
        Err(failure) => (failure.code(), reporter.failed(failure)),
    };
    let failure = result.err();
    let anothers = |failure: &Failure| {
        matches!(failure, Failure::Replayed { .. } | Failure::Provision(ProvisionError::Busy { .. }))
    };
    // What is repeated keeps its date, and a volume that another run holds keeps that run's report.
    if !failure.as_ref().is_some_and(anothers) {
        let diagnostics = reporter.redacted(failure.as_ref().map_or(&[], Failure::diagnostics));
        // Where the volume cannot be written, the message has already said so.
        let _ = verdict::write(&request.volume, failure.as_ref(), &message, &diagnostics, identity);
    }
    code
}

/// Builds in a volume that goes afterwards.
pub(crate) fn dry_run(request: Build, env: &Environment, reporter: &mut Reporter) -> Result<u8, Failure> {
    let volume = TempDir::new(&scratch_parent(&request, env))?;
    Ok(build(&Build { volume: volume.path.clone(), ..request }, env, reporter))
}

/// Says what a build would do, and what of it the caches have.
pub(crate) fn plan(
    request: &Build,
    env: &Environment,
    format: Format,
    reporter: &mut Reporter,
) -> Result<String, Failure> {
    let mut prepared = prepare(request, env, reporter)?;
    let probed = prepared.probe(&mut Remembered::new());
    go_on(Stage::Provision)?;
    let mut probed = probed?;
    let plan = prepared.plan(&mut probed)?;
    prepared.surroundings.pass(env, &plan.refers);
    let keys = prepared.keys(&plan, &probed.toolchain, request)?;
    let node = request.cache.dir.as_deref().map(|dir| Ok(Node::look(dir)));
    let cluster = cluster(request, env, reporter)?;
    let cache = Cache::new(&request.cache, node, cluster, prepared.resolution(), reporter);
    match format {
        Format::Text => Ok(words::plan(&prepared, &probed.toolchain, &plan, &keys, &cache)),
        Format::Json => words::plan_as_json(&prepared, &probed.toolchain, &plan, &keys, &cache),
    }
}

/// Runs all stages, anew where the function changes between survey and copy.
fn settle(
    request: &Build,
    env: &Environment,
    reporter: &mut Reporter,
    identity: &mut Option<Sha256>,
) -> Result<Receipt, Failure> {
    for _ in 0..survey::ATTEMPTS {
        match run(request, env, reporter, identity) {
            Err(Failure::Provision(changed @ ProvisionError::SourceChanged(_))) => {
                reporter.warn(&format!("{changed}: the function is read again"));
            }
            result => return result,
        }
    }
    Err(SurveyError::Unsettled.into())
}

fn run(
    request: &Build,
    env: &Environment,
    reporter: &mut Reporter,
    identity: &mut Option<Sha256>,
) -> Result<Receipt, Failure> {
    let mut clock = Clock::start();
    let mut prepared = prepare(request, env, reporter)?;
    clock.lap("survey");

    reporter.stage(Stage::Provision);
    let scratch = TempDir::new(&scratch_parent(request, env))?;
    let waiting = |what: &str| reporter.warn(&format!("another injector holds {what}; waiting for it"));
    let keep = request.keep.as_deref();
    let keep = keep.map(|dir| Keep::open(dir, request.timeout, || waiting("what is kept"))).transpose();
    go_on(Stage::Provision)?;
    let keep = keep?;
    let rooms = provision::provision(&request.volume, &scratch.path, keep.as_ref(), request.timeout, || {
        waiting("the volume");
    });
    go_on(Stage::Provision)?;
    let mut rooms = rooms?;
    let Prepared { surroundings, detected, .. } = &mut prepared;
    surroundings.furnish(&rooms.scratch, &detected.runtime, request.ca_file.as_deref())?;
    let node = request.cache.dir.as_deref().map(|dir| {
        let node = Node::open(dir)?;
        if rooms.is_shared(dir) { Err(NodeError::InVolume(dir.to_owned())) } else { Ok(node) }
    });
    let cluster = cluster(request, env, reporter)?;
    let mut remembered = keep.as_ref().map(Keep::remembered).unwrap_or_default();
    let probed = match (&node, &keep) {
        (Some(Ok(node)), None) => prepared.probe(&mut &*node),
        _ => prepared.probe(&mut remembered),
    };
    go_on(Stage::Provision)?;
    let mut probed = probed?;
    if let Some(keep) = &keep {
        keep.remember(&remembered);
    }
    let plan = prepared.plan(&mut probed)?;
    let Probed { toolchain, programs, .. } = probed;
    prepared.surroundings.pass(env, &plan.refers);
    reporter.hide(prepared.surroundings.secrets.iter().chain(plan.secrets.0.values()).cloned());
    let reporter: &Reporter = reporter;
    let Prepared { arrived, survey, builder, surroundings, detected, .. } = &prepared;
    let function = &survey.function;
    rooms.preflight(function, &plan.executes)?;
    clock.lap("provision");

    let bug = |what: &str| Failure::Bug(what.to_owned());
    let keys = prepared.keys(&plan, &toolchain, request)?;
    let inputs = keys::verdict(keys.build.key, &surroundings.inherited());
    *identity = Some(inputs);
    if request.replay == Replay::On
        && let Some(failure) = verdict::last(&rooms.volume, inputs)
    {
        return Err(failure);
    }

    if plan.kept == Serves::InPlace
        && keep.is_none()
        && request.cache.is_wanted()
        // As long as the directory that it is in is the same.
        && let Some(dir) = TempDir::named(&scratch_parent(request, env), &keys.deps.key.hex()[..16])
    {
        rooms.keep_in(dir)?;
    }
    let workshop = Workshop {
        builder: *builder,
        runtime: &detected.runtime,
        function,
        rooms: &rooms,
        programs: &programs,
        surroundings,
        manifests: &plan.manifests,
        secrets: &plan.secrets,
        timeout: request.timeout,
        reporter,
    };
    let cache = Cache::new(&request.cache, node, cluster, prepared.resolution(), reporter);
    let job =
        Job { workshop: &workshop, plan: &plan, keys: &keys, cache: &cache, keep: keep.as_ref(), survey };
    let ready = job.make(&mut clock)?;

    reporter.stage(Stage::Publish);
    go_on(Stage::Publish)?;
    if ready.cached != Cached::Build {
        workshop.withhold_credentials()?;
    }
    let built = Built {
        runtime: versioned(detected, &toolchain),
        builder: builder.id(),
        handler: function.handler.clone().ok_or_else(|| bug("there is a plan without a handler"))?,
        origin: arrived.as_ref().map(|arrived| arrived.origin.clone()),
        function,
        toolchain: &toolchain,
        packages: ready.packages,
        key: keys.build.key,
        cached: ready.cached,
        mounted: ready.mounted,
        launch: plan.launch,
        durations: clock.laps,
    };
    Ok(publish::publish(&rooms, built)?)
}

/// The cluster's cache, if somebody asked for one.
fn cluster(request: &Build, env: &Environment, reporter: &mut Reporter) -> Result<Option<Cluster>, Failure> {
    let Some(reference) = &request.cache.registry else { return Ok(None) };
    let mounted = Path::new(surroundings::MOUNTED);
    let WayOut { network, secrets, unread } = WayOut::find(env, request.ca_file.as_deref(), mounted)?;
    let docker = Docker::find(env, mounted, reference);
    reporter.hide(secrets.into_iter().chain(docker.secrets));
    for unread in unread.iter().chain(&docker.unread) {
        reporter.warn(unread);
    }
    Ok(Some(Cluster::new(reference.clone(), network, docker.login)))
}

/// The runtimes that are allowed: those that are built in, as far as the operator's file leaves them.
pub(crate) fn catalog(config: Option<&Path>) -> Result<Catalog, Failure> {
    let built_in = assets::catalog().map_err(|error| Failure::Bug(error.to_string()))?;
    let Some(path) = config else { return Ok(built_in) };
    let file = path.display().to_string();
    let unreadable = |message| CatalogError::Syntax { file: file.clone(), message };
    let bytes = fs::read(path)
        .map_err(|error| unreadable(fs::plain(&error)))?
        .ok_or_else(|| unreadable("there is no such file".to_owned()))?;
    let text = String::from_utf8(bytes).map_err(|error| unreadable(error.to_string()))?;
    Ok(built_in.restrict(&file, &text)?)
}

/// What is called: the environment's word, else the mount's key `handler`, else Kubeless' two names.
pub(crate) fn handler(request: &Build, key: Option<&str>) -> Result<Option<Handler>, BadHandler> {
    let Build { handler, module, function_name, .. } = request;
    match (handler.as_deref(), module.as_deref()) {
        (Some(function), Some(module)) => {
            let prefix = format!("{module}.");
            return Handler::new(module, function.strip_prefix(&prefix).unwrap_or(function)).map(Some);
        }
        (Some(handler), None) => return handler.parse().map(Some),
        (None, _) => {}
    }
    match (key.map(str::trim).filter(|key| !key.is_empty()), module, function_name) {
        (Some(key), ..) => key.parse().map(Some),
        (None, Some(module), Some(function)) => Handler::new(module, function).map(Some),
        (None, ..) => Ok(None),
    }
}

/// The runtime with a version: the listed one that was found, unless more than that was asked for.
fn versioned(detected: &Detected, toolchain: &Toolchain) -> RuntimeName {
    let Detected { runtime, name, .. } = detected;
    let tool = runtime.tools.iter().find(|spec| spec.versioned).and_then(|spec| toolchain.tool(&spec.name));
    let found = tool.and_then(|tool| runtime.versions.iter().find(|listed| tool.identity.version.is(listed)));
    let asked = name.version.as_ref();
    let version = found.filter(|found| asked.is_none_or(|asked| found.is(asked))).or(asked);
    RuntimeName { id: runtime.id.clone(), version: version.cloned() }
}

/// Where temporary directories are made.
pub(crate) fn scratch_parent(request: &Build, env: &Environment) -> PathBuf {
    request.scratch.clone().or_else(|| env.get("TMPDIR").map(PathBuf::from)).unwrap_or_else(|| "/tmp".into())
}

/// Tells how long something took.
pub(crate) fn timed<T, E>(step: Running, deed: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let begun = Instant::now();
    let done = deed();
    match done {
        Ok(_) => step.done(begun.elapsed()),
        Err(_) => step.failed(begun.elapsed()),
    }
    done
}

/// Stops here if we were told to.
pub(crate) fn go_on(stage: Stage) -> Result<(), Failure> {
    signal::received().map_or(Ok(()), |signal| Err(Failure::Terminated { signal, stage }))
}

/// How long each stage takes.
pub(crate) struct Clock {
    last: Instant,
    laps: Vec<(&'static str, Duration)>,
}

impl Clock {
    fn start() -> Self {
        Clock { last: Instant::now(), laps: Vec::new() }
    }

    /// Ends a lap, and says how long it was.
    pub(crate) fn lap(&mut self, name: &'static str) -> Duration {
        let took = self.last.elapsed();
        self.laps.push((name, took));
        self.last = Instant::now();
        took
    }
}
