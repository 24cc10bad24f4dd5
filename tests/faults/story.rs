//! A story: a first pod builds, others restore while things go wrong, and in the end all is well again.

use std::fmt::Write as _;

use super::chance::Chance;
use super::damage::Damage;
use super::oci::{Fault, Oci};
use super::world::{DISKS, EDITIONS, Ended, PACKAGES, Running, World};
use super::{Bug, Options, Stalls, Tally};

/// How many pods come after the first one, at most, before all is well again.
const PODS: usize = 9;
/// How many requests a pod sends, about.
const REQUESTS: usize = 24;

/// The caches of a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caches {
    /// The node's.
    Node,
    /// The cluster's.
    Cluster,
    /// Both.
    Both,
}

/// How pods get what is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// As a copy, which is verified.
    Copy,
    /// By links. What is in the cache is right, then: nobody reads it before the function does.
    Mount,
}

/// What goes wrong with a pod.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// It is killed, after so many hundredths of the time that a build takes.
    Killed(u32),
    /// A disk has so many bytes left.
    Full(&'static str, u64),
    /// Something in the node's cache changes, before it starts or after so many hundredths.
    Damaged(Damage, Option<u32>),
    /// The registry does that: once at this request, or from there on.
    Registry(Fault, usize, Lasts),
}

/// How long something goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasts {
    /// It happens once.
    Once,
    /// It does not end.
    On,
}

/// A story that is told.
struct Story<'a> {
    world: &'a World,
    oci: &'a Oci,
    options: Options,
    number: u64,
    chance: Chance,
    tally: &'a mut Tally,
    caches: Caches,
    mode: Mode,
    function: usize,
    edition: usize,
    /// The node on which pods run: each has a cache of its own.
    node: usize,
    /// The volumes so far, and that of a pod that was killed, for its next attempt.
    volumes: usize,
    again: Option<String>,
    /// Whether the registry has lost something that it took.
    is_lost: bool,
    /// What happened.
    told: String,
}

/// Tells the story of a number.
pub(crate) fn tell(world: &World, oci: &Oci, options: Options, number: u64, tally: &mut Tally) {
    let mut chance = Chance::of(options.seed, number);
    let caches = *chance.any(&[Caches::Node, Caches::Cluster, Caches::Both, Caches::Both]);
    let may_mount = caches != Caches::Cluster && chance.is(1, 5);
    let mode = if may_mount { Mode::Mount } else { Mode::Copy };
    let function = chance.below(PACKAGES.len());
    tally.stories += 1;
    oci.forget();
    let mut story = Story {
        world,
        oci,
        options,
        number,
        chance,
        tally,
        caches,
        mode,
        function,
        edition: 0,
        node: 0,
        volumes: 0,
        again: None,
        is_lost: false,
        told: format!("caches: {caches:?}, mode: {mode:?}, function: {}\n", PACKAGES[function].0),
    };
    story.tell();
    for disk in DISKS {
        world.clear(disk);
    }
}

impl Story<'_> {
    fn tell(&mut self) {
        let bugs = self.tally.bugs.len();
        // What goes wrong may do so from the beginning.
        let first = self.chance.is(1, 3);
        let troubles = if first { self.troubles() } else { Vec::new() };
        self.pods(&troubles);
        let pods = 3 + self.chance.below(PODS - 3);
        for _ in 0..pods {
            if self.tally.bugs.len() > bugs {
                return;
            }
            if self.chance.is(1, 6) {
                self.edition = self.chance.below(EDITIONS);
            }
            if self.caches != Caches::Cluster && self.chance.is(1, 6) {
                self.node = self.chance.below(2);
            }
            let troubles = self.troubles();
            self.pods(&troubles);
        }
        self.pods(&[]);
        if self.tally.bugs.len() == bugs {
            self.last();
        }
    }

    /// When nothing goes wrong any more, the one before has left something of use.
    fn last(&mut self) {
        let (running, volume) = self.start();
        let ended = running.wait();
        self.judge(&ended, &[], &volume);
        let has_node = self.caches != Caches::Cluster;
        if (has_node || !self.is_lost) && !(ended.message.contains("(cached)") && warnings(&ended) == 0) {
            self.bug(&ended, "all was well, and it got nothing from the cache, or a warning");
        }
    }

    /// What goes wrong with the next pod.
    fn troubles(&mut self) -> Vec<Trouble> {
        let count = *self.chance.any(&[0, 1, 1, 1, 2, 2]);
        (0..count).map(|_| self.trouble()).collect()
    }

    fn trouble(&mut self) -> Trouble {
        let chance = &mut self.chance;
        let has_disks = self.world.has_disks();
        let (has_node, has_cluster) = (self.caches != Caches::Cluster, self.caches != Caches::Node);
        loop {
            match chance.below(8) {
                0 | 1 => return Trouble::Killed(u32::try_from(chance.below(110)).unwrap_or(0)),
                2 if has_disks => {
                    let disk = *chance.any(&DISKS);
                    let left = [10, 100, 700, 3000][chance.below(4)] * 1024 + chance.below(100_000);
                    return Trouble::Full(disk, left as u64);
                }
                3..=5 if has_node && self.mode == Mode::Copy => {
                    let during = chance.is(1, 3).then(|| u32::try_from(chance.below(100)).unwrap_or(0));
                    return Trouble::Damaged(*chance.any(&Damage::ALL), during);
                }
                6.. if has_cluster => {
                    let fault = fault(chance, self.options.stalls);
                    let lasts = if chance.is(1, 3) { Lasts::On } else { Lasts::Once };
                    return Trouble::Registry(fault, chance.below(REQUESTS), lasts);
                }
                _ => {}
            }
        }
    }

    /// Runs a pod, or several at once, while that goes wrong.
    fn pods(&mut self, troubles: &[Trouble]) {
        let mut count = if self.chance.is(1, 5) { 2 + self.chance.below(2) } else { 1 };
        if troubles.iter().any(|trouble| matches!(trouble, Trouble::Full(..))) {
            // Who builds without a cache, for comparison, shall have as much room.
            count = 1;
            let again = self.again.take();
            again.map(|volume| std::fs::remove_dir_all(self.world.dir("volumes", &volume)));
        }
        let typical = self.world.typical;
        let after = |hundredths: u32| typical * hundredths / 100;
        let _ =
            writeln!(self.told, "{count} pods, edition {}, node {}: {troubles:?}", self.edition, self.node);
        for trouble in troubles {
            self.begin(trouble);
        }
        let (mut running, volumes): (Vec<Running>, Vec<String>) = (0..count).map(|_| self.start()).unzip();
        for trouble in troubles {
            match *trouble {
                Trouble::Damaged(damage, Some(hundredths)) => {
                    running[0].run_for(after(hundredths));
                    self.damage(damage);
                }
                Trouble::Killed(hundredths) => {
                    running[0].run_for(after(hundredths));
                    running[0].kill();
                }
                _ => {}
            }
        }
        let ended: Vec<Ended> = running.into_iter().map(Running::wait).collect();
        if troubles.iter().any(|trouble| matches!(trouble, Trouble::Killed(_))) {
            self.world.sweep();
        }
        for (ended, volume) in ended.iter().zip(&volumes) {
            self.judge(ended, troubles, volume);
        }
        for disk in DISKS {
            self.world.relieve(disk);
        }
        self.oci.plan(|_| None);
        for volume in volumes {
            if self.again.as_ref() != Some(&volume) {
                let _ = std::fs::remove_dir_all(self.world.dir("volumes", &volume));
            }
        }
    }

    /// Starts a pod; gives its volume's name.
    fn start(&mut self) -> (Running, String) {
        let volume = self.again.take().unwrap_or_else(|| {
            self.volumes += 1;
            format!("volume-{}", self.volumes)
        });
        let node = self.world.dir("cache", &format!("node-{}", self.node)).display().to_string();
        let registry = self.oci.reference();
        let mut env = Vec::new();
        if self.caches != Caches::Cluster {
            env.push(("INJECTOR_CACHE_DIR", node.as_str()));
        }
        if self.mode == Mode::Mount {
            env.push(("INJECTOR_CACHE_MODE", "mount"));
        }
        if self.caches != Caches::Node {
            env.extend([("INJECTOR_CACHE_REGISTRY", registry.as_str()), ("INJECTOR_CACHE_PUSH", "1")]);
        }
        self.tally.pods += 1;
        (self.world.start(self.function, self.edition, &volume, &env), volume)
    }

    /// What goes wrong before a pod starts.
    fn begin(&mut self, trouble: &Trouble) {
        let kind = match *trouble {
            Trouble::Killed(_) => "killed",
            Trouble::Full(disk, left) => {
                self.world.relieve(disk);
                self.world.fill(disk, left);
                "full"
            }
            Trouble::Damaged(damage, during) => {
                if during.is_none() {
                    self.damage(damage);
                }
                damage.name()
            }
            Trouble::Registry(fault, number, lasts) => {
                self.is_lost |= fault == Fault::Forgotten;
                self.oci.plan(move |asked| {
                    let is_now = asked.number == number || (lasts == Lasts::On && asked.number > number);
                    is_now.then_some(fault)
                });
                name(fault)
            }
        };
        *self.tally.faults.entry(kind).or_default() += 1;
    }

    fn damage(&mut self, damage: Damage) {
        let node = self.world.dir("cache", &format!("node-{}", self.node));
        if let Some(said) = damage.inflict(&node, &mut self.chance) {
            let _ = writeln!(self.told, "  {said}");
        }
    }

    /// Sees to it that a pod ended as it should.
    fn judge(&mut self, ended: &Ended, troubles: &[Trouble], volume: &str) {
        let begins = ["the function as it was built", "dependencies as they were resolved"];
        self.tally.restores += usize::from(begins.iter().any(|begin| ended.stderr.contains(begin)));
        let _ = writeln!(self.told, "  {volume}: {:?} after {:?}", ended.code, ended.took);
        let published = self.world.published(volume);
        let wrong = match &published {
            Ok(Some(tree)) => self.world.difference(self.function, self.edition, tree),
            Ok(None) => None,
            Err(error) => Some(error.clone()),
        };
        let is_killed = ended.code.is_none() && !ended.hung;
        if let Some(wrong) = wrong {
            self.bug(ended, &format!("a wrong tree is published: {wrong}"));
        } else if ended.hung {
            self.bug(ended, "it hung");
        } else if is_killed {
            self.tally.killed += 1;
            if !troubles.iter().any(|trouble| matches!(trouble, Trouble::Killed(_))) {
                self.bug(ended, "a signal ended it that was not ours");
            } else if self.chance.is(1, 2) && !matches!(published, Ok(Some(_))) {
                self.again = Some(volume.to_owned());
            }
        } else if ended.code != Some(0) {
            if self.builds_without(volume) {
                self.bug(ended, "it failed, and without a cache it does not");
            }
        } else if !matches!(published, Ok(Some(_))) {
            self.bug(ended, "it ended well, and nothing is published");
        } else if warnings(ended) > 1 {
            self.bug(ended, "it warned twice");
        }
    }

    /// Whether a pod builds in the same place without a cache.
    fn builds_without(&self, volume: &str) -> bool {
        let _ = std::fs::remove_dir_all(self.world.dir("volumes", volume));
        self.world.start(self.function, self.edition, volume, &[]).wait().code == Some(0)
    }

    fn bug(&mut self, ended: &Ended, what: &str) {
        let asked: Vec<String> = self.oci.asked().iter().map(|asked| format!("  {asked}\n")).collect();
        let asked = asked.concat();
        let what = format!("{}{asked}{what}\n{}\n{}", self.told, ended.message, ended.stderr);
        self.tally.bugs.push(Bug { story: self.number, what });
    }
}

/// What a person is warned of; that another pod is waited for is news.
fn warnings(ended: &Ended) -> usize {
    let is_one = |line: &&str| line.contains("warning: ") && !line.contains("waiting for it");
    ended.stderr.lines().filter(is_one).count()
}

/// What may go wrong with a registry's answer.
fn fault(chance: &mut Chance, stalls: Stalls) -> Fault {
    if chance.is(1, 60) {
        let stall = *chance.any(&[Fault::Silent, Fault::Stalled]);
        return if stalls == Stalls::Some { stall } else { Fault::Status(500) };
    }
    *chance.any(&[
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(401),
        Fault::Status(403),
        Fault::Status(404),
        Fault::Status(507),
        Fault::Cut,
        Fault::Cut,
        Fault::Flipped,
        Fault::Flipped,
        Fault::Short,
        Fault::Long,
        Fault::Another,
        Fault::Forgotten,
    ])
}

/// Its name in the tally.
fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::Status(_) => "status",
        Fault::Silent => "silent",
        Fault::Stalled => "stalled",
        Fault::Cut => "cut",
        Fault::Flipped => "wrong-bytes",
        Fault::Short => "short",
        Fault::Long => "long",
        Fault::Another => "another",
        Fault::Forgotten => "forgotten",
    }
}
