//! The report of a replay against the recording: every frame is accounted for, and the named outcomes
//! are those that the kernel's own frames tell of.

use std::collections::BTreeMap;

use serde_json::Value;

use super::packet::{Ipv4, View};
use super::recording::{Recording, Replayed};

/// What is wrong with the report, one line each.
pub(crate) fn faults(recording: &Recording, replayed: &Replayed) -> Vec<String> {
    let report = &replayed.report;
    let mut faults = Vec::new();
    let mut expect = |what: &str, expected: u64, found: u64| {
        if expected != found {
            faults.push(format!("{what}: {found} in the report instead of {expected}"));
        }
    };
    let outcome = |name: &str| count(&report["outcome"][name]);

    expect("rx", recording.received.len() as u64, outcome("rx"));
    let ended = ["forwarded", "answered", "punted", "dropped"].map(outcome).iter().sum();
    expect("forwarded + answered + punted + dropped", outcome("rx"), ended);
    expect("dropped", total(&report["drop"]), outcome("dropped"));
    expect("punted", total(&report["punt"]), outcome("punted"));
    expect("punted frames written", replayed.punted.len() as u64, outcome("punted"));
    let sent = outcome("forwarded") + outcome("answered") + total(&report["originated"]);
    expect("frames written", replayed.sent.len() as u64, sent);

    // Who was told why: the kernel's errors about what it did not forward name the drops.
    let mut told = BTreeMap::<&str, u64>::new();
    for error in recording.sent.iter().filter_map(|frame| frame.view().innermost()) {
        if let Some(reason) = reason_of(recording, error) {
            *told.entry(reason).or_default() += 1;
        }
    }
    for (reason, expected) in told {
        let found = reason.split('+').map(|name| count(&report["drop"][name])).sum();
        expect(reason, expected, found);
    }

    // And what was punted is what the node itself takes part in.
    let mut taken = BTreeMap::<&str, u64>::new();
    for frame in &replayed.punted {
        *taken.entry(punt_of(recording, View(&frame.bytes))).or_default() += 1;
    }
    for (reason, expected) in taken {
        expect(reason, expected, count(&report["punt"][reason]));
    }
    faults
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn total(reasons: &Value) -> u64 {
    reasons.as_object().map_or(0, |reasons| reasons.values().map(count).sum())
}

/// Which drop an ICMP error of this node stands for. A rule of type unreachable and a missing route
/// share a code.
fn reason_of(recording: &Recording, error: Ipv4<'_>) -> Option<&'static str> {
    let quoted = error.quoted().filter(|_| recording.node.owns(error.source()))?;
    if recording.node.owns(quoted.destination()) {
        return None;
    }
    match error.icmp()? {
        (11, 0) => Some("ttl_expired"),
        (3, 4) => Some("mtu_exceeded"),
        (3, 13) => Some("prohibit"),
        (3, 0 | 1) => Some("no_route+unreachable+neighbour_unresolved"),
        _ => None,
    }
}

/// What a punted frame should have been punted as. What a bridge has to flood is the bridge's, whatever
/// is in it; a punted frame does not name its port, but the same frame among those received does.
fn punt_of(recording: &Recording, frame: View<'_>) -> &'static str {
    let flooded = frame.is_to_a_group()
        && recording
            .received
            .iter()
            .any(|received| received.frame.bytes == frame.0 && recording.node.is_bridged(&received.port));
    let ours = match (frame.arp(), frame.innermost()) {
        (Some(arp), _) => arp.operation == 2 && recording.node.owns(arp.target),
        (None, Some(packet)) if packet.destination().is_multicast() && !flooded => return "multicast",
        (None, Some(packet)) => frame.is_to_a_group() || recording.node.owns(packet.destination()),
        (None, None) => false,
    };
    if ours && !flooded { "local" } else { "bridge" }
}
