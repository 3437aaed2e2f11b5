//! Measures packetwalk: what a frame costs, in clocks, nanoseconds and instructions.

mod cases;
mod clock;
mod frames;
mod instructions;
mod internet;
mod lpm;
mod node;
mod random;
mod report;
mod rounds;
mod walk;

use cases::Case;
use clap::{Args, Parser, Subcommand};
use clock::Calibration;
use instructions::Subject;
use lpm::{FootprintArguments, LpmArguments};
use report::{Conditions, Measured, Report};
use serde::Serialize;
use std::error::Error;
use std::fmt::Display;
use std::process::ExitCode;
use walk::{Caches, RING, Stream, WalkError};

/// Measures packetwalk.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The whole walk: from a batch of received frames to descriptors in a transmit ring.
    Walk(WalkArguments),
    /// Longest-prefix match alone, beside the structures of the field.
    Lpm(LpmArguments),
    /// What one table takes, in a process that has built no other.
    #[command(hide = true)]
    LpmFootprint(FootprintArguments),
}

#[derive(Args)]
struct WalkArguments {
    /// A case to measure; all if none is named.
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<Case>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// How often each case is measured, in turn with the others.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Frames that come from memory, and not from the cache.
    #[arg(long)]
    cold: bool,
    /// Counts instructions too, under valgrind; not where the node has a full table, which takes valgrind too long to make.
    #[arg(long)]
    instructions: bool,
    /// Frames in a round, each of another flow: a multiple of 256.
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = stream_length)]
    frames: usize,
}

fn stream_length(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(frames) if frames > 0 && frames % RING == 0 => Ok(frames),
        _ => Err(format!("expected a multiple of {RING}")),
    }
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Walk(arguments) => {
            measure(&arguments).map_err(Box::from).and_then(|report| print(&report, arguments.json))
        }
        Verb::Lpm(arguments) => {
            lpm::compare(&arguments).map_err(Box::from).and_then(|report| print(&report, arguments.json))
        }
        Verb::LpmFootprint(arguments) => {
            lpm::footprint(&arguments).map_err(Box::from).and_then(|footprint| print_json(&footprint))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("packetwalk-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(report: &(impl Display + Serialize), json: bool) -> Result<(), Box<dyn Error>> {
    if json {
        return print_json(report);
    }
    print!("{report}");
    Ok(())
}

fn print_json(report: &impl Serialize) -> Result<(), Box<dyn Error>> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

fn measure(arguments: &WalkArguments) -> Result<Report, WalkError> {
    let WalkArguments { frames, cold, rounds, .. } = *arguments;
    let cases = if arguments.cases.is_empty() { Case::ALL } else { &arguments.cases };
    let caches = if cold { Caches::Cold } else { Caches::Warm };
    let calibration = Calibration::start();
    let mut buffers = walk::buffers(caches, frames);
    let mut streams = Vec::new();
    for case in cases {
        streams.push((*case, Stream::new(*case, frames, caches, &mut buffers)?));
    }
    let clocks =
        rounds::in_turn(&mut streams, rounds, frames, |(_, stream)| stream.round(caches, &mut buffers))?;
    let nanoseconds = calibration.nanoseconds_per_tick();
    let mut not_counted = None;
    let mut measured = Vec::new();
    for ((case, _), clocks) in streams.into_iter().zip(clocks) {
        let counts = arguments.instructions && case.is_quickly_made();
        let count = counts.then(|| instructions::count(&counted(case))).transpose();
        let count = count.unwrap_or_else(|error| {
            not_counted = Some(error.to_string());
            None
        });
        measured.extend(Measured::new(case.name(), clocks, nanoseconds, count));
    }
    Ok(Report { cases: measured, conditions: Conditions { frames, cold, nanoseconds, not_counted } })
}

/// Frames in the stream whose instructions are counted: a count needs no repetition, and callgrind is slow.
const COUNTED: usize = 4096;

fn counted(case: Case) -> Subject {
    let arguments = ["walk", "--case", case.name(), "--rounds", "1", "--frames"].map(str::to_owned);
    // The stream is walked once to be verified, and once more as the round asked for.
    Subject {
        function: "walk_batches",
        arguments: [&arguments[..], &[COUNTED.to_string()]].concat(),
        units: 2 * COUNTED,
    }
}
