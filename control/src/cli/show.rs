//! `packetwalk show`: what a running process says of itself.

use super::ask::SocketOption;
use super::error::CliError;
use clap::{Args, Subcommand};
use packetwalk_control::api::{Question, Runtime, Section};
use serde::Serialize;
use std::collections::BTreeMap;
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
    /// Print how the process is: how it follows the kernel, and how long changes take to reach workers
    Runtime(Printed),
    /// Print the neighbours that workers can send to, and what they put before a packet
    Neigh(Printed),
    /// Print the tunnels that workers open, and who may send to them
    Tunnels(Printed),
}

/// How it is asked and printed.
#[derive(Debug, Args)]
struct Printed {
    #[command(flatten)]
    socket: SocketOption,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Options {
    pub(super) fn run(&self) -> Result<(), CliError> {
        match &self.verb {
            Verb::Runtime(printed) => {
                let runtime: Runtime = printed.socket.connect()?.ask(&Question::Runtime {})?;
                printed.print(&runtime, text)
            }
            Verb::Neigh(printed) => {
                printed.print(&entries(printed, Section::Neighbours)?, |entries| lines(entries))
            }
            Verb::Tunnels(printed) => {
                let mut all = entries(printed, Section::Tunnels)?;
                let peers = entries(printed, Section::Peers)?;
                all.extend(
                    peers.into_iter().map(|peer| Entry { name: format!("peer {}", peer.name), ..peer }),
                );
                printed.print(&all, |entries| lines(entries))
            }
        }
    }
}

impl Printed {
    fn print<T: Serialize>(&self, answer: &T, text: impl Fn(&T) -> String) -> Result<(), CliError> {
        let text = if self.json {
            serde_json::to_string_pretty(answer).map_err(|error| CliError::Print(error.into()))? + "\n"
        } else {
            text(answer)
        };
        std::io::stdout().write_all(text.as_bytes()).map_err(CliError::Print)
    }
}

/// An entry of a small table.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    does: BTreeMap<String, String>,
}

/// All entries of a small table, by name.
fn entries(printed: &Printed, of: Section) -> Result<Vec<Entry>, CliError> {
    let entries = printed.socket.connect()?.entries(of)?.into_iter();
    let mut entries: Vec<_> = entries.map(|(name, what)| Entry { name, does: what.does }).collect();
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// A line each, as iproute2 writes things: the name, then each field's name and value.
fn lines(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        text += &entry.name;
        // The link is in the name.
        for (field, value) in entry.does.iter().filter(|(field, _)| *field != "dev") {
            let _ = write!(text, " {field} {value}");
        }
        text.push('\n');
    }
    text
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
