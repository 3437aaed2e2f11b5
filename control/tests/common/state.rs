//! The one thing that a comparison needs to know of a node: its own addresses.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::Value;

/// Every IPv4 address in the `addr` section of a state file, JSON or TOML.
pub(crate) fn own_addresses(state: &Path) -> Vec<Ipv4Addr> {
    let text = fs::read_to_string(state).unwrap_or_else(|error| panic!("{}: {error}", state.display()));
    let state: Value = if state.extension().is_some_and(|extension| extension == "toml") {
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", state.display()))
    } else {
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", state.display()))
    };
    let links = state["addr"].as_array().map_or(&[][..], Vec::as_slice);
    links
        .iter()
        .filter_map(|link| link["addr_info"].as_array())
        .flatten()
        .filter_map(|entry| entry["local"].as_str()?.parse().ok())
        .collect()
}
