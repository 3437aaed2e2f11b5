//! Each folder of `pcap-fixtures/` replayed by the binary: what it sends, punts and reports must be
//! what the folder says, byte for byte but for the free fields.
//!
//! The folders are written by `pcap-fixtures/build.py`; a deliberate change is made there.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Comparison, Frame, own_addresses, read};
use serde_json::Value;

macro_rules! fixtures {
    ($($test:ident: $folder:literal,)+) => {
        $(
            #[test]
            fn $test() {
                replays_as_expected($folder);
            }
        )+

        const TESTED: &[&str] = &[$($folder),+];
    };
}

fixtures! {
    calico_bgp: "calico-bgp",
    calico_crosssubnet_ipip: "calico-crosssubnet/ipip",
    calico_crosssubnet_native: "calico-crosssubnet/native",
    calico_crosssubnet_vxlan: "calico-crosssubnet/vxlan",
    calico_ipip_always: "calico-ipip-always",
    calico_ipip_routed_node_121: "calico-ipip-routed/node-121",
    calico_ipip_routed_node_122: "calico-ipip-routed/node-122",
    cilium_direct: "cilium-direct",
    cilium_vxlan: "cilium-vxlan",
    flannel_vxlan: "flannel-vxlan",
    kube_router: "kube-router",
}

#[test]
fn every_folder_has_a_test() {
    let mut folders = BTreeSet::new();
    collect_fixtures(&root(), &mut folders);
    let tested: BTreeSet<PathBuf> = TESTED.iter().map(|folder| root().join(folder)).collect();
    assert_eq!(folders, tested);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcap-fixtures")
}

fn collect_fixtures(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_fixtures(&path, found);
        } else if path.file_name().is_some_and(|name| name == "report.json") {
            found.insert(folder.to_path_buf());
        }
    }
}

fn replays_as_expected(name: &str) {
    let folder = root().join(name);
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures").join(name);
    let _ = fs::remove_dir_all(&output);
    fs::create_dir_all(output.join("tx")).unwrap();
    replay(&folder, &output);

    let comparison = Comparison::of_node(own_addresses(&state_of(&folder)));
    let mut complaints = Vec::new();
    complaints.extend(sent_as_expected(&comparison, &folder, &output));
    complaints.extend(punted_as_expected(&folder, &output));
    complaints.extend(reported_as_expected(&folder, &output));
    assert!(complaints.is_empty(), "{name} (its README.md numbers the cases)\n{}", complaints.join("\n"));
}

fn state_of(folder: &Path) -> PathBuf {
    let json = folder.join("state.json");
    if json.exists() { json } else { folder.join("state.toml") }
}

/// Runs the binary as a user would. Ports are named in alphabetical order, which settles ties.
fn replay(folder: &Path, output: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_packetwalk"));
    command.arg("replay").arg("--state").arg(state_of(folder));
    if folder.join("config.toml").exists() {
        command.arg("--config").arg(folder.join("config.toml"));
    }
    for port in ports_in(&folder.join("rx")) {
        let mut option = OsString::from(format!("{port}="));
        option.push(capture_of(&folder.join("rx"), &port));
        command.arg("--rx").arg(option);
    }
    command.arg("--tx").arg(output.join("tx"));
    command.arg("--json").arg(output.join("report.json"));
    command.arg("--punt").arg(output.join("punt.pcap"));
    let run = command.output().unwrap();
    assert!(run.status.success(), "{command:?}: {}\n{}", run.status, String::from_utf8_lossy(&run.stderr));
}

/// The ports that a folder holds captures of, in alphabetical order.
fn ports_in(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.strip_suffix(".pcap").unwrap_or(&name).to_owned())
        .collect()
}

fn capture_of(folder: &Path, port: &str) -> PathBuf {
    folder.join(format!("{port}.pcap"))
}

fn sent_as_expected(comparison: &Comparison, folder: &Path, output: &Path) -> Vec<String> {
    let (folder, output) = (folder.join("tx"), output.join("tx"));
    let (expected, actual) = (ports_in(&folder), ports_in(&output));
    let mut complaints = Vec::new();
    for port in &expected | &actual {
        let frames_of = |folder: &Path, ports: &BTreeSet<String>| -> Vec<Frame> {
            if ports.contains(&port) { read(&capture_of(folder, &port)) } else { Vec::new() }
        };
        let (expected, actual) = (frames_of(&folder, &expected), frames_of(&output, &actual));
        if let Err(differences) = comparison.in_order(&expected, &actual) {
            complaints.push(format!("sent by {port}: {differences}"));
        } else if let Some(number) = mistimed(&expected, &actual) {
            complaints.push(format!("sent by {port}: frame {number} is not stamped with the virtual time"));
        }
    }
    complaints
}

/// The number of the first frame whose time is not the one expected.
fn mistimed(expected: &[Frame], actual: &[Frame]) -> Option<usize> {
    expected
        .iter()
        .zip(actual)
        .position(|(expected, actual)| expected.time != actual.time)
        .map(|index| index + 1)
}

/// Punted frames go to the kernel as they came: nothing in them is free.
fn punted_as_expected(folder: &Path, output: &Path) -> Option<String> {
    let frames_of = |folder: &Path| {
        let capture = folder.join("punt.pcap");
        if capture.exists() { read(&capture) } else { Vec::new() }
    };
    let nothing_free = Comparison::of_node(Vec::new());
    let differences = nothing_free.in_order(&frames_of(folder), &frames_of(output)).err()?;
    Some(format!("punted: {differences}"))
}

fn reported_as_expected(folder: &Path, output: &Path) -> Vec<String> {
    let report_of = |folder: &Path| -> Value {
        serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap()
    };
    let (expected, actual) = (report_of(folder), report_of(output));
    let mut complaints = Vec::new();
    for section in ["outcome", "drop", "punt", "originated", "note"] {
        if expected[section] != actual[section] {
            complaints.push(format!(
                "report: {section}\n  expected {}\n  reported {}",
                expected[section], actual[section]
            ));
        }
    }
    // A port of the state that neither received nor sent may be reported, or not.
    for (port, counters) in expected["ports"].as_object().unwrap() {
        if *counters != actual["ports"][port] {
            complaints
                .push(format!("report: {port}\n  expected {counters}\n  reported {}", actual["ports"][port]));
        }
    }
    complaints
}
