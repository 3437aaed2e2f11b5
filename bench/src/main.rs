//! Measures packetwalk: what a frame costs, in clocks, nanoseconds and instructions.

mod cases;
mod clock;
mod frames;
mod instructions;
mod node;
mod random;
mod report;
mod walk;

use cases::Case;
use clap::{Args, Parser, Subcommand};
use clock::Calibration;
use report::{Conditions, Measured, Report};
use std::error::Error;
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
    /// Counts instructions too, under valgrind.
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
    let Verb::Walk(arguments) = Arguments::parse().verb;
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("packetwalk-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &WalkArguments) -> Result<(), Box<dyn Error>> {
    let report = measure(arguments)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
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
        streams.push((*case, Stream::new(*case, frames, caches, &mut buffers)?, Vec::new()));
    }
    // In turn, so that what disturbs the machine for a while disturbs all cases alike.
    for _ in 0..rounds {
        for (_, stream, clocks) in &mut streams {
            let ticks = stream.round(caches, &mut buffers)?;
            #[allow(clippy::cast_precision_loss, reason = "a round takes far less than 2^53 clocks")]
            clocks.push(ticks as f64 / frames as f64);
        }
    }
    let nanoseconds = calibration.nanoseconds_per_tick();
    let mut not_counted = None;
    let mut measured = Vec::new();
    for (case, _, clocks) in streams {
        let count = arguments.instructions.then(|| instructions::count(case)).transpose();
        let count = count.unwrap_or_else(|error| {
            not_counted = Some(error.to_string());
            None
        });
        measured.extend(Measured::new(case, clocks, nanoseconds, count));
    }
    Ok(Report { cases: measured, conditions: Conditions { frames, cold, nanoseconds, not_counted } })
}
