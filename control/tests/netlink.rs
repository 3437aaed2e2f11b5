//! The kernel's state over netlink against what iproute2 prints of it, in network namespaces with one of everything.
//!
//! Needs root and Debian's iproute2, and fails without; `PACKETWALK_SKIP_PRIVILEGED=1` leaves it out, but not where
//! CI=true.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod netlink {
    pub(crate) mod churn;
    pub(crate) mod iproute;
    pub(crate) mod namespace;
    mod neighbours;
    pub(crate) mod scale;
}

use std::process::Command;
use std::time::{Duration, Instant};

use netlink::churn::Churn;
use netlink::iproute::{self, differences};
use netlink::namespace::{Namespace, privileged_tests_run};
use netlink::scale::with_batches;
use packetwalk_control::netlink::{Family, FollowSettings, Follower, snapshot};
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

/// Takes in what there is, until nothing has come for a while.
fn catch_up(follower: &mut Follower) {
    let started = Instant::now();
    let mut calm_since = Instant::now();
    while calm_since.elapsed() < Duration::from_millis(200) || follower.is_behind() {
        if !follower.wait(Duration::from_millis(50)).expect("the kernel answers").is_empty() {
            calm_since = Instant::now();
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it never ends");
    }
}

/// What the follower holds is what iproute2 prints.
fn assert_followed(namespace: &Namespace, follower: &mut Follower, when: &str) {
    let mut found = Vec::new();
    for _ in 0..10 {
        catch_up(follower);
        let mut iproute2 = iproute::state(namespace);
        let mut followed = follower.state();
        for state in [&mut followed, &mut iproute2] {
            iproute::forget_what_is_not_announced(state);
            iproute::forget_what_iproute2_leaves_out(state);
            iproute::sort(state);
        }
        found = differences(&followed, &iproute2);
        // Neighbours come and go by themselves between two looks.
        if found.is_empty() {
            return;
        }
    }
    panic!("{when}: {:?}\n{}", follower.counters(), found.join("\n"));
}

/// Runs a script inside while the follower follows.
fn follow_script(namespace: &Namespace, follower: &mut Follower, script: &str) {
    std::thread::scope(|scope| {
        let running = scope.spawn(|| namespace.shell(script));
        while !running.is_finished() {
            follower.wait(Duration::from_millis(5)).expect("the kernel answers");
        }
    });
}

#[test]
fn what_is_followed_through_random_changes_is_what_iproute2_prints() {
    if !privileged_tests_run() {
        return;
    }
    let [here, _there] = everything();
    let seed = std::env::var("PACKETWALK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let rounds = std::env::var("PACKETWALK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12);
    let mut churn = Churn::new(seed);
    here.enter(|| {
        let mut follower = Follower::open(FollowSettings::default()).expect("the kernel answers");
        for round in 0..rounds {
            let script = churn.script(100);
            follow_script(&here, &mut follower, &script);
            assert_followed(&here, &mut follower, &format!("seed {seed}, round {round}:\n{script}"));
        }
        println!("{:?}", follower.counters());
        assert_eq!((follower.counters().overruns, follower.counters().malformed), (0, 0));
    });
}

#[test]
fn twenty_thousand_routes_replaced_while_nobody_reads_are_caught_up_with() {
    if !privileged_tests_run() {
        return;
    }
    let (here, [one, other]) = with_batches(20_000);
    here.enter(|| {
        here.shell(&one);
        let mut follower =
            Follower::open(FollowSettings { receive_buffer: 212_992 }).expect("the kernel answers");
        here.shell(&other);
        assert_followed(&here, &mut follower, "behind a small buffer");
        assert!(follower.counters().overruns > 0, "{:?}", follower.counters());

        let mut follower = Follower::open(FollowSettings::default()).expect("the kernel answers");
        here.shell(&one);
        assert_followed(&here, &mut follower, "behind a large buffer");
        assert_eq!(follower.counters().overruns, 0, "{:?}", follower.counters());
        assert!(follower.findings().is_empty(), "{:?}", follower.findings());
    });
}

#[test]
fn routes_that_go_without_a_message_are_missed() {
    if !privileged_tests_run() {
        return;
    }
    let (here, [one, _]) = with_batches(50);
    here.enter(|| {
        here.shell(&one);
        let mut follower = Follower::open(FollowSettings::default()).expect("the kernel answers");
        let routes = |follower: &Follower| follower.store().prefix_count(Family::Ipv4);
        assert!(routes(&follower) > 50);
        for (change, least, most) in [
            ("ip link set v0far down", 51, 99),
            ("ip link set v0far up", 51, 99),
            ("ip link set v0 down", 0, 49),
            ("ip link set v0 up; ip route add 10.9.0.0/16 via 10.0.0.9", 0, 49),
            ("ip addr del 10.0.0.1/24 dev v0", 0, 49),
            ("ip link del v0", 0, 49),
        ] {
            here.shell(change);
            assert_followed(&here, &mut follower, change);
            let routes = routes(&follower);
            assert!((least..=most).contains(&routes), "{change}: {routes} routes");
        }
    });
}

/// The kernel acts upon carrier up to a second after it shows it (at once on a veth, which has a link below it): what it
/// shows in between says nothing of next hops.
#[test]
fn next_hops_without_carrier_are_seen_when_the_kernel_sees_them() {
    if !privileged_tests_run() {
        return;
    }
    let here = Namespace::create();
    here.shell(
        "ip link set lo up; ip link add v0 type veth peer name v0far; ip link add br0 type bridge forward_delay 0
         for link in v0 v0far br0; do ip link set $link up; done; ip link set v0 master br0
         ip addr add 10.0.0.1/24 dev br0; ip route add 10.9.0.0/16 via 10.0.0.9",
    );
    here.enter(|| {
        let mut follower = Follower::open(FollowSettings::default()).expect("the kernel answers");
        for (number, change) in ["down", "up", "down", "up", "down", "up"].iter().enumerate() {
            // A message about the link, sent before the kernel has acted.
            let script = format!("ip link set v0far {change}; ip link set br0 alias a{number}");
            follow_script(&here, &mut follower, &script);
            let started = Instant::now();
            let is_seen = |state: &NodeState| {
                state.route.iter().any(|route| route.flags.linkdown) == (*change == "down")
            };
            while !is_seen(&iproute::state(&here)) {
                follower.wait(Duration::from_millis(10)).expect("the kernel answers");
                assert!(started.elapsed() < Duration::from_secs(10), "the kernel never acts upon {script}");
            }
            assert_followed(&here, &mut follower, &script);
            assert!(is_seen(&follower.state()), "{script}");
        }
    });
}
