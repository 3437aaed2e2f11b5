//! What a table takes: memory, time to build, time to change.
//!
//! Memory is what the process has more resident after the table was built than before, its routes being there already. That counts what a structure
//! touches and not what it only reserves, and also what building it left behind. A process that had built other tables before
//! would have memory to spare for the next, so each table is built in a process of its own.

use super::structure::Structure;
use super::table::{Covering, Kind};
use super::{LpmError, name};
use crate::random::Random;
use packetwalk_fib::{Prefix4, Writer4};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

/// What a table takes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Footprint {
    /// The table and the structure.
    pub(crate) name: String,
    /// Routes in it.
    pub(crate) routes: usize,
    /// Bytes of memory.
    pub(crate) resident: u64,
    /// Nanoseconds that it took to build, for each route.
    pub(crate) build_ns: u64,
    /// Nanoseconds to take one route away and put it back. None where the structure cannot be changed.
    pub(crate) change_ns: Option<u64>,
}

/// Policy tables: their number, and the routes of each.
const POLICY: (usize, usize) = (100, 20);

impl Footprint {
    /// Builds the table here.
    pub(crate) fn of(kind: Kind, structure: Structure) -> Result<Self, LpmError> {
        let name = format!("{}/{}", name(&kind), structure.name());
        let failed = |reason: &str| LpmError::Footprint(name.clone(), reason.to_owned());
        let routes = kind.routes();
        let (before, start) =
            (resident().ok_or_else(|| failed("no VmRSS in /proc/self/status"))?, Instant::now());
        let table = structure.table(kind.family(), &routes);
        let (took, after) = (start.elapsed(), resident().unwrap_or(before));
        let mut table = table.ok_or_else(|| failed("it cannot hold the table"))?;
        let covering = Covering::new(&routes);
        let mut random = Random::new(9);
        let changes: Vec<_> = (0..20_000)
            .map(|_| routes[1 + random.below(routes.len() - 1)])
            .map(|route| (route, covering.of(kind.family(), route)))
            .collect();
        let start = Instant::now();
        // A structure that takes long for one gets no more than these.
        let done = changes
            .iter()
            .take_while(|(route, covering)| {
                start.elapsed() < Duration::from_millis(300) && table.change(*route, *covering)
            })
            .count();
        let change_ns = start.elapsed().as_nanos().checked_div(done as u128);
        Ok(Self {
            routes: routes.len(),
            resident: after.saturating_sub(before),
            build_ns: (took.as_nanos() / routes.len() as u128) as u64,
            change_ns: change_ns.map(|ns| ns as u64),
            name,
        })
    }

    /// Builds the table in a process of its own.
    pub(crate) fn in_a_process_of_its_own(kind: Kind, structure: Structure) -> Result<Self, LpmError> {
        let failed =
            |reason: String| LpmError::Footprint(format!("{}/{}", name(&kind), structure.name()), reason);
        let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
        let output = Command::new(program)
            .args(["lpm-footprint", &name(&kind), structure.name()])
            .output()
            .map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&output.stdout)
            .map_err(|_| failed(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

/// Bytes that many small tables take in one process: number of tables, routes of each, bytes. None without `/proc`.
pub(crate) fn policy_tables() -> Option<(usize, usize, u64)> {
    let (tables, routes) = POLICY;
    let before = resident()?;
    let mut random = Random::new(3);
    let mut writers = Vec::with_capacity(tables);
    for _ in 0..tables {
        let prefixes = (0..routes).map(|_| {
            // From /16 to /32, anywhere.
            let length = 16 + random.below(17) as u8;
            let address = random.bits() as u32 & u32::MAX << (32 - length);
            (
                Prefix4::new(Ipv4Addr::from(address), length).unwrap_or(Prefix4::DEFAULT),
                1 + random.below(500) as u32,
            )
        });
        let prefixes: Vec<_> = prefixes.collect();
        writers.push(Writer4::of_layers(&[&prefixes]));
    }
    let after = resident()?;
    std::hint::black_box(&writers);
    Some((tables, routes, after.saturating_sub(before)))
}

/// Bytes of this process that lie in memory.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024)
}
