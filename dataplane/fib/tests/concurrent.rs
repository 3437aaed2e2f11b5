//! Lookups while the table changes: every answer must be one that its address had while the lookup lasted.
//!
//! The check is exact. Each round plans its changes beforehand, and works out by the definition, not by the table, which values
//! each of some thousand addresses has after each change. The writer counts the changes that it began and those that
//! it finished; a reader notes what was finished before its lookup and what was begun after it. Right is what the address had
//! after the former, or got by a later change up to the latter, and nothing else.
//!
//! What is retired is used again as soon as the readers have passed, and there is hardly more room than is needed: so a node that is written too early, or
//! found too late, soon says something else. Readers look where the writer is at work.
//!
//! In a debug build it is a small part of what a release build does: `scripts/test` runs that.
#![allow(missing_docs, clippy::expect_used, clippy::panic, reason = "a test")]

mod common;

use common::{Covering, Family, Prefix, V4, V6};
use packetwalk_rcu::Control;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const SMALL: bool = cfg!(any(debug_assertions, miri));
/// Rounds of each family, each with another table.
const ROUNDS: u64 = if cfg!(miri) { 2 } else { 100 };
/// Changes in a round.
const CHANGES: usize = if cfg!(miri) {
    60
} else if SMALL {
    300
} else {
    10_000
};
/// Lookups in a round, at the least.
const LOOKUPS: u64 = if cfg!(miri) {
    200
} else if SMALL {
    10_000
} else {
    1_000_000
};
/// Threads that look up.
const READERS: usize = 2;
/// Lookups between two quiescent states.
const BATCH: usize = 64;
/// Prefixes that come and go in a round.
const PREFIXES: usize = if cfg!(miri) { 20 } else { 400 };

/// SplitMix64.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.bits()) << 64 | u128::from(self.bits())
    }

    fn below(&mut self, limit: usize) -> usize {
        (((self.bits() >> 32) * limit as u64) >> 32) as usize
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

/// What prefixes look like.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Lengths as in the Internet's table, in a few operators' space, and some hosts.
    Internet,
    /// All lengths around few addresses: every level is divided and collapses again.
    Nested,
    /// The hosts of two blocks, often with equal values: nodes come and go.
    Hosts,
    /// Hosts far apart, each in a block of its own with a value of its own: whatever comes or goes makes nodes or frees them, and the next one takes them.
    Scattered,
    /// Few prefixes, and a default that changes all the time.
    Default,
}

const SHAPES: [Shape; 5] = [Shape::Internet, Shape::Nested, Shape::Hosts, Shape::Scattered, Shape::Default];

impl Shape {
    fn prefix<F: Family>(self, random: &mut Random) -> Prefix {
        let all = Prefix { address: 0, length: 0 }.last::<F>();
        let anchor = 0x2a02_1234_0a80_0000_0000_0000_0a80_4740u128 & all;
        let bits = random.wide() & all;
        match self {
            Self::Internet => {
                // Of 16 prefixes: IPv4's are mostly /24, IPv6's /48 and /32.
                let lengths: [u8; 16] = match F::BITS {
                    32 => [24, 24, 24, 24, 24, 24, 24, 24, 24, 23, 22, 22, 20, 19, 16, 32],
                    _ => [48, 48, 48, 48, 48, 48, 48, 44, 40, 36, 32, 32, 32, 29, 64, 128],
                };
                let space = u32::from(F::BITS) / 3;
                Prefix::around::<F>(anchor ^ bits & (all >> space), lengths[random.below(16)])
            }
            Self::Nested => {
                let near = anchor ^ bits & F::NESTING & random.wide() & random.wide();
                // The shortest are a million entries each: a few will do.
                let shortest = if random.one_in(100) { 1 } else { 12 };
                Prefix::around::<F>(near, random.below(usize::from(F::BITS) + 1).max(shortest) as u8)
            }
            Self::Hosts => {
                let length = if random.one_in(10) { F::BITS - 7 + random.below(4) as u8 } else { F::BITS };
                Prefix::around::<F>(anchor ^ bits & 0x7f, length)
            }
            Self::Scattered => {
                let block = random.below(200) as u128;
                let bits = block.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834) & all;
                let length = if random.one_in(2) { F::BITS - 12 } else { F::BITS };
                Prefix::around::<F>(anchor ^ bits & (all >> 7), length)
            }
            Self::Default => {
                let length = if random.one_in(4) { F::BITS } else { random.below(9) as u8 + 12 };
                Prefix::around::<F>(
                    anchor ^ bits & (all >> 8) & 0x0300_0001_0000_0000_0000_0001_0030_0001,
                    length,
                )
            }
        }
    }
}

/// A change and the probes that it can concern.
struct Change {
    prefix: Prefix,
    layer: u8,
    to: To,
    /// Of the plan's probes.
    probes: std::ops::Range<usize>,
}

enum To {
    Value(u32),
    Gone(Covering),
}

/// A round's changes, and what comes of them by the definition.
struct Plan {
    changes: Vec<Change>,
    /// In order.
    probes: Vec<u128>,
    /// Of each probe: the values that it has, and the change (from 1) from which on it has them.
    histories: Vec<Vec<(u32, u32)>>,
}

impl Plan {
    fn new<F: Family>(shape: Shape, random: &mut Random) -> Self {
        let prefixes: Vec<_> = (0..PREFIXES).map(|_| shape.prefix::<F>(random)).collect();
        let mut probes = Vec::new();
        for prefix in &prefixes {
            let (first, last) = (prefix.address, prefix.last::<F>());
            let all = Prefix { address: 0, length: 0 }.last::<F>();
            probes.extend([
                first,
                last,
                last.wrapping_add(1) & all,
                first + (random.wide() & (last - first)),
            ]);
        }
        probes.sort_unstable();
        probes.dedup();
        let mut plan = Self { changes: Vec::new(), histories: vec![vec![(0, 0)]; probes.len()], probes };
        // Of each probe: what the routes say that hold it, by layer and length.
        let mut held = vec![BTreeMap::new(); plan.probes.len()];
        let mut routes: HashMap<(u8, u128, u8), u32> = HashMap::new();
        for number in 1..=CHANGES as u32 {
            let default = Prefix { address: 0, length: 0 };
            let frequent = if matches!(shape, Shape::Default) { 3 } else { 50 };
            let prefix = if random.one_in(frequent) { default } else { prefixes[random.below(PREFIXES)] };
            // A route of an upper layer that goes takes lower ones with it, so they only come.
            let layer = if random.one_in(200) && prefix.length > 8 {
                random.below(usize::from(F::LAYERS)) as u8
            } else {
                0
            };
            let key = (layer, prefix.address, prefix.length);
            let value = if random.one_in(3) { 1 + random.below(3) as u32 } else { number + 10 };
            let goes = layer == 0 && routes.contains_key(&key) && random.one_in(2);
            let to = if goes {
                routes.remove(&key);
                let covering = (0..prefix.length).rev().find_map(|length| {
                    let wider = Prefix::around::<F>(prefix.address, length);
                    routes.get(&(0, wider.address, length)).map(|value| (wider, 0, *value))
                });
                To::Gone(covering)
            } else {
                routes.insert(key, value);
                To::Value(value)
            };
            let probes = plan.probes.partition_point(|probe| *probe < prefix.address)
                ..plan.probes.partition_point(|probe| *probe <= prefix.last::<F>());
            for probe in probes.clone() {
                let held: &mut BTreeMap<(u8, u8), u32> = &mut held[probe];
                let _ = match to {
                    To::Gone(_) => held.remove(&(layer, prefix.length)),
                    To::Value(value) => held.insert((layer, prefix.length), value),
                };
                let now = held.last_key_value().map_or(0, |(_, value)| *value);
                let history = &mut plan.histories[probe];
                if history.last().is_some_and(|(_, before)| *before != now) {
                    history.push((number, now));
                }
            }
            plan.changes.push(Change { prefix, layer, to, probes });
        }
        plan
    }

    /// Whether `probe` had `answer` at some time between the end of change `finished` and the beginning of change `begun`.
    fn allows(&self, probe: usize, answer: u32, finished: u32, begun: u32) -> bool {
        let history = &self.histories[probe];
        let now = history.partition_point(|(change, _)| *change <= finished) - 1;
        history[now..]
            .iter()
            .take_while(|(change, _)| *change <= begun.max(finished))
            .any(|(_, value)| *value == answer)
    }
}

/// What writer and readers tell each other.
#[derive(Default)]
struct Progress {
    begun: AtomicU32,
    finished: AtomicU32,
    lookups: AtomicU64,
    over: AtomicBool,
    failure: Mutex<Option<String>>,
}

impl Progress {
    fn fail(&self, message: String) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Ends a round when it is dropped: if the writer panics, readers must not wait for it.
struct End<'p>(&'p Progress);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Nodes on their way from the writer, past the readers, back to the writer.
struct Passing {
    nodes: Vec<u32>,
    passed: Arc<Mutex<Vec<u32>>>,
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.nodes);
    }
}

/// Changes the table as planned.
fn write<F: Family>(
    writer: &mut F::Writer,
    control: &mut Control,
    plan: &Plan,
    progress: &Progress,
    random: &mut Random,
) {
    let passed = Arc::new(Mutex::new(Vec::new()));
    let (mut change_now, mut burst) = (0, 0);
    while let Some(change) = plan.changes.get(change_now) {
        if progress.over.load(Ordering::Relaxed) {
            return;
        }
        if burst == 0 {
            // So many lookups for so many changes, but the changes in bursts.
            while progress.lookups.load(Ordering::Relaxed) * CHANGES as u64 <= LOOKUPS * change_now as u64 {
                if progress.over.load(Ordering::Relaxed) {
                    return;
                }
                thread::yield_now();
            }
            burst = 1 << random.below(9);
        }
        burst -= 1;
        let number = change_now as u32 + 1;
        progress.begun.store(number, Ordering::Relaxed);
        let result = match change.to {
            To::Value(value) => F::insert(writer, change.prefix, change.layer, value),
            To::Gone(covering) => F::remove(writer, change.prefix, change.layer, covering),
        };
        let retired = F::retired(writer);
        if !retired.is_empty() {
            control.retire(Box::new(Passing { nodes: retired, passed: Arc::clone(&passed) }));
        }
        control.reclaim();
        if let Err(full) = result {
            assert!(control.synchronize(Duration::from_secs(60)).is_ok(), "a reader is stuck");
            let free = !passed.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
            assert!(free, "change {number}: {full}, and none is retired");
        } else {
            // Release: who sees this sees the change.
            progress.finished.store(number, Ordering::Release);
            change_now += 1;
        }
        F::recycle(writer, core::mem::take(&mut passed.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

/// Looks up, and judges each answer.
fn read<F: Family>(
    fib: &F::Fib,
    reader: &mut packetwalk_rcu::Reader,
    plan: &Plan,
    progress: &Progress,
    seed: u64,
) {
    let mut random = Random(seed);
    while !progress.over.load(Ordering::Relaxed) {
        for _ in 0..BATCH {
            // Mostly where the writer is, or will be at once: change `begun` is the one before that place.
            let now = progress.begun.load(Ordering::Relaxed) as usize + random.below(3);
            let near = plan.changes.get(now.saturating_sub(1)).map_or(0..0, |change| change.probes.clone());
            // And beside it, where nothing must change.
            let near = near.start.saturating_sub(2)..(near.end + 2).min(plan.probes.len());
            let near = if near.is_empty() || random.one_in(8) { 0..plan.probes.len() } else { near };
            let probe = near.start + random.below(near.len());
            let address = plan.probes[probe];
            // Acquire: the lookup comes after it.
            let finished = progress.finished.load(Ordering::Acquire);
            let answer = F::lookup(fib, address);
            // The lookup's loads have acquire order, so this comes after it, and sees the beginning of each change that it saw.
            let begun = progress.begun.load(Ordering::Acquire);
            if !plan.allows(probe, answer, finished, begun) {
                let history = &plan.histories[probe];
                let from = history.partition_point(|(change, _)| *change <= finished).saturating_sub(2);
                let history: Vec<_> = history[from..].iter().take(8).collect();
                progress.fail(format!(
                    "{address:x}: {answer} between change {finished} and {begun}, its history being {history:?}"
                ));
                return;
            }
        }
        reader.quiescent();
        progress.lookups.fetch_add(BATCH as u64, Ordering::Relaxed);
    }
}

/// Plays a plan, and says which answer was wrong, if any.
fn play<F: Family>(plan: &Plan, root: F::Root, room: usize, random: &mut Random) -> Option<String> {
    let progress = Progress::default();
    let mut control = Control::new();
    let mut writer = F::writer(root, room);
    let fib = F::fib(&writer);
    thread::scope(|scope| {
        for number in 0..READERS {
            let (mut reader, seed) = (control.reader(format!("reader {number}")), random.bits());
            let (fib, progress) = (&fib, &progress);
            scope.spawn(move || {
                // A reader that panics has read what no table says.
                let read = std::panic::AssertUnwindSafe(|| read::<F>(fib, &mut reader, plan, progress, seed));
                if std::panic::catch_unwind(read).is_err() {
                    progress.fail("a lookup panicked".to_owned());
                }
            });
        }
        let _end = End(&progress);
        write::<F>(&mut writer, &mut control, plan, &progress, random);
        while progress.lookups.load(Ordering::Relaxed) < LOOKUPS && !progress.over.load(Ordering::Relaxed) {
            thread::yield_now();
        }
    });
    progress.failure.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// How many nodes a plan's changes have in use at one time.
fn needed<F: Family>(plan: &Plan, root: F::Root) -> usize {
    let mut writer = F::writer(root, 1 << 14);
    let mut most = 0;
    for change in &plan.changes {
        let result = match change.to {
            To::Value(value) => F::insert(&mut writer, change.prefix, change.layer, value),
            To::Gone(covering) => F::remove(&mut writer, change.prefix, change.layer, covering),
        };
        result.expect("room");
        most = most.max(F::used(&writer));
        let retired = F::retired(&mut writer);
        F::recycle(&mut writer, retired);
    }
    most
}

/// One family at a time has the processors.
static TURN: Mutex<()> = Mutex::new(());

fn rounds<F: Family>() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for round in 0..ROUNDS {
        let mut random = Random(round);
        let shape = SHAPES[round as usize % SHAPES.len()];
        // Under Miri the larger roots would take all the time.
        let roots = if cfg!(miri) { &F::ROOTS[..1] } else { F::ROOTS };
        let root = roots[round as usize / SHAPES.len() % roots.len()];
        let plan = Plan::new::<F>(shape, &mut random);
        let room = needed::<F>(&plan, root) + 4;
        if let Some(failure) = play::<F>(&plan, root, room, &mut random) {
            panic!("round {round} ({shape:?}, {root:?}): {failure}");
        }
    }
}

#[test]
fn every_ipv4_answer_is_one_that_the_address_had() {
    rounds::<V4>();
}

#[test]
fn every_ipv6_answer_is_one_that_the_address_had() {
    rounds::<V6>();
}

/// The judge itself: a plan of two changes, and answers right and wrong.
#[test]
fn answers_are_judged_by_what_was_finished_before_and_begun_after() {
    let plan = Plan { changes: Vec::new(), probes: vec![7], histories: vec![vec![(0, 0), (3, 30), (9, 90)]] };
    let verdicts = [(0, 0, 0), (0, 2, 3), (30, 2, 3), (30, 3, 8), (30, 8, 9), (90, 8, 9), (90, 9, 9)];
    assert!(verdicts.iter().all(|(answer, finished, begun)| plan.allows(0, *answer, *finished, *begun)));
    let verdicts = [(30, 0, 2), (0, 3, 8), (90, 3, 8), (30, 9, 9), (31, 2, 9)];
    assert!(!verdicts.iter().any(|(answer, finished, begun)| plan.allows(0, *answer, *finished, *begun)));
}
