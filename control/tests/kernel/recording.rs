//! A recording of `scripts/record-kernel`, and what packetwalk makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::packet::View;
use crate::common::{Frame, own_addresses, read};

/// A frame, and the port that it passed.
pub(crate) struct Passed {
    pub(crate) port: String,
    pub(crate) frame: Frame,
}

impl Passed {
    pub(crate) fn view(&self) -> View<'_> {
        View(&self.frame.bytes)
    }
}

/// One node of one scenario, as the kernel had it.
pub(crate) struct Recording {
    directory: PathBuf,
    pub(crate) node: Node,
    pub(crate) received: Vec<Passed>,
    pub(crate) sent: Vec<Passed>,
}

/// What `packetwalk replay` did with the same frames.
pub(crate) struct Replayed {
    pub(crate) sent: Vec<Passed>,
    pub(crate) punted: Vec<Frame>,
    pub(crate) report: Value,
}

/// What the comparison has to know of a node.
pub(crate) struct Node {
    pub(crate) addresses: Vec<Ipv4Addr>,
    /// Next hops that the kernel asked for in vain.
    pub(crate) unresolved: BTreeSet<Ipv4Addr>,
    /// Which bridge a port is a member of.
    bridge_of: BTreeMap<String, String>,
}

impl Node {
    fn read(file: &Path) -> Self {
        let text = fs::read(file).unwrap_or_else(|fault| panic!("{}: {fault}", file.display()));
        let state: Value = serde_json::from_slice(&text).expect("the state is JSON");
        let entries = |key: &str| state[key].as_array().map_or(&[][..], Vec::as_slice).iter();
        let name = |link: &Value, key: &str| link[key].as_str().map(str::to_owned);
        Self {
            addresses: own_addresses(file),
            unresolved: entries("neigh")
                .filter(|neighbour| neighbour["lladdr"].is_null())
                .filter_map(|neighbour| neighbour["dst"].as_str()?.parse().ok())
                .collect(),
            bridge_of: entries("addr")
                .filter_map(|link| Some((name(link, "ifname")?, name(link, "master")?)))
                .collect(),
        }
    }

    pub(crate) fn owns(&self, address: Ipv4Addr) -> bool {
        self.addresses.contains(&address)
    }

    pub(crate) fn share_a_bridge(&self, one: &str, other: &str) -> bool {
        let bridge = self.bridge_of.get(one);
        one != other && bridge.is_some() && bridge == self.bridge_of.get(other)
    }

    pub(crate) fn is_bridged(&self, port: &str) -> bool {
        self.bridge_of.contains_key(port)
    }
}

impl Recording {
    pub(crate) fn read(directory: &Path) -> Self {
        Self {
            node: Node::read(&directory.join("state.json")),
            received: captures(&directory.join("in")),
            sent: captures(&directory.join("out")),
            directory: directory.to_owned(),
        }
    }

    /// Runs the program itself, as anybody would.
    pub(crate) fn replay(&self, output: &Path) -> Replayed {
        let _ = fs::remove_dir_all(output);
        fs::create_dir_all(output.join("tx")).expect("an output folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_packetwalk"));
        command.arg("replay").arg("--state").arg(self.directory.join("state.json"));
        for file in capture_files(&self.directory.join("in")) {
            command.arg("--rx").arg(format!("{}={}", stem(&file), file.display()));
        }
        let (report, punt) = (output.join("report.json"), output.join("punt.pcap"));
        command.arg("--tx").arg(output.join("tx")).arg("--json").arg(&report).arg("--punt").arg(&punt);
        let done = command.output().expect("packetwalk runs");
        assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        Replayed {
            sent: captures(&output.join("tx")),
            punted: if punt.exists() { read(&punt) } else { Vec::new() },
            report: serde_json::from_slice(&fs::read(&report).expect("a report"))
                .expect("the report is JSON"),
        }
    }
}

fn stem(file: &Path) -> String {
    file.file_stem().expect("a file name").to_string_lossy().into_owned()
}

fn capture_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|fault| panic!("{}: {fault}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a folder that can be read").path()).collect();
    files.sort();
    files
}

fn captures(directory: &Path) -> Vec<Passed> {
    let of_port = |file: &PathBuf| {
        let port = stem(file);
        read(file).into_iter().map(move |frame| Passed { port: port.clone(), frame })
    };
    capture_files(directory).iter().flat_map(of_port).collect()
}
