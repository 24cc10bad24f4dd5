//! Where a tree comes from: a cache has it, or has its dependencies, or the plan's steps make it.

use std::collections::BTreeMap;

use builders::Package;
use builders::function::Sha256;
use builders::plan::{Dir, ForeignCode, Plan, Step};
use serde::{Deserialize, Serialize};

use crate::cache::node::Turn;
use crate::cache::record::{Layer, Part, Progress};
use crate::cache::{Cache, Found, Kept, Made, Mounted};
use crate::execute::{Section, Workshop};
use crate::failure::{Failure, Stage};
use crate::keep::Keep;
use crate::keys::{Keyed, Keys};
use crate::pipeline::{Clock, go_on};
use crate::survey::Survey;
use crate::sys::{fs, host};

/// All that making a tree takes.
pub(crate) struct Job<'a> {
    /// Who carries out steps.
    pub(crate) workshop: &'a Workshop<'a>,
    /// The steps.
    pub(crate) plan: &'a Plan,
    /// What the result depends on.
    pub(crate) keys: &'a Keys,
    /// What other pods have made.
    pub(crate) cache: &'a Cache<'a>,
    /// What this function's last build has left, where somebody asked for that.
    pub(crate) keep: Option<&'a Keep>,
    /// The mount.
    pub(crate) survey: &'a Survey,
}

/// A tree that stands in the staging room.
#[derive(Default)]
pub(crate) struct Ready {
    /// The packages.
    pub(crate) packages: Vec<Package>,
    /// How much of it others had made.
    pub(crate) cached: Cached,
    /// Where it really is, if links lead there.
    pub(crate) mounted: Option<(Mounted, fs::Usage)>,
}

/// How much of a tree came from a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cached {
    /// Nothing.
    #[default]
    Nothing,
    /// The dependencies.
    Deps,
    /// All of it.
    Build,
}

/// What was resolved, or came from a cache.
struct Resolved {
    packages: Vec<Package>,
    /// When, in seconds since 1970.
    at: u64,
    /// The tree of the dependencies, and how much of them a cache had.
    from: Option<(Sha256, Progress)>,
    /// The right to make them, if they were made here.
    turn: Option<Turn>,
}

impl Job<'_> {
    /// Fills the staging room.
    pub(crate) fn make(&self, clock: &mut Clock) -> Result<Ready, Failure> {
        let build = &self.keys.build;
        if let Some(ready) = self.restored(clock)? {
            return Ok(ready);
        }
        let turn = self.cache.turn(Layer::Build, build, self.workshop.timeout);
        go_on(Stage::Provision)?;
        // Whoever made it while we waited has put it there.
        if turn.is_some()
            && let Some(ready) = self.restored(clock)?
        {
            return Ok(ready);
        }
        if !self.cache.is_absent() {
            self.workshop.reporter.note("cache", &self.cache.why(Layer::Build, build));
        }
        let made = self.build(clock);
        if let (Some(turn), Err(failure)) = (turn, &made) {
            end(turn, failure);
        }
        made
    }

    /// The whole tree, if a cache has it.
    fn restored(&self, clock: &mut Clock) -> Result<Option<Ready>, Failure> {
        let Some(mut found) = self.cache.find(Layer::Build, &self.keys.build) else { return Ok(None) };
        let what = format!("the function as it was built, {}", size(&found));
        let begun = self.workshop.reporter.step("cache", &what);
        let mounted = self.linked(&mut found)?;
        let placed = if mounted.is_some() { Some(()) } else { self.copied(&mut found)? };
        go_on(Stage::Provision)?;
        if placed.is_none() {
            self.workshop.rooms.reset()?;
            begun.failed(clock.lap("restore"));
            return Ok(None);
        }
        begun.done(clock.lap("restore"));
        // The next edit needs them.
        self.cache.used(Layer::Deps, &self.keys.deps);
        Ok(Some(Ready { packages: found.record.packages, cached: Cached::Build, mounted }))
    }

    /// Copies a whole entry into the staging room.
    fn copied(&self, found: &mut Found) -> Result<Option<()>, Failure> {
        let rooms = self.workshop.rooms;
        rooms.empty(Dir::Tree)?;
        let (tree, deps) = (rooms.dir(Dir::Tree), rooms.dir(Dir::Deps));
        Ok(self.cache.place(found, &[(Part::Tree, &tree), (Part::Deps, &deps)]))
    }

    /// Carries out the plan, as far as no cache has done so.
    fn build(&self, clock: &mut Clock) -> Result<Ready, Failure> {
        let Job { workshop, plan, .. } = self;
        workshop.rooms.stage(self.survey)?;
        clock.lap("stage");
        self.section(Section::Check, &plan.check, clock)?;
        let mut resolved = self.dependencies(clock)?;
        let compiled = self.section(Section::Compile, &plan.compile, clock).and_then(|packages| {
            Ok([packages, self.section(Section::Verify, &plan.verify, clock)?].concat())
        });
        let turn = resolved.turn.take();
        let packages = match compiled {
            Ok(packages) => packages,
            Err(failure) => {
                // The author's next attempt need not resolve again.
                if matches!(failure, Failure::Step(_)) && resolved.from.is_none() {
                    self.keep(&resolved, &[], Progress::Partial, clock)?;
                }
                return Err(failure);
            }
        };
        let ready = self.keep(&resolved, &packages, Progress::Whole, clock)?;
        drop(turn);
        let is_whole = matches!(resolved.from, Some((_, Progress::Whole)));
        Ok(Ready { cached: if is_whole { Cached::Deps } else { Cached::Nothing }, ..ready })
    }

    /// Carries out a section of the plan; gives the packages of which its tools tell.
    fn section(&self, section: Section, steps: &[Step], clock: &mut Clock) -> Result<Vec<Package>, Failure> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        self.workshop.reporter.stage(section.stage());
        let outputs = self.workshop.run(section, steps)?;
        clock.lap(section.name());
        let builder = self.workshop.builder;
        Ok(outputs.iter().flat_map(|(step, output)| builder.packages(step, output)).collect())
    }

    /// Resolves what the function depends on, unless it was resolved before.
    fn dependencies(&self, clock: &mut Clock) -> Result<Resolved, Failure> {
        let Job { workshop, plan, .. } = self;
        if let Some(keep) = self.keep {
            let packages = self.kept(keep, clock)?;
            return Ok(Resolved { packages, at: host::now(), from: None, turn: None });
        }
        if let Some(resolved) = self.cached(clock)? {
            return Ok(resolved);
        }
        // Where nothing is fetched, waiting would take longer than doing it twice.
        let fetches = !plan.resolve.is_empty();
        let turn = fetches.then(|| self.cache.turn(Layer::Deps, &self.keys.deps, workshop.timeout)).flatten();
        go_on(Stage::Resolve)?;
        if turn.is_some()
            && let Some(resolved) = self.cached(clock)?
        {
            return Ok(resolved);
        }
        let resolved = self.section(Section::Resolve, &plan.resolve, clock);
        match resolved {
            Ok(packages) => {
                // The code of dependencies has run, and no step so far puts anything there.
                workshop.rooms.clear_tree()?;
                Ok(Resolved { packages, at: host::now(), from: None, turn })
            }
            Err(failure) => {
                if let Some(turn) = turn {
                    end(turn, &failure);
                }
                Err(failure)
            }
        }
    }

    /// The dependencies, if a cache has them.
    fn cached(&self, clock: &mut Clock) -> Result<Option<Resolved>, Failure> {
        let Some(mut found) = self.cache.find(Layer::Deps, &self.keys.deps) else { return Ok(None) };
        let rooms = self.workshop.rooms;
        let begun = self
            .workshop
            .reporter
            .step("resolve", &format!("dependencies as they were resolved, {}", size(&found)));
        let (deps, kept) = (rooms.dir(Dir::Deps), rooms.dir(Dir::Kept));
        if self.cache.place(&mut found, &[(Part::Deps, &deps), (Part::Kept, &kept)]).is_none() {
            rooms.empty(Dir::Deps)?;
            rooms.empty(Dir::Kept)?;
            begun.failed(clock.lap("restore"));
            return Ok(None);
        }
        begun.done(clock.lap("restore"));
        let from = found.tree(Part::Deps).map(|tree| (tree, found.record.progress));
        Ok(Some(Resolved { packages: found.record.packages, at: found.record.resolved, from, turn: None }))
    }

    /// Resolves into a directory that outlives the build, unless it has what is needed.
    fn kept(&self, keep: &Keep, clock: &mut Clock) -> Result<Vec<Package>, Failure> {
        let Job { workshop, plan, .. } = self;
        let (deps, reporter) = (workshop.rooms.dir(Dir::Deps), workshop.reporter);
        if plan.resolve.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(packages) = keep.restore(self.keys.deps.key, &deps) {
            workshop.withhold_credentials()?;
            reporter.step("resolve", "kept from an earlier build").done(clock.lap("resolve"));
            return Ok(packages);
        }
        if plan.foreign_code == ForeignCode::Possible {
            workshop.rooms.empty(Dir::Kept)?;
        }
        let packages = self.section(Section::Resolve, &plan.resolve, clock)?;
        workshop.rooms.clear_tree()?;
        workshop.withhold_credentials()?;
        if let Err(error) = keep.store(self.keys.deps.key, &packages, &deps) {
            reporter.warn(&format!("the dependencies cannot be kept: {}", fs::plain(&error)));
        }
        Ok(packages)
    }

    /// Hands what was made to the cache; in its place, links lead there if the function's container mounts it.
    fn keep(
        &self,
        resolved: &Resolved,
        compiled: &[Package],
        progress: Progress,
        clock: &mut Clock,
    ) -> Result<Ready, Failure> {
        let Job { workshop, plan, keys, cache, .. } = self;
        let all = [resolved.packages.as_slice(), compiled].concat();
        if cache.is_absent() {
            return Ok(Ready { packages: all, ..Ready::default() });
        }
        workshop.withhold_credentials()?;
        let rooms = workshop.rooms;
        let known = resolved.from.map(|(tree, _)| tree);
        let mut trees = BTreeMap::from([(Part::Deps, (rooms.dir(Dir::Deps), known))]);
        let mut layers: Vec<(Layer, &Keyed, &[Package])> = Vec::new();
        let is_whole = matches!(resolved.from, Some((_, Progress::Whole)));
        let is_empty = plan.resolve.is_empty() && rooms.is_empty(Dir::Kept);
        if self.keep.is_none() && !is_whole && !is_empty {
            trees.insert(Part::Kept, (rooms.dir(Dir::Kept), None));
            layers.push((Layer::Deps, &keys.deps, &resolved.packages));
        }
        if progress == Progress::Whole {
            trees.insert(Part::Tree, (rooms.dir(Dir::Tree), None));
            layers.push((Layer::Build, &keys.build, &all));
        }
        let made = Made { resolved: resolved.at, progress, trees };
        let kept = cache.keep(&made, &layers, &rooms.dir(Dir::Scratch));
        clock.lap("cache");
        let mut ready = Ready { packages: all, ..Ready::default() };
        match kept.filter(|_| progress == Progress::Whole) {
            Some(Kept::Ours(mut found)) => ready.mounted = self.linked(&mut found)?,
            // All replicas shall be equal: what others have counts, not what was made here.
            Some(Kept::Theirs(mut found)) => {
                ready.mounted = self.linked(&mut found)?;
                if ready.mounted.is_some() || self.adopted(&mut found)? {
                    ready.packages = found.record.packages;
                }
            }
            None => {}
        }
        Ok(ready)
    }

    /// Fills the staging room with links, if the function's container mounts the cache.
    fn linked(&self, found: &mut Found) -> Result<Option<(Mounted, fs::Usage)>, Failure> {
        let Some(mounted) = self.cache.mounted(found) else { return Ok(None) };
        self.workshop.rooms.link_to(&mounted.links)?;
        Ok(Some((mounted, fs::Usage { files: found.record.files, bytes: found.record.bytes })))
    }

    /// Puts an entry in the place of what was made here; that stays where this fails.
    fn adopted(&self, found: &mut Found) -> Result<bool, Failure> {
        let rooms = self.workshop.rooms;
        let beside = rooms.beside()?;
        let deps = beside.join(Dir::Deps.name());
        let placed = self.cache.place(found, &[(Part::Tree, &beside), (Part::Deps, &deps)]);
        if placed.is_some() {
            rooms.exchange(&beside)?;
        }
        Ok(placed.is_some())
    }
}

/// Gives a turn back that came to nothing. When we were told to stop, the next one has it; else all who wait fail by
/// themselves, at once.
fn end(turn: Turn, failure: &Failure) {
    match failure {
        Failure::Terminated { .. } => drop(turn),
        _ => turn.failed(),
    }
}

/// How much an entry is, in words.
fn size(found: &Found) -> String {
    format!("{} MB in {} files", found.record.bytes.div_ceil(1_000_000), found.record.files)
}
