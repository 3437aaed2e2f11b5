//! `packetwalk snapshot`: the state of this node, as a file for replay, explain and route get.

use super::error::CliError;
use clap::Args;
use packetwalk_control::netlink;
use std::io::{BufWriter, Write, stdout};

/// Prints the state of this node: links, addresses, routes, rules, neighbours, forwarding entries, nexthop objects.
///
/// Reads the network namespace that it runs in, over netlink and without privileges, and prints one JSON file with the
/// keys of `ip -j -d` and `bridge -j` that packetwalk reads, one object a line. Other verbs take it as --state.
#[derive(Debug, Args)]
pub(super) struct Options {}

/// Asks the kernel, and prints.
pub(super) fn run() -> Result<(), CliError> {
    let state = netlink::snapshot()?.node_state();
    let mut out = BufWriter::new(stdout().lock());
    state.write(&mut out).and_then(|()| out.flush()).map_err(CliError::Print)
}
