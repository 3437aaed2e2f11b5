//! Routing daemons feed the kernel, and `packetwalk run --shadow` follows it: `BIRD` and `FRR`, each with two BGP peers.
//!
//! After each step the running process and `ip route get` must agree on addresses in, at the edges of and around what was
//! announced, and `packetwalk fib diff` must find nothing.
//!
//! Needs root and Debian's iproute2, bird2 and frr, and fails without; `PACKETWALK_SKIP_PRIVILEGED=1` leaves it out, but
//! not where CI=true.

#![allow(clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses its own part of these modules")]

#[path = "run/agree.rs"]
mod agree;
#[path = "netlink/namespace.rs"]
mod namespace;
#[path = "run/process.rs"]
mod process;

mod daemons {
    pub(crate) mod bird;
    pub(crate) mod frr;
}

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use agree::{assert_agreed, samples};
use daemons::bird::{self, Announced, Bird};
use daemons::frr::Frr;
use ipnet::{IpNet, Ipv4Net};
use namespace::{Namespace, privileged_tests_run};
use process::{Packetwalk, wait_until};

/// A router with two peers, each behind a link of its own: `v1` to 10.0.1.2 and `fd00:1::2`, `v2` likewise.
struct Network {
    here: Namespace,
    peers: [Namespace; 2],
}

impl Network {
    fn create() -> Self {
        let network = Self { here: Namespace::create(), peers: [Namespace::create(), Namespace::create()] };
        network.here.shell(
            "sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1 \
                net.ipv6.conf.all.keep_addr_on_down=1
             ip link set lo up",
        );
        for (link, peer) in (1..).zip(&network.peers) {
            network.here.shell(&format!(
                "ip link add v{link} type veth peer name far netns {}
                 ip link set v{link} up
                 ip addr add 10.0.{link}.1/24 dev v{link}; ip addr add fd00:{link}::1/64 dev v{link} nodad",
                peer.name
            ));
            peer.shell(&format!(
                "sysctl -qw net.ipv6.conf.all.keep_addr_on_down=1
                 ip link set lo up; ip link set far up
                 ip addr add 10.0.{link}.2/24 dev far; ip addr add fd00:{link}::2/64 dev far nodad"
            ));
        }
        network
    }

    /// What a shell command prints of the router's kernel, once it counts `expected` lines.
    fn wait_for(&self, what: &str, show: &str, expected: usize) {
        let mut found = 0;
        let started = Instant::now();
        while found != expected || started.elapsed() < Duration::from_millis(50) {
            let within = Duration::from_secs(60);
            assert!(started.elapsed() < within, "{what}: {found} of `{show}` instead of {expected}");
            found = self.here.shell(&format!("{{ {show}; }} | wc -l")).trim().parse().expect("a number");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// How many prefixes of each family are announced under one second byte: many of /24 and /64, and some that nest.
const MANY4: usize = 200;
const NESTED4: usize = 24;
const MANY6: usize = 50;
const ANNOUNCED4: usize = MANY4 + NESTED4;

fn prefixes4(second: u8) -> Vec<Ipv4Net> {
    let many = (0..MANY4 as u8).map(|third| ([100, second, third, 0], 24));
    let nested = (32 - NESTED4 as u8 + 1..=32).map(|length| ([second, 77, 77, 77], length));
    let prefixes = many.chain(nested);
    prefixes
        .map(|(address, length)| Ipv4Net::new(address.into(), length).expect("a length").trunc())
        .collect()
}

fn prefixes(second: u8) -> Vec<IpNet> {
    let six = (0..MANY6).map(|number| format!("2001:db8:{second:x}:{number:x}::/64"));
    let six = six.map(|prefix| prefix.parse().expect("a prefix"));
    prefixes4(second).into_iter().map(IpNet::V4).chain(six).collect()
}

/// Where to look: some of the many, some that nest, what the router has by itself, and its links.
fn addresses() -> BTreeSet<Ipv4Addr> {
    let some = |second| {
        let many = prefixes4(second).into_iter().take(MANY4).step_by(97);
        many.chain(prefixes4(second).into_iter().skip(MANY4).step_by(5))
    };
    let own =
        ["198.18.0.0/16", "198.18.1.0/24", "198.18.2.0/24", "203.0.113.0/25", "10.0.1.0/24", "10.0.2.2/32"];
    let own = own.map(|prefix| prefix.parse().expect("a prefix"));
    samples([70, 71, 72].into_iter().flat_map(some).chain(own))
}

/// A router's daemon, its network, and the process that follows its kernel.
struct Scene<'a, R> {
    network: &'a Network,
    packetwalk: &'a Packetwalk,
    router: R,
    /// As the kernel calls who made a route: `bird`.
    protocol: &'static str,
    addresses: BTreeSet<Ipv4Addr>,
}

/// What the daemons' own tools tell about sessions.
trait Router {
    /// Waits until it has sessions with these of the two peers.
    fn wait_for_sessions(&self, peers: &[usize]);
    /// Whether it has one with the first.
    fn has_first_session(&self) -> bool;
}

impl Router for Bird {
    fn wait_for_sessions(&self, peers: &[usize]) {
        for peer in peers {
            Bird::wait_for_sessions(self, [&["one4", "one6"], &["two4", "two6"]][*peer]);
        }
    }

    fn has_first_session(&self) -> bool {
        self.command("show protocols one4").contains("Established")
    }
}

impl Router for Frr {
    fn wait_for_sessions(&self, peers: &[usize]) {
        for peer in peers {
            Frr::wait_for_sessions(self, [&["10.0.1.2", "fd00:1::2"], &["10.0.2.2", "fd00:2::2"]][*peer]);
        }
    }

    fn has_first_session(&self) -> bool {
        self.has_session("10.0.1.2")
    }
}

/// The configuration of the first or second peer. Only the first says that it restarts gracefully.
fn configuration(peer: usize, announced: &[Announced; 2]) -> String {
    bird::peer(peer as u8 + 1, 65001 + peer as u32, peer == 0, &announced[peer])
}

impl<R: Router> Scene<'_, R> {
    fn agree(&self, when: &str) {
        let started = Instant::now();
        assert_agreed(&self.network.here, self.packetwalk, &self.addresses, when);
        println!("{}: agreed, {when} (compared in {:?})", self.protocol, started.elapsed());
    }

    /// Waits until the daemon's IPv4 routes count as many, those of its configuration not among them.
    fn wait_for_announced(&self, what: &str, expected: usize) {
        let show =
            format!("ip -4 route show proto {} | grep -v -e '^.nexthop' -e '198\\.18\\.'", self.protocol);
        self.network.wait_for(what, &show, expected);
    }

    fn wait_for_announced6(&self, what: &str, expected: usize) {
        let show = format!("ip -6 route show proto {} | grep -v '^.nexthop'", self.protocol);
        self.network.wait_for(what, &show, expected);
    }

    fn routes(&self) -> String {
        self.network.here.shell("ip -4 route show; ip -6 route show")
    }

    /// Peers announce, withdraw, change next hops, crash and come back; links fail and recover.
    fn peers_and_links_come_and_go(&self) -> [Bird; 2] {
        let network = self.network;
        // Both announce 70, the first 71, the second 72.
        let mut announced = [71, 72].map(|own| Announced {
            prefixes: [prefixes(70), prefixes(own)].concat(),
            ..Announced::default()
        });
        let mut peers =
            [0, 1].map(|peer| Bird::start(&network.peers[peer], &configuration(peer, &announced)));
        self.router.wait_for_sessions(&[0, 1]);
        self.wait_for_announced("announced", 3 * ANNOUNCED4);
        self.wait_for_announced6("announced", 3 * MANY6);
        let by_both = "ip -4 route show | grep '^.nexthop via 10.0.2.2 '";
        network.wait_for("announced by both", by_both, ANNOUNCED4);
        self.agree("announced");

        announced[0].prefixes = prefixes(71).into_iter().step_by(2).collect();
        peers[0].configure(&configuration(0, &announced));
        self.wait_for_announced("withdrawn", 2 * ANNOUNCED4 + ANNOUNCED4 / 2);
        network.wait_for("withdrawn by the first", by_both, 0);
        self.agree("withdrawn");

        announced[0].prefixes.extend(prefixes(70));
        announced[0].gateway = Some("10.0.1.3");
        peers[0].configure(&configuration(0, &announced));
        network.wait_for("another next hop", "ip -4 route show | grep '^7[01].* via 10.0.1.3 '", NESTED4 / 2);
        network.wait_for("by both again", by_both, ANNOUNCED4);
        self.agree("another next hop");

        // A session that ends: the second's routes go, the first's stay for as long as it may take to restart.
        peers[1].crash();
        network.wait_for("the second peer crashed", "ip -4 route show | grep 'via 10.0.2.2 '", 0);
        self.agree("the second peer crashed");
        peers[1].restart(&network.peers[1], false);
        self.router.wait_for_sessions(&[1]);
        network.wait_for("the second peer is back", by_both, ANNOUNCED4);
        self.wait_for_announced6("the second peer is back", 2 * MANY6 + MANY6 / 2);
        self.agree("the second peer is back");
        let before = self.routes();
        peers[0].crash();
        wait_until("the session is lost", Duration::from_secs(10), || !self.router.has_first_session());
        assert_eq!(self.routes(), before, "kept until the peer is back");
        self.agree("the first peer crashed");
        peers[0].restart(&network.peers[0], true);
        self.router.wait_for_sessions(&[0]);
        self.agree("the first peer is back");
        network.wait_for("the first peer is back", by_both, ANNOUNCED4);

        // FRR 8.4 does not notice that the kernel takes a next hop out of a group with its link, and leaves it out for good. So it is
        // the routes by one way that tell when all is back.
        let by_first = "ip -4 route show | grep '^71.* via 10.0.1.3 '";
        network.here.shell("sysctl -qw net.ipv4.conf.v1.ignore_routes_with_linkdown=1");
        network.peers[0].shell("ip link set far down");
        network.wait_for("no carrier", "ip -4 route show 10.0.1.0/24 | grep linkdown", 1);
        self.agree("no carrier, its routes still there");
        network.wait_for("no carrier, and noticed", by_first, 0);
        self.agree("no carrier, and noticed");
        network.peers[0].shell("ip link set far up");
        self.router.wait_for_sessions(&[0]);
        network.wait_for("carrier", by_first, NESTED4 / 2);
        self.agree("carrier");
        network.here.shell("ip link set v1 down");
        network.wait_for("down", by_first, 0);
        self.agree("down");
        network.here.shell("ip link set v1 up");
        self.router.wait_for_sessions(&[0]);
        network.wait_for("up", by_first, NESTED4 / 2);
        self.wait_for_announced6("up", 2 * MANY6 + MANY6 / 2);
        self.agree("up");
        peers
    }
}

#[test]
fn bird_is_followed_through_all_that_it_does() {
    if !privileged_tests_run() {
        return;
    }
    let network = Network::create();
    let packetwalk = Packetwalk::start(&network.here);
    let router = Bird::start(&network.here, &bird::router());
    let mut scene = Scene {
        network: &network,
        packetwalk: &packetwalk,
        router,
        protocol: "bird",
        addresses: addresses(),
    };
    scene.agree("before anything is announced");
    let mut peers = scene.peers_and_links_come_and_go();

    let mut announced = [Announced::default(), Announced::default()];
    announced[1].prefixes = prefixes(70);
    announced[1].blackholes = prefixes4(72).into_iter().map(IpNet::V4).collect();
    peers[1].configure(&configuration(1, &announced));
    network.wait_for("told to drop", "ip -4 route show type blackhole", 1 + ANNOUNCED4);
    scene.agree("told to drop");

    let before = scene.routes();
    scene.router.crash();
    assert_eq!(scene.routes(), before, "routes outlive their daemon");
    scene.agree("the router's daemon crashed");
    scene.router.restart(&network.here, true);
    scene.agree("the router's daemon takes over what it finds");
    Router::wait_for_sessions(&scene.router, &[0, 1]);
    wait_until("graceful restart is over", Duration::from_secs(30), || {
        !scene.router.command("show status").contains("Graceful restart recovery in progress")
    });
    assert_eq!(scene.routes(), before, "never taken away");
    scene.agree("the router's daemon has recovered");
    scene.router.crash();
    peers.iter_mut().for_each(Bird::crash);
    scene.router.restart(&network.here, false);
    scene.wait_for_announced("the router's daemon starts anew, alone", 0);
    scene.agree("the router's daemon starts anew, alone");
    scene.router.shut_down();
    network.wait_for("shut down", "ip -4 route show proto bird", 0);
    scene.agree("shut down");
    packetwalk.stop();
}

#[test]
fn frr_is_followed_through_all_that_it_does() {
    if !privileged_tests_run() {
        return;
    }
    let network = Network::create();
    let packetwalk = Packetwalk::start(&network.here);
    let router = Frr::start(&network.here);
    let mut scene =
        Scene { network: &network, packetwalk: &packetwalk, router, protocol: "bgp", addresses: addresses() };
    scene.agree("before anything is announced");
    let peers = scene.peers_and_links_come_and_go();

    // Zebra keeps what it was told until the other is back, or for a while.
    scene.router.crash_bgp();
    scene.agree("bgpd crashed");
    scene.router.launch(&network.here, &["bgpd"]);
    Router::wait_for_sessions(&scene.router, &[0, 1]);
    scene.wait_for_announced("bgpd is back", 2 * ANNOUNCED4 + ANNOUNCED4 / 2);
    scene.agree("bgpd is back");

    let before = scene.routes();
    scene.router.crash();
    assert_eq!(scene.routes(), before, "routes outlive their daemon");
    scene.agree("the router's daemons crashed");
    scene.router.launch(&network.here, &["zebra", "staticd", "bgpd"]);
    scene.agree("the router's daemons take over what they find");
    Router::wait_for_sessions(&scene.router, &[0, 1]);
    scene.agree("the router's daemons have their sessions");
    drop(peers);
    scene.router.shut_down();
    scene.wait_for_announced("shut down", 0);
    scene.agree("shut down");
    packetwalk.stop();
}
