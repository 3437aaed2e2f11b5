//! Neighbours that the kernel resolves and keeps because it is asked to.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use packetwalk_control::neighbours::{Key, Pace, Solicitations};
use packetwalk_control::netlink::{Certainty, FollowSettings, Follower, Neighbour, Solicitor, Store};
use rustix::thread::CapabilitySet;

use crate::netlink::namespace::{Namespace, privileged_tests_run};

/// A namespace whose `v0` has 10.0.0.1 and `fd00::1`, and the one behind it, with 10.0.0.2, 10.0.0.3 and `fd00::2`.
fn pair() -> [Namespace; 2] {
    let [here, there] = [Namespace::create(), Namespace::create()];
    here.shell(&format!(
        "ip link set lo up; ip link add v0 type veth peer name far netns {0}
         ip addr add 10.0.0.1/24 dev v0; ip addr add fd00::1/64 dev v0 nodad
         ip -n {0} addr add 10.0.0.2/24 dev far; ip -n {0} addr add 10.0.0.3/24 dev far
         ip -n {0} addr add fd00::2/64 dev far nodad; ip -n {0} link set far up; ip link set v0 up",
        there.name
    ));
    [here, there]
}

fn key(follower: &Follower, address: &str) -> Key {
    (follower.store().link_number("v0").expect("a link"), address.parse().expect("an address"))
}

fn certainty(store: &Store, key: Key) -> Certainty {
    store.neighbours().get(&key).map_or(Certainty::Unresolved, Neighbour::certainty)
}

/// Follows, and asks for what is wanted, as a live node does. After each step `seen` gets the store and what was asked for.
fn keep(
    follower: &mut Follower,
    wanted: &[Key],
    pace: Pace,
    time: Duration,
    mut seen: impl FnMut(&Store, &[Key]),
) {
    let mut solicitor = Solicitor::open().expect("a socket");
    let mut solicitations = Solicitations::new(pace);
    let end = Instant::now() + time;
    while Instant::now() < end {
        let with_certainty = wanted.iter().map(|key| (*key, certainty(follower.store(), *key)));
        let asked = solicitations.ask(with_certainty, Instant::now());
        for (link, address) in &asked {
            solicitor.solicit(*link, *address).expect("root may ask");
        }
        let next = solicitations.next_deadline().map_or(end, |next| next.min(end));
        follower.wait(next.saturating_duration_since(Instant::now())).expect("the kernel answers");
        seen(follower.store(), &asked);
    }
}

#[test]
fn an_unknown_neighbour_is_resolved_because_it_is_asked_for() {
    if !privileged_tests_run() {
        return;
    }
    let [here, _there] = pair();
    here.enter(|| {
        let mut follower = Follower::open(FollowSettings::default()).expect("the kernel answers");
        let keys = ["10.0.0.2", "fd00::2"].map(|address| key(&follower, address));
        keep(&mut follower, &[], Pace::default(), Duration::from_secs(1), |_, _| {});
        assert!(keys.iter().all(|key| !follower.store().neighbours().contains_key(key)), "nobody asked");
        keep(&mut follower, &keys, Pace::default(), Duration::from_secs(3), |_, _| {});
        for key in keys {
            let neighbour = &follower.store().neighbours()[&key];
            assert_eq!(neighbour.certainty(), Certainty::Sure, "{key:?}: {neighbour:?}");
            assert!(neighbour.usable_lladdr().is_some());
        }
        // The same for one that is known by now.
        let mut solicitor = Solicitor::open().expect("a socket");
        solicitor.solicit(keys[0].0, keys[0].1).expect("root may ask");
        let error = solicitor.solicit(77, keys[0].1).expect_err("there is no such link").to_string();
        assert!(error.contains("10.0.0.2 on link 77"), "{error}");
    });
}

#[test]
fn a_neighbour_in_use_is_refreshed_and_another_goes_stale() {
    if !privileged_tests_run() {
        return;
    }
    let [here, _there] = pair();
    // The kernel takes 0.5 to 1.5 times that for reachable. Were it less than the delay before the first probe, it would
    // probe one that was used just before by itself, and none would ever go stale.
    here.shell(
        "sysctl -qw net.ipv4.neigh.v0.base_reachable_time_ms=1000 net.ipv4.neigh.v0.delay_first_probe_time=0",
    );
    here.enter(|| {
        let mut follower = Follower::open(FollowSettings::default()).expect("the kernel answers");
        let [used, unused] = ["10.0.0.2", "10.0.0.3"].map(|address| key(&follower, address));
        let pace = Pace { refresh_within: Duration::from_secs(1), ..Pace::default() };
        keep(&mut follower, &[used, unused], pace, Duration::from_millis(500), |_, _| {});
        let mut states = BTreeMap::<Key, Vec<Certainty>>::new();
        keep(&mut follower, &[used], pace, Duration::from_secs(9), |store, _| {
            for key in [used, unused] {
                let states = states.entry(key).or_default();
                if states.last() != Some(&certainty(store, key)) {
                    states.push(certainty(store, key));
                }
            }
        });
        let refreshed = |key| {
            let states: &Vec<_> = &states[&key];
            states.windows(2).filter(|two| *two == [Certainty::Stale, Certainty::Sure]).count()
        };
        assert_eq!((states[&unused].last(), refreshed(unused)), (Some(&Certainty::Stale), 0), "{states:?}");
        assert!(refreshed(used) >= 2, "{states:?}");
        assert!(!states[&used].contains(&Certainty::Unresolved), "{states:?}");
    });
}

#[test]
fn a_neighbour_that_does_not_answer_is_asked_again_less_and_less_often() {
    if !privileged_tests_run() {
        return;
    }
    let [here, there] = pair();
    here.shell("sysctl -qw net.ipv4.neigh.v0.mcast_solicit=1 net.ipv4.neigh.v0.retrans_time_ms=100");
    there.shell("sysctl -qw net.ipv4.conf.far.arp_ignore=8");
    here.enter(|| {
        let mut follower = Follower::open(FollowSettings::default()).expect("the kernel answers");
        let wanted = key(&follower, "10.0.0.2");
        let (mut asked, mut states) = (0, Vec::new());
        keep(&mut follower, &[wanted], Pace::default(), Duration::from_millis(3500), |store, questions| {
            asked += questions.len();
            states.extend(store.neighbours().get(&wanted).map(|neighbour| neighbour.state));
        });
        // At once, after 1 s and after 3 s.
        assert_eq!(asked, 3);
        assert!(states.contains(&0x20), "it is never FAILED: {states:?}");
        assert_eq!(certainty(follower.store(), wanted), Certainty::Unresolved);
        there.shell("sysctl -qw net.ipv4.conf.far.arp_ignore=0");
        let pace = Pace { first_pause: Duration::from_millis(100), ..Pace::default() };
        keep(&mut follower, &[wanted], pace, Duration::from_secs(1), |_, _| {});
        assert_eq!(certainty(follower.store(), wanted), Certainty::Sure);
    });
}

#[test]
fn asking_without_rights_says_which_are_missing() {
    if !privileged_tests_run() {
        return;
    }
    let [here, _there] = pair();
    here.enter(|| {
        let mut sets = rustix::thread::capabilities(None).expect("capabilities");
        sets.effective.remove(CapabilitySet::NET_ADMIN);
        // Of this thread alone.
        rustix::thread::set_capabilities(None, sets).expect("fewer rights");
        let mut solicitor = Solicitor::open().expect("a socket needs no rights");
        let address = IpAddr::from([10, 0, 0, 2]);
        let error = solicitor.solicit(1, address).expect_err("asking needs rights").to_string();
        assert!(error.contains("CAP_NET_ADMIN") && error.contains("10.0.0.2"), "{error}");
    });
}

/// The kernel forgets stale neighbours where it has many (`gc_thresh1`), and looks for them every 15 s.
#[test]
#[ignore = "takes 50 s: run with --ignored"]
fn a_neighbour_in_use_is_not_forgotten() {
    if !privileged_tests_run() {
        return;
    }
    let [here, there] = pair();
    let other =
        |host| format!("ip neigh add 10.0.0.{host} dev v0 lladdr 02:00:00:00:00:{host:02x} nud stale");
    here.shell(&(10..250).map(other).collect::<Vec<_>>().join("; "));
    here.shell(
        "sysctl -qw net.ipv4.neigh.v0.base_reachable_time_ms=2000 net.ipv4.neigh.v0.gc_stale_time=5
         sysctl -qw net.ipv4.neigh.v0.delay_first_probe_time=1",
    );
    here.enter(|| {
        let mut follower = Follower::open(FollowSettings::default()).expect("the kernel answers");
        let [used, unused] = ["10.0.0.2", "10.0.0.3"].map(|address| key(&follower, address));
        let pace = Pace { refresh_within: Duration::from_secs(1), ..Pace::default() };
        keep(&mut follower, &[used, unused], pace, Duration::from_millis(500), |_, _| {});
        keep(&mut follower, &[used], pace, Duration::from_secs(50), |store, _| {
            assert_ne!(certainty(store, used), Certainty::Unresolved, "it was forgotten");
        });
        let left = follower.store().neighbours().len();
        assert!(!follower.store().neighbours().contains_key(&unused) && left < 20, "{left} are left");
    });
    drop(there);
}
