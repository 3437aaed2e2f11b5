//! The kernel's state over netlink against what iproute2 prints of it, in network namespaces with one of everything.
//!
//! Needs root and Debian's iproute2, and fails without; `PACKETWALK_SKIP_PRIVILEGED=1` leaves it out, but not where
//! CI=true.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod netlink {
    pub(crate) mod iproute;
    pub(crate) mod namespace;
}

use std::process::Command;

use netlink::iproute::{self, differences};
use netlink::namespace::{Namespace, privileged_tests_run};
use packetwalk_control::netlink::snapshot;
use packetwalk_control::state::{NodeState, Ttl};

const EVERYTHING: &str = include_str!("netlink/everything.sh");

/// A namespace with one of everything, and the one that the far end of its `eth0` is in.
fn everything() -> [Namespace; 2] {
    let [here, there] = [Namespace::create(), Namespace::create()];
    here.run(&["sh", "-c", EVERYTHING, "everything.sh", &there.name]);
    [here, there]
}

/// Neighbours and bridges age between two looks, so several pairs are taken: one must be equal.
fn assert_equal(namespace: &Namespace, netlink: impl Fn() -> NodeState) {
    let mut found = Vec::new();
    for _ in 0..10 {
        let mut netlink = netlink();
        let iproute2 = iproute::state(namespace);
        iproute::sort(&mut netlink);
        iproute::forget_what_iproute2_leaves_out(&mut netlink);
        found = differences(&netlink, &iproute2);
        if found.is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{}", found.join("\n"));
}

#[test]
fn netlink_and_iproute2_tell_the_same() {
    if !privileged_tests_run() {
        return;
    }
    let [here, _there] = everything();
    assert_equal(&here, || here.enter(|| snapshot().expect("the kernel answers").node_state()));

    let state = here.enter(|| snapshot().expect("the kernel answers").node_state());
    let link = |name: &str| state.addr.iter().find(|link| link.ifname == name).expect("a link");
    assert_eq!(link("vx1").linkinfo.info_data.ttl, Some(Ttl::Inherit));
    // Had the script added nothing, all would be equal, too.
    let rules = state.rule.map_or(0, |rules| rules.len());
    let counts =
        [state.addr.len(), state.route.len(), rules, state.neigh.len(), state.fdb.len(), state.nexthop.len()];
    let least = [20, 60, 20, 5, 10, 10];
    assert!(counts.iter().zip(least).all(|(count, least)| *count >= least), "{counts:?}");
}

#[test]
fn the_snapshot_is_read_back_as_iproute2_tells_it() {
    if !privileged_tests_run() {
        return;
    }
    let [here, _there] = everything();
    assert_equal(&here, || {
        let printed = here.run(&[env!("CARGO_BIN_EXE_packetwalk"), "snapshot"]);
        NodeState::parse(&printed, "snapshot.json").expect("a state")
    });
}

#[test]
fn a_snapshot_needs_no_privileges() {
    if !privileged_tests_run() {
        return;
    }
    let namespace = Namespace::create();
    let printed = Command::new("ip")
        .args([
            "netns",
            "exec",
            &namespace.name,
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ])
        .args([env!("CARGO_BIN_EXE_packetwalk"), "snapshot"])
        .output()
        .expect("ip runs");
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let state =
        NodeState::parse(&String::from_utf8_lossy(&printed.stdout), "snapshot.json").expect("a state");
    assert_eq!(state.addr.len(), 1, "{state:?}");
}
