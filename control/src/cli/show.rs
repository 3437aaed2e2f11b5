//! `packetwalk show`: what a running process says of itself.

use super::ask::SocketOption;
use super::error::CliError;
use clap::{Args, Subcommand};
use packetwalk_control::api::{Question, Runtime};
use std::fmt::Write as _;
use std::io::Write;

/// Ask a running process how it is
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Runtime(RuntimeOptions),
}

/// Print how the process is: how it follows the kernel, and how long changes take to reach workers
#[derive(Debug, Args)]
struct RuntimeOptions {
    #[command(flatten)]
    socket: SocketOption,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Options {
    pub(super) fn run(&self) -> Result<(), CliError> {
        let Verb::Runtime(options) = &self.verb;
        let runtime: Runtime = options.socket.connect()?.ask(&Question::Runtime {})?;
        let text = if options.json {
            serde_json::to_string_pretty(&runtime).map_err(|error| CliError::Print(error.into()))? + "\n"
        } else {
            text(&runtime)
        };
        std::io::stdout().write_all(text.as_bytes()).map_err(CliError::Print)
    }
}

fn text(runtime: &Runtime) -> String {
    let Runtime { following, change_latency_us: latency, .. } = runtime;
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<12}{value}");
    };
    row("release", format!("{}, process {}, mode {}", runtime.release, runtime.pid, runtime.mode));
    row("uptime", format!("{:.1} s", runtime.uptime_s));
    row("namespace", runtime.netns.clone());
    row("tables", format!("generation {}, {} publications", runtime.generation, runtime.publications));
    row("routes", format!("{} IPv4, {} IPv6", runtime.routes.ipv4, runtime.routes.ipv6));
    row("links", runtime.links.to_string());
    row("neighbours", runtime.neighbours.to_string());
    row("next hops", format!("{} adjacencies, {} groups", runtime.adjacencies, runtime.groups));
    row("findings", format!("{} warnings, {} infos", runtime.warnings, runtime.infos));
    let state = match (following.stale_s, following.behind) {
        (Some(time), _) => format!("NOT FOLLOWED for {time:.1} s: the tables are out of date"),
        (None, true) => "something is about to be listed again".to_owned(),
        (None, false) => "in step".to_owned(),
    };
    row("kernel", state);
    row(
        "netlink",
        format!(
            "{} messages, {} overruns, {} lists, {} repeated, {} malformed, {} errors",
            following.messages,
            following.overruns,
            following.lists,
            following.repeated,
            following.malformed,
            following.errors
        ),
    );
    if let Some(error) = &following.error {
        row("last error", error.clone());
    }
    row(
        "changes",
        format!(
            "{} batches, until workers see them: median {} us, p99 {} us, max {} us",
            latency.count, latency.median, latency.p99, latency.max
        ),
    );
    let stalled = if runtime.stalled.is_empty() { "none".to_owned() } else { runtime.stalled.join(", ") };
    row("stalled", stalled);
    text
}
