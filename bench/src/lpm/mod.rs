//! Longest-prefix match alone: ours against the structures of the field, on a node's table and a full one.
//!
//! All tables of a kind hold the same routes, and must give the same answers. They are measured in turn, a round each: a million addresses,
//! looked up in batches of 64 as the walk does, each lookup independent of the one before.

mod dir24_8;
mod footprint;
mod report;
mod stream;
mod structure;
mod table;

pub(crate) use report::Report;
pub(crate) use stream::Stream;
pub(crate) use table::{Family, Kind, Route};

use crate::clock::Calibration;
use crate::instructions::{self, Subject};
use crate::report::Measured;
use crate::rounds;
use clap::{Args, ValueEnum};
use footprint::Footprint;
use std::convert::Infallible;
use structure::{Addresses, Structure, Table};
use thiserror::Error;

/// What to compare.
#[derive(Args)]
pub(crate) struct LpmArguments {
    /// A table to compare on; all if none is named.
    #[arg(long = "table", value_name = "NAME")]
    kinds: Vec<Kind>,
    /// A stream of addresses; all if none is named.
    #[arg(long = "stream", value_name = "NAME")]
    streams: Vec<Stream>,
    /// A structure to compare; all if none is named.
    #[arg(long = "structure", value_name = "NAME")]
    structures: Vec<Structure>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// How often each structure is measured, in turn with the others.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Addresses in a round.
    #[arg(long, value_name = "N", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1..))]
    lookups: u32,
    /// Counts instructions too, under valgrind: minutes for each full table.
    #[arg(long)]
    instructions: bool,
    /// Leaves out what tables take and what changing them costs.
    #[arg(long)]
    lookups_only: bool,
}

/// One table of one structure, for the measurement of its memory.
#[derive(Args)]
pub(crate) struct FootprintArguments {
    table: Kind,
    structure: Structure,
}

/// Why there is no comparison.
#[derive(Debug, Error)]
pub(crate) enum LpmError {
    /// Two structures disagree.
    #[error("{case}: address {address} has hop {found}, but {expected} by {reference}")]
    Differs {
        /// Table, stream and structure.
        case: String,
        /// Which of the stream.
        address: usize,
        /// By this structure.
        found: u32,
        /// By the first.
        expected: u32,
        /// The first.
        reference: &'static str,
    },
    /// The memory of a table could not be measured.
    #[error("the memory of {0}: {1}")]
    Footprint(String, String),
}

/// Builds one table, and prints what it takes.
pub(crate) fn footprint(arguments: &FootprintArguments) -> Result<Footprint, LpmError> {
    Footprint::of(arguments.table, arguments.structure)
}

/// All, or those that were named.
fn chosen<T: ValueEnum + PartialEq>(named: &[T]) -> impl Iterator<Item = &T> {
    T::value_variants().iter().filter(move |one| named.is_empty() || named.contains(one))
}

fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Compares.
pub(crate) fn compare(arguments: &LpmArguments) -> Result<Report, LpmError> {
    let calibration = Calibration::start();
    let mut report = Report { lookups: arguments.lookups, ..Report::default() };
    let mut measured = Vec::new();
    if !arguments.lookups_only {
        report.policy_tables = footprint::policy_tables();
    }
    for kind in chosen(&arguments.kinds) {
        let routes = kind.routes();
        let tables = chosen(&arguments.structures)
            .filter_map(|structure| Some((*structure, structure.table(kind.family(), &routes)?)));
        let mut tables: Vec<_> = tables.collect();
        for stream in chosen(&arguments.streams) {
            let addresses = stream.addresses(kind.family(), &routes, arguments.lookups as usize);
            let addresses = Addresses::new(kind.family(), &addresses);
            agree(&tables, &addresses, &format!("{}/{}", name(kind), name(stream)))?;
            let round =
                |(_, table): &mut (Structure, Box<dyn Table>)| Ok::<_, Infallible>(table.look_up(&addresses));
            let Ok(clocks) =
                rounds::in_turn(&mut tables, arguments.rounds, arguments.lookups as usize, round);
            for ((structure, _), clocks) in tables.iter().zip(clocks) {
                measured.push(([name(kind), name(stream), name(structure)], clocks));
            }
        }
        if !arguments.lookups_only {
            for (structure, _) in &tables {
                report.tables.push(Footprint::in_a_process_of_its_own(*kind, *structure)?);
            }
        }
    }
    report.nanoseconds = calibration.nanoseconds_per_tick();
    for (names, clocks) in measured {
        let count = arguments.instructions.then(|| instructions::count(&counted(&names))).transpose();
        let count = count.unwrap_or_else(|error| {
            report.not_counted = Some(error.to_string());
            None
        });
        report.cases.extend(Measured::new(names.join("/"), clocks, report.nanoseconds, count));
    }
    Ok(report)
}

/// Lookups that are counted: a count needs no repetition, and callgrind is slow.
const COUNTED: usize = 4096;

fn counted([kind, stream, structure]: &[String; 3]) -> Subject {
    let arguments = ["lpm", "--lookups-only", "--rounds", "1", "--table", kind, "--stream", stream];
    let mut arguments: Vec<_> = arguments.map(str::to_owned).into();
    arguments.extend([
        "--structure".to_owned(),
        structure.clone(),
        "--lookups".to_owned(),
        COUNTED.to_string(),
    ]);
    Subject { function: "look_up_batches", arguments, units: COUNTED }
}

/// All tables give the same answers.
fn agree(tables: &[(Structure, Box<dyn Table>)], addresses: &Addresses, case: &str) -> Result<(), LpmError> {
    let Some(((first, table), others)) = tables.split_first() else { return Ok(()) };
    let expected = table.hops(addresses);
    for (structure, table) in others {
        let hops = table.hops(addresses);
        let differing = hops.iter().zip(&expected).position(|(found, expected)| found != expected);
        if let Some(address) = differing {
            return Err(LpmError::Differs {
                case: format!("{case}/{}", name(structure)),
                address,
                found: hops[address],
                expected: expected[address],
                reference: first.name(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_structures_agree_on_a_nodes_tables_and_what_they_change() {
        for kind in [Kind::Ipv4Node, Kind::Ipv6Node] {
            let routes = kind.routes();
            let covering = table::Covering::new(&routes);
            let tables = Structure::value_variants().iter();
            let mut tables: Vec<_> =
                tables.filter_map(|one| Some((*one, one.table(kind.family(), &routes)?))).collect();
            for route in routes[1..].iter().step_by(50) {
                for (_, table) in &mut tables {
                    table.change(*route, covering.of(kind.family(), *route));
                }
            }
            for stream in Stream::value_variants() {
                let addresses = stream.addresses(kind.family(), &routes, 5000);
                let addresses = Addresses::new(kind.family(), &addresses);
                assert!(agree(&tables, &addresses, "a test").is_ok(), "{kind:?} {stream:?}");
                assert!(tables.iter().all(|(_, table)| table.look_up(&addresses) > 0));
            }
        }
    }

    #[test]
    fn structures_that_differ_are_noticed() {
        let routes = Kind::Ipv4Node.routes();
        let table = |structure: Structure, routes: &[Route]| {
            structure.table(Family::V4, routes).map(|table| (structure, table))
        };
        let tables: Vec<_> =
            [table(Structure::Packetwalk, &routes), table(Structure::Poptrie, &routes[..2000])]
                .into_iter()
                .flatten()
                .collect();
        let addresses = Stream::Uniform.addresses(Family::V4, &routes, 5000);
        let differs = agree(&tables, &Addresses::new(Family::V4, &addresses), "a test");
        assert!(differs.is_err_and(|error| error.to_string().starts_with("a test/poptrie: address ")));
    }
}
