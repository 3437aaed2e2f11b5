//! Comparisons, repeated until what they find is either gone or stays.
//!
//! Between the dump and the answers the kernel goes on, and the process needs a moment to follow. A difference counts
//! only if it is found each time, while what the kernel does at that place stayed the same.

use super::compare::{self, Comparison, Counts, Difference};
use super::expected::Expected;
use super::workers::Workers;
use crate::api::{self, AskError, Client, Question, Runtime};
use crate::config::{Config, ConfigError};
use crate::netlink::NetlinkError;
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};
use thiserror::Error;

/// How often differences are looked at again at least, and for how long at most beyond that.
const AGAIN: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait before looking again: at first; each time twice as long.
const PAUSE: Duration = Duration::from_millis(50);

/// Why nothing can be said.
#[derive(Debug, Error)]
pub enum DiffError {
    /// The process does not answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The kernel does not answer.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The process has a configuration that this program does not understand.
    #[error("the configuration of the process: {0}; expected a packetwalk of this release")]
    Config(#[from] ConfigError),
    /// It follows another kernel state than the one that we can see.
    #[error(
        "process {pid} follows network namespace {theirs}, and this is {ours}: expected to run inside, for example as \
         `nsenter --net=/proc/{pid}/ns/net packetwalk fib diff`"
    )]
    Elsewhere {
        /// The process.
        pid: u32,
        /// Its network namespace.
        theirs: String,
        /// Ours.
        ours: String,
    },
}

/// What was found.
#[derive(Debug)]
pub struct Verdict {
    /// What workers do otherwise than the kernel, for good.
    pub differences: Vec<Difference>,
    /// Found beyond those, and not kept.
    pub more: usize,
    /// What the last comparison compared.
    pub counts: Counts,
    /// How often all was compared.
    pub rounds: u32,
}

/// Compares the process that `client` is connected to with the kernel. `progress` is told the round and how many thousandths
/// of it are done.
pub fn diff(client: &mut Client, mut progress: impl FnMut(u32, u64)) -> Result<Verdict, DiffError> {
    let runtime: Runtime = client.ask(&Question::Runtime {})?;
    let ours = api::network_namespace();
    if runtime.netns != ours {
        return Err(DiffError::Elsewhere { pid: runtime.pid, theirs: runtime.netns, ours });
    }
    let config: api::Config = client.ask(&Question::Config {})?;
    let config = Config::parse(Path::new("packetwalk.toml"), &config.text)?;
    let mut workers = Workers { client };
    let mut began = Instant::now();
    let mut pause = PAUSE;
    let mut found = look(&config, &mut workers, |share| progress(1, share))?;
    let mut rounds = 1;
    while !found.differences.is_empty() {
        if rounds == 1 {
            began = Instant::now();
        }
        if rounds > AGAIN && began.elapsed() >= PATIENCE {
            break;
        }
        std::thread::sleep(pause);
        pause *= 2;
        rounds += 1;
        let again = look(&config, &mut workers, |share| progress(rounds, share))?;
        found = Comparison { differences: lasting(&found.differences, again.differences), ..again };
    }
    found.differences = compare::joined_ranges(found.differences);
    let more = if found.differences.is_empty() { 0 } else { found.more };
    Ok(Verdict { differences: found.differences, more, counts: found.counts, rounds })
}

fn look(
    config: &Config,
    workers: &mut Workers<'_>,
    progress: impl FnMut(u64),
) -> Result<Comparison, DiffError> {
    let expected = Expected::read(config)?;
    Ok(compare::compare(&expected, workers, progress)?)
}

/// Those of `now` that were there `before`, while the kernel did the same.
fn lasting(before: &[Difference], now: Vec<Difference>) -> Vec<Difference> {
    let mut places: HashMap<(&str, &str, &str), Vec<&Difference>> = HashMap::new();
    for difference in before {
        places.entry((difference.what, &difference.table, &difference.name)).or_default().push(difference);
    }
    let overlaps = |one: Option<(u32, u32)>, other: Option<(u32, u32)>| match (one, other) {
        (Some((first, last)), Some((begin, end))) => first <= end && begin <= last,
        (one, other) => one == other,
    };
    let was_there = |difference: &Difference| {
        let same = places.get(&(difference.what, difference.table.as_str(), difference.name.as_str()));
        same.into_iter()
            .flatten()
            .any(|other| other.kernel == difference.kernel && overlaps(other.range, difference.range))
    };
    now.into_iter().filter(|difference| was_there(difference)).collect()
}
