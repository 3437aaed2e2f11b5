//! One comparison of a dump with what the process tells.

use super::described::{Described, Step};
use super::expected::Expected;
use super::section::entries;
use super::sweep::{self, Run};
use super::workers::Workers;
use crate::api::{AskError, MAX_ADDRESSES, Section};
use crate::state::TableId;
use ipnet::Ipv4Net;
use packetwalk_walk::tables::HopId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::Ipv4Addr;

/// Differences that are kept; further ones are counted.
pub(super) const MOST: usize = 10_000;

/// Addresses that are looked up one by one, besides the ranges.
const SAMPLES: usize = 20_000;

/// Something that workers do otherwise than the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `route`, `rule`, or the small table that it is in.
    pub what: &'static str,
    /// The kernel's tables that are looked up one after the other, the one that decides where there is one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub table: String,
    /// The route's prefix, or the entry's name.
    pub name: String,
    /// The addresses, or the first of several ranges of them, where they are not all of the prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How many ranges there are besides.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_ranges: usize,
    /// What the kernel does.
    pub kernel: String,
    /// What workers do.
    pub workers: String,
    /// First and last address.
    #[serde(skip)]
    pub(super) range: Option<(u32, u32)>,
}

impl Difference {
    /// Takes in what differs alike right behind it.
    fn goes_on_in(&mut self, next: &Self) -> bool {
        let (Some((first, last)), Some((begin, end))) = (self.range, next.range) else { return false };
        let same =
            |of: &Self| (of.what, of.table.clone(), of.name.clone(), of.kernel.clone(), of.workers.clone());
        let goes_on = last.checked_add(1) == Some(begin) && self.at.is_some() && same(self) == same(next);
        if goes_on {
            self.range = Some((first, end));
            self.at = Some(range(first, end)).filter(|at| *at != self.name);
        }
        goes_on
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            "route" => write!(f, "table {} {}", self.table, self.name)?,
            what => write!(f, "{what} {}", self.name)?,
        }
        if let Some(at) = &self.at {
            write!(f, " at {at}")?;
        }
        if self.more_ranges > 0 {
            write!(f, " and {} more ranges", self.more_ranges)?;
        }
        write!(f, ": kernel: {}; workers: {}", self.kernel, self.workers)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Those that differ alike, at several places of one prefix, as one.
pub(super) fn joined_ranges(differences: Vec<Difference>) -> Vec<Difference> {
    let mut places = HashMap::new();
    let mut joined: Vec<Difference> = Vec::new();
    for difference in differences {
        let Difference { what, table, name, kernel, workers, .. } = difference.clone();
        let place = *places.entry((what, table, name, kernel, workers)).or_insert(joined.len());
        match joined.get_mut(place) {
            Some(known) => known.more_ranges += 1,
            None => joined.push(difference),
        }
    }
    joined
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counts {
    /// Prefixes with routes, in the kernel.
    pub routes: usize,
    /// Address ranges of all tables, each compared as a whole.
    pub ranges: usize,
    /// Addresses looked up one by one.
    pub samples: usize,
    /// Rules and entries of small tables.
    pub entries: usize,
}

/// What one comparison found.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) differences: Vec<Difference>,
    /// Found beyond those.
    pub(super) more: usize,
    pub(super) counts: Counts,
}

impl Comparison {
    fn note(&mut self, difference: Difference) {
        // The process tells its ranges in pieces.
        if self.differences.last_mut().is_some_and(|last| last.goes_on_in(&difference)) {
            return;
        }
        if self.differences.len() < MOST {
            self.differences.push(difference);
        } else {
            self.more += 1;
        }
    }
}

/// Compares everything. `progress` is told how many thousandths are done.
pub(super) fn compare(
    expected: &Expected,
    workers: &mut Workers<'_>,
    mut progress: impl FnMut(u64),
) -> Result<Comparison, AskError> {
    let mut comparison = Comparison::default();
    comparison.counts.routes = expected.prefixes();
    let steps = workers.rules()?;
    compare_rules(expected, &steps, &mut comparison);
    let fibs: BTreeMap<u16, &[TableId]> =
        steps.iter().filter_map(|step| Some((step.fib?, step.tables.as_slice()))).collect();
    let count = fibs.len().max(1) as u64;
    for (done, (fib, tables)) in (0u64..).zip(&fibs) {
        let share = |address: u32| (done * 1000 + ((u64::from(address) * 1000) >> 32)) / count;
        let mut fib_comparison = FibComparison::new(expected, tables, comparison.differences.len());
        fib_comparison.ranges(*fib, workers, &mut comparison, |address| progress(share(address)))?;
        fib_comparison.samples(*fib, SAMPLES / fibs.len(), workers, &mut comparison)?;
    }
    for section in Section::ALL {
        compare_section(expected, section, workers, &mut comparison)?;
    }
    Ok(comparison)
}

fn compare_rules(expected: &Expected, steps: &[Step], comparison: &mut Comparison) {
    let (kernel, workers) = (expected.rules(), expected.rules_of(steps));
    comparison.counts.entries += kernel.len();
    let place_of =
        |rules: &[String], place: usize| rules.get(place).cloned().unwrap_or_else(|| "none".to_owned());
    // Where one is missing, all behind it are out of place: the first that differs says enough.
    let first = (0..kernel.len().max(workers.len())).find(|place| kernel.get(*place) != workers.get(*place));
    if let Some(place) = first {
        comparison.note(Difference {
            what: "rule",
            table: String::new(),
            name: format!("number {}", place + 1),
            at: None,
            more_ranges: 0,
            kernel: place_of(&kernel, place),
            workers: place_of(&workers, place),
            range: None,
        });
    }
}

fn compare_section(
    expected: &Expected,
    section: Section,
    workers: &mut Workers<'_>,
    comparison: &mut Comparison,
) -> Result<(), AskError> {
    let kernel: BTreeMap<_, _> = entries(section, expected.names()).collect();
    let workers: BTreeMap<_, _> = workers.entries(section)?.into_iter().collect();
    comparison.counts.entries += kernel.len();
    let all: BTreeSet<_> = kernel.keys().chain(workers.keys()).collect();
    for name in all {
        let (kernel, workers) = (kernel.get(name), workers.get(name));
        if kernel.map(Described::key) == workers.map(Described::key) {
            continue;
        }
        let told = |one: Option<&Described>, other: Option<&Described>| match (one, other) {
            (None, _) => "none".to_owned(),
            (Some(one), Some(other)) => one.unlike(other),
            (Some(one), None) if one.way.is_empty() && one.does.is_empty() => "there".to_owned(),
            (Some(one), None) => one.unlike(&Described::default()),
        };
        comparison.note(Difference {
            what: section.singular(),
            table: String::new(),
            name: name.clone(),
            at: None,
            more_ranges: 0,
            kernel: told(kernel, workers),
            workers: told(workers, kernel),
            range: None,
        });
    }
    Ok(())
}

/// Numbers for what is done: two that do the same have the same.
#[derive(Default)]
struct Interned(HashMap<String, u32>);

impl Interned {
    fn number(&mut self, described: &Described) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(described.key()).or_insert(next)
    }
}

/// Compares one FIB.
struct FibComparison<'a> {
    expected: &'a Expected,
    tables: &'a [TableId],
    /// Differences that are not this FIB's.
    noted_before: usize,
    interned: Interned,
    /// By what the dump's lookup results are.
    hops: HashMap<u32, u32>,
}

/// What the dump says of a run of addresses.
type Decided = Option<(TableId, Ipv4Net, HopId)>;

impl<'a> FibComparison<'a> {
    fn new(expected: &'a Expected, tables: &'a [TableId], noted_before: usize) -> Self {
        Self { expected, tables, noted_before, interned: Interned::default(), hops: HashMap::new() }
    }

    fn number(&mut self, decided: Decided) -> u32 {
        let hop = decided.map_or(HopId::NONE, |(_, _, hop)| hop);
        if let Some(number) = self.hops.get(&hop.0) {
            return *number;
        }
        let number = self.interned.number(&self.expected.hop(hop));
        self.hops.insert(hop.0, number);
        number
    }

    /// Compares all addresses.
    fn ranges(
        &mut self,
        fib: u16,
        workers: &mut Workers<'_>,
        comparison: &mut Comparison,
        mut progress: impl FnMut(u32),
    ) -> Result<(), AskError> {
        let expected = self.expected;
        let layers: Vec<&[Run<u32>]> =
            self.tables.iter().map(|table| expected.table(*table).runs.as_slice()).collect();
        let tables = self.tables;
        let route = |layer: usize, route: u32| {
            let table = tables.get(layer).copied().unwrap_or_default();
            let (prefix, hop) = expected.table(table).routes[route as usize];
            (table, prefix, hop)
        };
        // A throw route leaves the decision to the next table.
        let mut runs = sweep::layered(&layers, |layer, place| route(layer, place).2 != HopId::NONE)
            .map(|(first, decided)| (first, decided.map(|(layer, place)| route(layer, place))))
            .peekable();
        let mut decided: Decided = None;
        let mut previous = None;
        let mut from = Some(0);
        while let Some(begin) = from {
            progress(begin);
            let piece = workers.ranges(fib, begin)?;
            from = piece.next;
            if piece.tables != *tables {
                // It was built anew while we read: the next round compares it.
                comparison.note(self.changed(&piece.tables));
                return Ok(());
            }
            let numbers: Vec<_> = piece.hops.iter().map(|hop| self.interned.number(hop)).collect();
            let end = piece.next.map_or(u32::MAX, |next| next.saturating_sub(1));
            for (place, (first, hop)) in piece.ranges.iter().enumerate() {
                let last = piece.ranges.get(place + 1).map_or(end, |(next, _)| next.saturating_sub(1));
                let number = numbers.get(*hop).copied();
                comparison.counts.ranges += usize::from(number != previous);
                previous = number;
                let mut at = *first;
                loop {
                    while let Some((_, next)) = runs.next_if(|(begins, _)| *begins <= at) {
                        decided = next;
                    }
                    let until = runs.peek().map_or(last, |(begins, _)| last.min(begins - 1));
                    if number != Some(self.number(decided)) {
                        let hop = piece.hops.get(*hop).cloned().unwrap_or_default();
                        comparison.note(self.difference(decided, &hop, (at, until)));
                    }
                    if until == last {
                        break;
                    }
                    at = until + 1;
                }
            }
        }
        Ok(())
    }

    /// Compares single addresses: the ends of routes, places within them, and any.
    fn samples(
        &mut self,
        fib: u16,
        count: usize,
        workers: &mut Workers<'_>,
        comparison: &mut Comparison,
    ) -> Result<(), AskError> {
        let expected = self.expected;
        let known: Vec<_> = comparison
            .differences
            .iter()
            .skip(self.noted_before)
            .filter_map(|difference| difference.range)
            .collect();
        let routes: Vec<_> = self
            .tables
            .iter()
            .flat_map(|table| expected.table(*table).routes.iter().map(|(prefix, _)| prefix))
            .collect();
        let mut random = Random(u64::from(fib) + 1);
        let addresses = (0..count).map(|number| {
            if number.is_multiple_of(2) || routes.is_empty() {
                return random.next() as u32;
            }
            let prefix = routes[(random.next() % routes.len() as u64) as usize];
            let (first, last) = (u32::from(prefix.network()), u32::from(prefix.broadcast()));
            match random.next() % 3 {
                0 => first,
                1 => last,
                _ => first + (random.next() % (u64::from(last - first) + 1)) as u32,
            }
        });
        let addresses: Vec<_> = addresses.map(Ipv4Addr::from).collect();
        for some in addresses.chunks(MAX_ADDRESSES) {
            let (tables, found) = workers.lookup(fib, some.to_vec())?;
            if tables != self.tables {
                comparison.note(self.changed(&tables));
                return Ok(());
            }
            comparison.counts.samples += found.len();
            for (address, hop) in some.iter().zip(found) {
                let address = u32::from(*address);
                let decided = self.decide(address);
                let is_known = known.iter().any(|(first, last)| (*first..=*last).contains(&address));
                if !is_known && self.interned.number(&hop) != self.number(decided) {
                    comparison.note(self.difference(decided, &hop, (address, address)));
                }
            }
        }
        Ok(())
    }

    fn decide(&self, address: u32) -> Decided {
        self.tables.iter().find_map(|id| {
            let table = self.expected.table(*id);
            let place = table.runs.partition_point(|(first, _)| *first <= address).checked_sub(1)?;
            let (prefix, hop) = table.routes[table.runs[place].1? as usize];
            Some((*id, prefix, hop)).filter(|_| hop != HopId::NONE)
        })
    }

    fn changed(&self, now: &[TableId]) -> Difference {
        Difference {
            what: "table",
            table: String::new(),
            name: joined(self.tables),
            at: None,
            more_ranges: 0,
            kernel: "there".to_owned(),
            workers: format!("replaced by {} meanwhile", joined(now)),
            range: None,
        }
    }

    fn difference(&self, decided: Decided, workers: &Described, (first, last): (u32, u32)) -> Difference {
        let kernel = self.expected.hop(decided.map_or(HopId::NONE, |(_, _, hop)| hop));
        let at = range(first, last);
        let (table, name) = match decided {
            Some((table, prefix, _)) => (table.to_string(), prefix.to_string()),
            None => (joined(self.tables), at.clone()),
        };
        Difference {
            what: "route",
            table,
            at: (at != name).then_some(at),
            more_ranges: 0,
            name,
            kernel: kernel.unlike(workers),
            workers: workers.unlike(&kernel),
            range: Some((first, last)),
        }
    }
}

fn joined(tables: &[TableId]) -> String {
    tables.iter().map(TableId::to_string).collect::<Vec<_>>().join("+")
}

/// A range of addresses: a prefix, where it is one.
fn range(first: u32, last: u32) -> String {
    let count = u64::from(last - first) + 1;
    let length = 32 - count.trailing_zeros() as u8;
    match Ipv4Net::new(first.into(), length) {
        Ok(prefix) if count.is_power_of_two() && prefix.network() == prefix.addr() => prefix.to_string(),
        _ => format!("{}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last)),
    }
}

/// `SplitMix64`: the same addresses each time, so that a difference can be looked at again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_prefixes_where_they_can_be() {
        let number = |text: &str| u32::from(text.parse::<Ipv4Addr>().expect("an address"));
        assert_eq!(range(number("10.0.0.0"), number("10.0.0.255")), "10.0.0.0/24");
        assert_eq!(range(number("10.0.0.7"), number("10.0.0.7")), "10.0.0.7/32");
        assert_eq!(range(number("10.0.0.1"), number("10.0.0.2")), "10.0.0.1-10.0.0.2");
        assert_eq!(range(number("10.0.0.0"), number("10.0.0.2")), "10.0.0.0-10.0.0.2");
        assert_eq!(range(0, u32::MAX), "0.0.0.0/0");
    }
}
