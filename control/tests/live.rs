//! The kernel's state on its way to workers: in steps that wait for them, and with next hops that the kernel resolves
//! because it is asked to.
//!
//! Needs root and iproute2, and fails without; `PACKETWALK_SKIP_PRIVILEGED=1` leaves it out, but not where CI=true.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "netlink/namespace.rs"]
mod namespace;

use namespace::{Namespace, privileged_tests_run};
use packetwalk_control::config::Config;
use packetwalk_control::live::{Live, LiveSettings};
use packetwalk_walk::Tables;
use packetwalk_walk::tables::{Action, HopId, RuleAction};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A node whose `v0` has 10.0.0.1, and behind it a namespace with 10.0.0.2 to 10.0.0.4.
fn pair() -> [Namespace; 2] {
    let [here, there] = [Namespace::create(), Namespace::create()];
    here.shell(&format!(
        "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
         ip link set lo up; ip link add v0 type veth peer name far netns {0}
         ip addr add 10.0.0.1/24 dev v0
         for host in 2 3 4; do ip -n {0} addr add 10.0.0.$host/24 dev far; done
         ip -n {0} link set far up; ip link set v0 up",
        there.name
    ));
    // Carrier comes a moment after the link.
    std::thread::sleep(Duration::from_millis(300));
    [here, there]
}

fn open() -> Live {
    Live::open(Config::default(), LiveSettings::default()).expect("the kernel answers")
}

/// What the first rule that knows `address` has workers do.
fn action(tables: &Tables, address: &str) -> Action {
    let address = u32::from(address.parse::<Ipv4Addr>().expect("an address"));
    let fibs = tables.ipv4.rules.iter().filter_map(|rule| match rule.action {
        RuleAction::Lookup(fib) => Some(&tables.ipv4.fibs[usize::from(fib.0)]),
        RuleAction::Hop(_) => None,
    });
    let hop = fibs.map(|fib| fib.lookup(address)).find(|hop| *hop != 0).unwrap_or(0);
    let id = HopId(hop).resolve().expect("no group");
    tables.adjacencies[id.index()].action.clone()
}

fn is_routed(action: &Action) -> bool {
    !matches!(action, Action::Refuse { .. })
}

/// Follows until `is_done`, for ten seconds at most.
fn follow(live: &mut Live, is_done: impl Fn(&Live) -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_done(live) {
        assert!(Instant::now() < end, "it does not come: {:?}", live.stalled());
        let deadline = live.deadline().map_or(end, |deadline| deadline.min(end));
        let wait = deadline.saturating_duration_since(Instant::now());
        let wait = Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() };
        poll(&mut [PollFd::new(&*live, PollFlags::IN)], Some(&wait)).expect("it can be waited for");
        live.step().expect("the kernel answers");
    }
}

#[test]
fn a_worker_that_does_not_come_round_holds_up_what_is_new_and_is_named() {
    if !privileged_tests_run() {
        return;
    }
    let [here, _there] = pair();
    here.shell(
        "ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0; ip route add 10.20.0.0/24 via 10.0.0.9",
    );
    here.enter(|| {
        let mut live = open();
        let mut worker = live.reader("worker 3");
        let mut sleeper = live.reader("worker 4");
        let asleep = sleeper.offline();

        here.shell(
            "ip neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 dev v0; ip route add 10.21.0.0/24 via 10.0.0.8",
        );
        follow(&mut live, |live| live.stalled() == ["worker 3"]);
        // It still has what it had, whatever else happens.
        here.shell("ip route add 10.22.0.0/24 via 10.0.0.8; ip route del 10.20.0.0/24");
        live.step().expect("the kernel answers");
        let tables = worker.load(live.published());
        assert!(is_routed(&action(tables, "10.20.0.1")));
        assert!(!is_routed(&action(tables, "10.21.0.1")) && !is_routed(&action(tables, "10.22.0.1")));

        worker.quiescent();
        follow(&mut live, |live| live.stalled().is_empty() && is_routed(&action(live.tables(), "10.21.0.1")));
        // What waited in the kernel's queue comes next, and waits for the worker again.
        worker.quiescent();
        let asleep_too = worker.offline();
        follow(&mut live, |live| !is_routed(&action(live.tables(), "10.20.0.1")));
        drop((asleep, asleep_too));
        let (woken, other) = (worker.load(live.published()), sleeper.load(live.published()));
        for tables in [woken, other] {
            assert!(is_routed(&action(tables, "10.21.0.1")) && is_routed(&action(tables, "10.22.0.1")));
            assert!(!is_routed(&action(tables, "10.20.0.1")));
        }
    });
}

#[test]
fn next_hops_are_resolved_because_the_kernel_is_asked() {
    if !privileged_tests_run() {
        return;
    }
    let [here, _there] = pair();
    here.shell("ip route add 10.20.0.0/24 via 10.0.0.2; ip route add 10.0.0.4 dev v0");
    here.enter(|| {
        let mut live = open();
        let is_sent =
            |live: &Live, address: &str| matches!(action(live.tables(), address), Action::Send { .. });
        // Those that were there, a gateway and a host ...
        follow(&mut live, |live| is_sent(live, "10.20.0.1") && is_sent(live, "10.0.0.4"));
        // ... one that comes, and one that is lost.
        here.shell("ip route add 10.21.0.0/24 via 10.0.0.3; ip neigh flush dev v0 10.0.0.2");
        follow(&mut live, |live| is_sent(live, "10.21.0.1"));
        follow(&mut live, |live| is_sent(live, "10.20.0.1"));
        assert!(live.findings().is_empty(), "{:?}", live.findings());
        // Nobody has 10.0.0.99; the rest goes on.
        here.shell("ip route add 10.22.0.0/24 via 10.0.0.99; ip route add 10.23.0.0/24 via 10.0.0.3");
        follow(&mut live, |live| is_sent(live, "10.23.0.1"));
        assert!(!is_sent(&live, "10.22.0.1"));
    });
}

#[test]
fn after_an_error_everything_is_read_again_while_workers_keep_what_they_have() {
    if !privileged_tests_run() {
        return;
    }
    let [here, _there] = pair();
    here.shell(
        "ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0; ip route add 10.20.0.0/24 via 10.0.0.9",
    );
    here.enter(|| {
        let mut live = open();
        let mut worker = live.reader("worker 0");
        here.shell("ip route del 10.20.0.0/24; ip route add 10.21.0.0/24 via 10.0.0.9");
        let (before, generation) = (live.tables().generation, live.batches());
        let published = Arc::clone(live.published());
        let kept = worker.load(&published);
        live.reopen().expect("the kernel answers");
        assert!(is_routed(&action(kept, "10.20.0.1")) && !is_routed(&action(kept, "10.21.0.1")));
        worker.quiescent();
        let now = worker.load(&published);
        assert!(!is_routed(&action(now, "10.20.0.1")) && is_routed(&action(now, "10.21.0.1")));
        assert!(live.tables().generation > before && live.batches() > generation);
        // It goes on from there.
        here.shell("ip route add 10.22.0.0/24 via 10.0.0.9");
        let asleep = worker.offline();
        follow(&mut live, |live| is_routed(&action(live.tables(), "10.22.0.1")));
        drop(asleep);
    });
}
