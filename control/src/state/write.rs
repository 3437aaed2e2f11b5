//! The state as a file: what [`NodeState::parse`] reads, one object a line, so that two files can be compared.

use super::NodeState;
use serde::Serialize;
use std::io::{self, Write};

impl NodeState {
    /// Writes the state as JSON under iproute2's keys. What is read back is equal.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"{\n")?;
        list(out, "addr", &self.addr)?;
        list(out, ",route", &self.route)?;
        if let Some(rules) = &self.rule {
            list(out, ",rule", rules)?;
        }
        if let Some(rules) = &self.rule6 {
            list(out, ",rule6", rules)?;
        }
        list(out, ",neigh", &self.neigh)?;
        list(out, ",fdb", &self.fdb)?;
        list(out, ",nexthop", &self.nexthop)?;
        list(out, ",netconf", &self.netconf)?;
        out.write_all(b"}\n")
    }
}

/// One key of the file; all but the first begin with a comma.
fn list<T: Serialize>(out: &mut impl Write, key: &str, entries: &[T]) -> io::Result<()> {
    let (comma, key) = key.strip_prefix(',').map_or(("", key), |key| (",", key));
    write!(out, "{comma}\"{key}\": [")?;
    let mut separator = "\n  ";
    for entry in entries {
        out.write_all(separator.as_bytes())?;
        serde_json::to_writer(&mut *out, entry)?;
        separator = ",\n  ";
    }
    out.write_all(b"\n]\n")
}
