//! The command line: one file a verb.

mod ask;
mod captures;
mod error;
mod explain;
mod fib;
mod node;
mod replay;
mod route;
mod run;
mod show;
mod snapshot;

use clap::{Parser, Subcommand};
use error::CliError;
use std::io::ErrorKind;
use std::process::ExitCode;

/// Walks packets as a Linux node that routes pod traffic would: ARP, policy rules and routes, IPIP and VXLAN tunnels,
/// ICMP errors. The state of the node is what iproute2 prints of it.
#[derive(Debug, Parser)]
#[command(name = "packetwalk", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Replay(replay::Options),
    Explain(explain::Options),
    Route(route::Options),
    Snapshot(snapshot::Options),
    Run(run::Options),
    Fib(fib::Options),
    Show(show::Options),
}

/// Runs the command line of this process. Exit code 2: the command line, the state, the configuration, a capture or the
/// socket of a running process cannot be used; 1: packetwalk itself is at fault, or `fib diff` found differences.
pub(crate) fn run() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Replay(options) => options.run(),
        Verb::Explain(options) => options.run(),
        Verb::Route(options) => options.run(),
        Verb::Snapshot(snapshot::Options {}) => snapshot::run(),
        Verb::Run(options) => options.run(),
        Verb::Show(options) => options.run(),
        Verb::Fib(options) => return ended(options.run()),
    };
    ended(result.map(|()| ExitCode::SUCCESS))
}

fn ended(result: Result<ExitCode, CliError>) -> ExitCode {
    match result {
        Ok(code) => code,
        // Whoever reads our output has seen enough of it.
        Err(CliError::Print(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            error::print(&error);
            error.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
