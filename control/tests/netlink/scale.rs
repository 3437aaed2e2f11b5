//! Many routes: messages lost again and again, and how long things take with a million.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use packetwalk_control::netlink::{Family, FollowSettings, Follower, snapshot};

use crate::netlink::churn::Churn;
use crate::netlink::namespace::{Namespace, privileged_tests_run};

/// A namespace with a link, and a script that routes `count` prefixes by it, in each of two ways, the second time in random
/// order.
pub(crate) fn with_batches(count: u32) -> (Namespace, [String; 2]) {
    let here = Namespace::create();
    here.shell(
        // Link-local addresses would come about by themselves, seconds later, between two looks at the kernel.
        "sysctl -qw net.ipv6.conf.default.addr_gen_mode=1
         ip link set lo up; ip link add v0 type veth peer name v0far; ip link set v0far up; ip link set v0 up
         ip addr add 10.0.0.1/24 dev v0; ip addr add fd00::1/64 dev v0 nodad",
    );
    // So do the routes of a link once it has carrier.
    std::thread::sleep(Duration::from_secs(1));
    let mut numbers: Vec<u32> = (0..count).collect();
    let mut churn = Churn::new(count.into());
    let batches = [7, 8].map(|host| {
        let file = format!("{}/{}-{host}", env!("CARGO_TARGET_TMPDIR"), here.name);
        let route = |number: &u32| {
            let address = Ipv4Addr::from(0x1400_0000 + (number << 8));
            format!("route replace {address}/24 via 10.0.0.{host} dev v0\n")
        };
        fs::write(&file, numbers.iter().map(route).collect::<String>()).expect("a file");
        churn.shuffle(&mut numbers);
        format!("ip -batch {file}")
    });
    (here, batches)
}

/// Takes in what there is, until nothing is left to be done.
fn settle(follower: &mut Follower, mut look: impl FnMut(&Follower)) {
    let started = Instant::now();
    loop {
        let changes = follower.wait(Duration::from_millis(20)).expect("the kernel answers");
        look(follower);
        if changes.is_empty() && !follower.is_behind() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it never ends: {:?}", follower.counters());
    }
}

/// The routes that the follower holds are those that the kernel lists.
fn assert_equal_routes(follower: &Follower, families: &[Family], when: &str) {
    let (store, fresh) = (follower.store(), snapshot().expect("the kernel answers"));
    for family in families.iter().copied() {
        let differs = store.routes(family).zip(fresh.routes(family)).find(|(one, other)| one != other);
        assert_eq!(differs, None, "{when}");
        assert_eq!(store.prefix_count(family), fresh.prefix_count(family), "{when}");
    }
}

/// What the follower holds is what the kernel says when asked for everything.
fn assert_equal(follower: &Follower, when: &str) {
    assert_equal_routes(follower, &[Family::Ipv4, Family::Ipv6], when);
    let (store, fresh) = (follower.store(), snapshot().expect("the kernel answers"));
    assert_eq!(store.node_state_without_routes(), fresh.node_state_without_routes(), "{when}");
}

/// Overruns a tiny receive buffer `rounds` times: nobody reads while all routes are replaced, half of the times because the
/// whole process is stopped.
fn overrun(count: u32, rounds: u64) {
    let (here, [one, other]) = with_batches(count);
    let least = count as usize;
    here.enter(|| {
        here.shell(&one);
        let settings = FollowSettings { receive_buffer: 4096 };
        let mut follower = Follower::open(settings).expect("the kernel answers");
        for round in 0..rounds {
            let batch = if round % 2 == 0 { &other } else { &one };
            if round % 4 < 2 {
                here.shell(batch);
            } else {
                let process = std::process::id();
                let stopped = format!("trap 'kill -CONT {process}' EXIT; kill -STOP {process}; {batch}");
                std::thread::scope(|scope| {
                    let running = scope.spawn(|| here.shell(&stopped));
                    while !running.is_finished() {
                        follower.wait(Duration::from_millis(5)).expect("the kernel answers");
                    }
                });
            }
            settle(&mut follower, |follower| {
                let routes = follower.store().prefix_count(Family::Ipv4);
                assert!(routes >= least, "round {round}: {routes} routes while it catches up");
            });
            assert_equal(&follower, &format!("round {round}"));
            assert!(follower.counters().overruns > round, "round {round}: {:?}", follower.counters());
        }
        println!("{count} routes, {rounds} rounds: {:?}", follower.counters());
    });
}

#[test]
fn lost_messages_are_made_up_for_without_ever_emptying_the_state() {
    if privileged_tests_run() {
        overrun(2_000, 50);
    }
}

#[test]
fn two_hundred_thousand_routes_replaced_while_nobody_reads_are_caught_up_with() {
    if privileged_tests_run() {
        overrun(200_000, 1);
    }
}

#[test]
#[ignore = "takes minutes: run with --ignored"]
fn a_thousand_overruns_with_two_thousand_routes_and_twenty_with_two_hundred_thousand() {
    if privileged_tests_run() {
        overrun(2_000, 1_000);
        overrun(200_000, 20);
    }
}

/// Of this process, MiB: now, and at most so far.
fn resident() -> [u64; 2] {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    ["VmRSS:", "VmHWM:"].map(|key| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    })
}

/// `RTM_NEWROUTE` for 20.0.0.0/24 via 10.0.0.HOST, replacing what there is.
fn replacement(link: u32, host: u8) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes[4..6].copy_from_slice(&24u16.to_ne_bytes());
    bytes[6..8].copy_from_slice(&(0x1u16 | 0x100 | 0x400).to_ne_bytes());
    bytes.extend([2, 24, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]);
    for (kind, value) in [(1u16, [20, 0, 0, 0]), (5, [10, 0, 0, host]), (4, link.to_ne_bytes())] {
        bytes.extend(8u16.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
    }
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

/// From the call that sends a change to the kernel until the follower hands it out, microseconds.
fn latency(follower: &mut Follower, changes: u32) -> Histogram<u64> {
    let link = follower.store().link_number("v0").expect("a link");
    let mut histogram = Histogram::new(3).expect("three digits");
    let (sent, times) = mpsc::channel();
    let (done, go) = mpsc::channel();
    std::thread::scope(|scope| {
        // A thread is born in the namespace of its parent.
        scope.spawn(move || {
            let socket = Socket::new(NETLINK_ROUTE).expect("a socket");
            socket.connect(&SocketAddr::new(0, 0)).expect("the kernel");
            for number in 0..changes {
                let message = replacement(link, 100 + (number % 2) as u8);
                std::thread::sleep(Duration::from_millis(2));
                sent.send(Instant::now()).expect("somebody hears");
                socket.send(&message, 0).expect("the kernel takes it");
                go.recv().expect("it was seen");
            }
        });
        for _ in 0..changes {
            let seen = follower.wait(Duration::from_secs(5)).expect("the kernel answers");
            let now = Instant::now();
            assert_eq!(seen.routes.len(), 1, "{seen:?}");
            let sent: Instant = times.recv().expect("it was sent");
            histogram.record(now.duration_since(sent).as_nanos() as u64 / 1000).expect("in range");
            done.send(()).expect("somebody hears");
        }
    });
    histogram
}

/// Prints what following costs; run alone, with a release build:
/// `cargo test --release -p packetwalk --test netlink -- --ignored --nocapture what_following_costs`.
#[test]
#[ignore = "measures, for minutes: run with --ignored --nocapture, a release build, and nothing else"]
fn what_following_costs_with_many_routes() {
    if !privileged_tests_run() {
        return;
    }
    for count in [200_000, 1_000_000] {
        let (here, [one, other]) = with_batches(count);
        here.enter(|| {
            here.shell(&one);
            let before = resident()[0];
            let started = Instant::now();
            let mut follower = Follower::open(FollowSettings::default()).expect("the kernel answers");
            let [now, most] = resident();
            println!("{count} routes: open {:?}, resident {before} -> {now} MiB, at most {most}", started.elapsed());
            settle(&mut follower, |_| {});

            let histogram = latency(&mut follower, 2_000);
            let of = |quantile| histogram.value_at_quantile(quantile);
            println!(
                "one change: median {} us, p99 {} us, p99.9 {} us, most {} us",
                of(0.5),
                of(0.99),
                of(0.999),
                histogram.max()
            );

            // Replaced at full speed, in random order.
            let ended = std::thread::scope(|scope| {
                let batch = scope.spawn(|| {
                    here.shell(&other);
                    Instant::now()
                });
                while !batch.is_finished() {
                    follower.wait(Duration::from_millis(5)).expect("the kernel answers");
                }
                batch.join().expect("it ran")
            });
            let mut last = ended;
            settle(&mut follower, |_| last = Instant::now());
            let [now, most] = resident();
            println!(
                "all replaced: settled at most {:?} after the last message, {:?}, resident {now} MiB, at most {most}",
                last.duration_since(ended),
                follower.counters()
            );
            assert_equal(&follower, "replaced in random order");

            // Another link changes meanwhile, and then the one that all lead by.
            for change in [
                "ip link add w0 type veth peer name w1; ip link set w0 up; ip link set w1 up",
                "ip route add 10.99.0.0/16 dev w0; ip link set w1 down",
                "ip link del w0",
                "ip link set v0far down",
                "ip link set v0far up",
                "ip link set v0 down",
            ] {
                let lists = follower.counters().lists;
                here.shell(change);
                let started = Instant::now();
                let mut longest = Duration::ZERO;
                let mut last = started;
                settle(&mut follower, |_| {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                });
                println!(
                    "{change}: {} lists, settled in {:?}, longest call {longest:?}",
                    follower.counters().lists - lists,
                    started.elapsed()
                );
                // Links do not announce their receive filters, and have an address of their own a second later.
                assert_equal_routes(&follower, &[Family::Ipv4], change);
            }
        });
    }
}
