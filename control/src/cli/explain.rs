//! `packetwalk explain`: why one frame went where it went.

use super::ask::SocketOption;
use super::captures::{self, RxOptions};
use super::error::CliError;
use super::node::{self, ConfigOption};
use clap::Args;
use packetwalk_control::config::Config;
use packetwalk_control::explain::{Explainer, Walk};
use packetwalk_control::{Behind, Node};
use packetwalk_port::pcap::Merge;
use packetwalk_port::{BUFFER, Buffers, Discard};
use packetwalk_walk::{BATCH, Batch, Settings, Worker, walk, walk_observed};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// Explain the walk of one frame, stage by stage
///
/// The captures are walked up to the frame, so that rate limits and whatever else a worker remembers are as they were.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  packetwalk explain --rx eth0=eth0.pcap --frame 17
  packetwalk explain --state node.json --rx eth0=eth0.pcap --frame 17
  packetwalk explain --state node.json --rx all.pcapng --frame 17 --json | jq .outcome

Of several captures, frames are counted in the order in which they are walked: by their timestamps, equal ones in the \
order of the options.")]
pub(super) struct Options {
    #[command(flatten)]
    rx: RxOptions,
    /// Number of the frame, counted from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frame: u64,
    /// State of the node, as iproute2 prints it (JSON or TOML); without it, state and configuration of the running
    /// process are meant
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    state: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigOption,
    #[command(flatten)]
    socket: SocketOption,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Options {
    pub(super) fn run(&self) -> Result<(), CliError> {
        let (node, config) = self.node()?;
        let mut source = self.rx.open(&node)?;
        let explained = explain(&node, node::settings(&config), &mut source, self.frame)?;
        captures::say_remarks(&source);
        if self.json {
            let mut json =
                serde_json::to_string_pretty(&explained).map_err(|error| CliError::Print(error.into()))?;
            json.push('\n');
            std::io::stdout().write_all(json.as_bytes()).map_err(CliError::Print)
        } else {
            write!(anstream::stdout(), "{explained}").map_err(CliError::Print)
        }
    }
}

impl Options {
    fn node(&self) -> Result<(Node, Config), CliError> {
        if let Some(state) = &self.state {
            let config = self.config.load()?;
            return Ok((node::build(state, &config)?, config));
        }
        let (state, theirs) = self.socket.state()?;
        let config = if self.config.is_given() { self.config.load()? } else { theirs };
        Ok((Node::build(&state, &config, Behind::Nothing), config))
    }
}

/// Walks frames up to the one of this number, and watches that one.
fn explain(node: &Node, settings: Settings, source: &mut Merge<File>, number: u64) -> Result<Walk, CliError> {
    // A batch, as many that wait for a neighbour, and as many that the walk makes.
    let mut buffers = Buffers::new(3 * BATCH, BUFFER);
    let mut sink = Discard::new(buffers.pool());
    let mut worker = Worker::new(node.port_names.len(), settings);
    let mut batch = Batch::new();
    let mut found = 0;
    while let Some(burst) = source.fill(sink.pool(), &mut batch)? {
        found = burst.first + batch.len() as u64 - 1;
        if number > found {
            walk(&node.tables, &mut worker, burst.now, &mut batch, &mut sink);
            continue;
        }
        let slot = (number - burst.first) as usize;
        let mut explainer = Explainer::new(node, slot, number, burst.now);
        walk_observed(&node.tables, &mut worker, burst.now, &mut batch, &mut sink, &mut explainer);
        return Ok(explainer.finish());
    }
    Err(CliError::NoSuchFrame { wanted: number, found })
}
