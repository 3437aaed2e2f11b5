//! `packetwalk fib`: the tables that workers look up in.

use super::ask::SocketOption;
use super::error::CliError;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use packetwalk_control::diff::{Verdict, diff};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Look into the tables that workers look up in
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Diff(DiffOptions),
}

/// Compare what workers of the running process do with what the kernel does, route by route
///
/// Takes a fresh dump of the kernel's state, works out what it does with every address of every table that a rule names,
/// and compares it with what workers of the process find in their tables, to the byte. Rules, ports, links, bridges,
/// tunnels, own addresses and neighbours are compared, too. The kernel may change meanwhile, so whatever differs is
/// looked at again for two seconds; what still differs then, while the kernel holds still, is printed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  packetwalk fib diff
  packetwalk fib diff --json | jq '.differences[].name'

The exit code is 0 when workers do what the kernel does, 1 when they do not, and 2 when it cannot be told. No privileges \
are needed beyond those to open the socket; it must run in the network namespace of the process.")]
struct DiffOptions {
    #[command(flatten)]
    socket: SocketOption,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Options {
    pub(super) fn run(&self) -> Result<ExitCode, CliError> {
        let Verb::Diff(options) = &self.verb;
        let mut client = options.socket.connect()?;
        let progress = progress();
        let verdict = diff(&mut client, |round, thousandths| {
            progress.set_message(if round == 1 { String::new() } else { format!("look {round}") });
            progress.set_position(thousandths);
        })?;
        progress.finish_and_clear();
        let text = if options.json { json_of(&verdict) } else { text_of(&verdict) };
        std::io::stdout().write_all(text.as_bytes()).map_err(CliError::Print)?;
        Ok(if verdict.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn json_of(verdict: &Verdict) -> String {
    let json = json!({
        "equal": verdict.differences.is_empty(),
        "differences": verdict.differences,
        "not_listed": verdict.more,
        "compared": verdict.counts,
        "rounds": verdict.rounds,
    });
    format!("{json:#}\n")
}

fn text_of(verdict: &Verdict) -> String {
    let mut text = String::new();
    for difference in &verdict.differences {
        let _ = writeln!(text, "{difference}");
    }
    if verdict.more > 0 {
        let _ = writeln!(text, "and {} more", verdict.more);
    }
    let counts = &verdict.counts;
    let compared = format!(
        "{} routes in {} address ranges, {} single addresses, {} rules and entries",
        counts.routes, counts.ranges, counts.samples, counts.entries
    );
    let _ = match verdict.differences.len() + verdict.more {
        0 => writeln!(text, "equal: {compared}"),
        1 => writeln!(text, "1 difference: {compared}"),
        count => writeln!(text, "{count} differences: {compared}"),
    };
    text
}

/// A bar over the addresses, on a terminal only.
fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr_with_hz(5));
    match ProgressStyle::with_template("{bar:40} {percent} % of the addresses {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
