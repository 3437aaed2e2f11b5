//! The kernel as the referee: what `scripts/record-kernel` recorded of real traffic on real nodes,
//! walked by `packetwalk replay`, must leave as the kernel sent it.
//!
//! `recorded_*` walk the small recordings under `pcap-fixtures/kernel`, with no privileges. `live`
//! makes new ones, at full size and on the kernel at hand. It needs root and Debian's iproute2, ethtool,
//! iputils-ping, tcpdump and iperf3, and fails without; `PACKETWALK_SKIP_PRIVILEGED=1` leaves
//! it out, but not where CI=true.

#![allow(clippy::panic, reason = "a comparison that cannot go on has failed")]

mod common;
mod kernel {
    pub(crate) mod compare;
    pub(crate) mod explain;
    mod packet;
    pub(crate) mod recording;
    pub(crate) mod report;
}

use std::path::{Path, PathBuf};
use std::process::Command;

use kernel::compare::{Seen, compare};
use kernel::explain::Reason;
use kernel::recording::Recording;
use kernel::report;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("control/ lies in the repository").to_owned()
}

/// Walks both nodes of a scenario; every difference of either is in the message.
fn judge(recordings: &Path, scenario: &str, kind: &str) -> Vec<Seen> {
    let mut faults = Vec::new();
    let mut seen = Vec::new();
    for name in ["a", "b"] {
        let recording = Recording::read(&recordings.join(scenario).join(name));
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kernel-{kind}-{scenario}-{name}"));
        let replayed = recording.replay(&output);
        match compare(&recording, &replayed) {
            Ok(node) => {
                println!("{scenario}/{name}: {node:#?}");
                seen.push(node);
            }
            Err(fault) => faults.push(format!("{scenario}/{name}: {fault}")),
        }
        faults.extend(
            report::faults(&recording, &replayed).iter().map(|fault| format!("{scenario}/{name}: {fault}")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    seen
}

fn recorded(scenario: &str) -> Vec<Seen> {
    judge(&repository().join("pcap-fixtures/kernel"), scenario, "recorded")
}

/// Makes new recordings of every scenario, unless that is left out.
fn record() -> Option<PathBuf> {
    if common::privileged::is_left_out("replay against the kernel at hand") {
        return None;
    }
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernel-live");
    let _ = std::fs::remove_dir_all(&output);
    let done = Command::new(repository().join("scripts/record-kernel"))
        .arg("--output")
        .arg(&output)
        .output()
        .expect("scripts/record-kernel runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{said}Run as root, or leave this test out with PACKETWALK_SKIP_PRIVILEGED=1."
    );
    Some(output)
}

/// A recording in which nothing happened would agree with any walk.
fn exercised_vxlan(nodes: &[Seen]) {
    for node in nodes {
        assert!(node.entered_tunnel > 50 && node.dscp_or_ce_copied > 10, "{node:#?}");
        assert!(
            node.fragments > 10 && node.errors.get(&(3, 4)).is_some_and(|count| *count >= 6),
            "{node:#?}"
        );
        assert!(node.errors.contains_key(&(11, 0)) && node.errors.contains_key(&(3, 0)), "{node:#?}");
        assert!(node.explained.contains_key(&Reason::EchoReply), "{node:#?}");
    }
}

fn exercised_routed(nodes: &[Seen]) {
    for node in nodes {
        assert!(
            node.fragments > 10 && node.errors.get(&(3, 4)).is_some_and(|count| *count >= 6),
            "{node:#?}"
        );
        assert!(node.errors.get(&(11, 0)).is_some_and(|count| *count >= 10), "{node:#?}");
        assert!(node.explained.contains_key(&Reason::EchoReply), "{node:#?}");
    }
}

fn exercised_policy(nodes: &[Seen]) {
    exercised_routed(nodes);
    for code in [0, 1, 13] {
        assert!(nodes[0].errors.contains_key(&(3, code)), "no 3/{code}: {:#?}", nodes[0]);
    }
}

#[test]
fn recorded_vxlan() {
    exercised_vxlan(&recorded("vxlan"));
}

#[test]
fn recorded_routed() {
    exercised_routed(&recorded("routed"));
}

#[test]
fn recorded_policy() {
    exercised_policy(&recorded("policy"));
}

#[test]
fn live() {
    if let Some(recordings) = record() {
        exercised_vxlan(&judge(&recordings, "vxlan", "live"));
        exercised_routed(&judge(&recordings, "routed", "live"));
        exercised_policy(&judge(&recordings, "policy", "live"));
    }
}
