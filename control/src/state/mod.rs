//! The state of a node: what iproute2 prints of it, parsed.
//!
//! One file, JSON or TOML with the same keys, exactly iproute2's. Unknown keys are ignored and any key may be absent;
//! what is there is parsed into types that cannot be wrong, and an error names the file, the key and the value.

mod entries;
mod link;
mod neighbour;
mod raw_rule;
mod route;
mod rule;
mod scalar;
mod value;
mod write;

pub use link::{AddressEntry, InfoData, LinkEntry, LinkFlags, LinkInfo, PortRange, SlaveData};
pub use neighbour::{FdbEntry, NeighbourEntry, NetconfEntry};
pub use route::{
    Encap, GroupMember, HopFlags, NextHopEntry, NexthopEntry, Preference, RouteEntry, RouteMetrics, Via,
};
pub use rule::{IpProtocol, OtherSelector, RuleEntry, RuleVerb, Tos};
pub use value::{
    Destination, DontFragment, Endpoint, LinkAddress, Mtu, Protocol, RouteKind, Scope, TableId, Ttl, Weight,
};

use entries::{entries, optional_entries};
use serde::{Deserialize, Serialize};
use std::path::Path;
use thiserror::Error;

/// Everything that the kernel knows of forwarding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// `ip -j -d addr`.
    #[serde(default, deserialize_with = "entries")]
    pub addr: Vec<LinkEntry>,
    /// `ip -j -d route show table all`, of both families.
    #[serde(default, deserialize_with = "entries")]
    pub route: Vec<RouteEntry>,
    /// `ip -j -d rule`; None: the kernel's three.
    #[serde(default, deserialize_with = "optional_entries", skip_serializing_if = "Option::is_none")]
    pub rule: Option<Vec<RuleEntry>>,
    /// `ip -6 -j -d rule`; None: the kernel's.
    #[serde(default, deserialize_with = "optional_entries", skip_serializing_if = "Option::is_none")]
    pub rule6: Option<Vec<RuleEntry>>,
    /// `ip -j neigh`, of both families.
    #[serde(default, deserialize_with = "entries")]
    pub neigh: Vec<NeighbourEntry>,
    /// `bridge -j fdb`.
    #[serde(default, deserialize_with = "entries")]
    pub fdb: Vec<FdbEntry>,
    /// `ip -j nexthop`.
    #[serde(default, deserialize_with = "entries")]
    pub nexthop: Vec<NexthopEntry>,
    /// `ip -j netconf`, of both families.
    #[serde(default, deserialize_with = "entries")]
    pub netconf: Vec<NetconfEntry>,
}

/// Why a file is no state of a node.
#[derive(Debug, Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("{name}: cannot read the state: {source}")]
    Read {
        /// The file.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is neither JSON nor TOML from here on.
    #[error("{name}:{line}:{column}: {message}")]
    Syntax {
        /// The file.
        name: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What was found and what was expected.
        message: String,
    },
    /// A value is not what its key wants.
    #[error("{name}: {key}: {message}")]
    Value {
        /// The file.
        name: String,
        /// The way to the value, such as `route[3].gateway`.
        key: String,
        /// The value, and what was expected.
        message: String,
    },
}

impl NodeState {
    /// Reads a file, JSON or TOML by its extension, else by its content.
    pub fn load(path: &Path) -> Result<Self, StateError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &name),
            Err(source) => Err(StateError::Read { name, source }),
        }
    }

    /// Reads `text`; `name` is the file's, for the format and for errors.
    pub fn parse(text: &str, name: &str) -> Result<Self, StateError> {
        let extension =
            Path::new(name).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let is_json = match extension.to_ascii_lowercase().as_str() {
            "json" => true,
            "toml" => false,
            _ => text.trim_start().starts_with('{'),
        };
        if is_json { Self::parse_json(text, name) } else { Self::parse_toml(text, name) }
    }

    fn parse_json(text: &str, name: &str) -> Result<Self, StateError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let state = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let key = error.path().to_string();
            let inner = error.into_inner();
            if inner.is_data() {
                value_error(name, key, inner.to_string())
            } else {
                json_syntax(name, &inner)
            }
        })?;
        deserializer.end().map_err(|error| json_syntax(name, &error))?;
        Ok(state)
    }

    fn parse_toml(text: &str, name: &str) -> Result<Self, StateError> {
        let deserializer = toml::Deserializer::parse(text).map_err(|error| {
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            StateError::Syntax { name: name.to_owned(), line, column, message: error.message().to_owned() }
        })?;
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let key = error.path().to_string();
            let inner = error.into_inner();
            let place = inner.span().map(|span| position(text, span.start));
            let place =
                place.map(|(line, column)| format!(" at line {line} column {column}")).unwrap_or_default();
            value_error(name, key, format!("{}{place}", inner.message()))
        })
    }
}

fn value_error(name: &str, key: String, message: String) -> StateError {
    StateError::Value { name: name.to_owned(), key, message }
}

fn json_syntax(name: &str, error: &serde_json::Error) -> StateError {
    let message = error.to_string();
    // serde_json ends its message with the position, which stands before it here.
    let message =
        message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message).to_owned();
    StateError::Syntax { name: name.to_owned(), line: error.line(), column: error.column(), message }
}

/// Line and column, from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, str::len) + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
