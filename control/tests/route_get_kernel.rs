//! `route get` beside the kernel's own answer: the same routes in a network namespace, asked of both.
//!
//! Needs root and iproute2, and fails without; `PACKETWALK_SKIP_PRIVILEGED=1` leaves it out, but not in CI.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::privileged;
use packetwalk_control::config::Config;
use packetwalk_control::route_get::{Query, route_get};
use packetwalk_control::state::NodeState;
use packetwalk_control::{Behind, Node};
use std::net::Ipv4Addr;
use std::process::{Command, Output};

/// A network namespace, deleted when it goes out of scope.
struct Namespace(String);

impl Namespace {
    fn new() -> Option<Self> {
        let namespace = Self(format!("pw-st-{}", std::process::id()));
        run("ip", &["netns", "add", &namespace.0]).filter(|output| output.status.success()).map(|_| namespace)
    }

    fn ip(&self, line: &str) -> Output {
        let arguments: Vec<_> = ["-n", &self.0].into_iter().chain(line.split(' ')).collect();
        run("ip", &arguments).expect("ip runs")
    }

    fn set(&self, line: &str) {
        let output = self.ip(line);
        assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn json(&self, line: &str) -> String {
        let text = String::from_utf8(self.ip(line).stdout).expect("UTF-8");
        if text.trim().is_empty() { "[]".to_owned() } else { text }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(run("ip", &["netns", "del", &self.0]));
    }
}

fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    Command::new(program).args(arguments).output().ok()
}

const SET: &[&str] = &[
    "link set lo up",
    "link add eth0 type veth peer name peer0",
    "link add cali1 type veth peer name peer1",
    "link set eth0 up",
    "link set peer0 up",
    "link set cali1 up",
    "link set peer1 up",
    "addr add 10.0.0.1/24 brd + dev eth0",
    "addr add 10.1.0.1/32 dev cali1",
    "route add 10.9.0.5 dev cali1 scope link",
    "route add blackhole 10.9.0.0/26 proto bird",
    "route add unreachable 10.9.1.0/26 metric 5",
    "route add prohibit 10.9.2.0/26",
    "route add throw 10.13.0.0/25 table 77",
    "route add 10.13.0.0/24 nexthop via 10.0.0.7 weight 3 nexthop via 10.0.0.8 dev eth0 weight 1",
    "route add 10.14.0.0/24 via inet6 fe80::1 dev eth0",
    "route add 10.15.0.0/24 via 10.0.0.7 mtu 1300 advmss 1200 src 10.0.0.1 metric 50",
    "route add 10.15.0.0/24 via 10.0.0.8 metric 60",
    "route add 10.16.0.0/24 via 192.0.2.1 dev eth0 onlink proto 17",
    "nexthop add id 1 via 10.0.0.7 dev eth0",
    "nexthop add id 2 via 10.0.0.8 dev eth0",
    "nexthop add id 3 group 1/2,3",
    "route add 10.17.0.0/24 nhid 1",
    "route add 10.18.0.0/24 nhid 3",
    "route add default via 10.0.0.254 proto static",
    "route add default via 10.0.0.77 table 77",
    "route add 10.19.0.0/24 dev eth0 table 78 scope link proto kernel",
    "rule add pref 90 to 10.13.0.0/16 table 77",
    "rule add pref 91 to 10.19.0.0/24 table 78",
    "rule add pref 92 to 10.20.0.0/24 prohibit",
    "rule add pref 93 to 10.21.0.0/24 unreachable",
    "rule add pref 94 to 10.22.0.0/24 blackhole",
    "rule add pref 95 iif lo to 10.23.0.0/24 blackhole",
    "rule add pref 96 not from all to 10.0.0.0/8 table 78",
    "rule add pref 97 to 10.24.1.0/24 uidrange 7-9 blackhole",
];

const ASKED: &[&str] = &[
    "10.0.0.1",
    "10.0.0.9",
    "10.0.0.255",
    "10.1.0.1",
    "10.9.0.5",
    "10.13.0.1",
    "10.13.0.200",
    "10.14.0.1",
    "10.15.0.1",
    "10.16.0.1",
    "10.17.0.1",
    "10.18.0.1",
    "10.19.0.1",
    "10.20.0.1",
    "10.21.0.1",
    "10.22.0.1",
    "10.23.0.1",
    "10.24.1.1",
    "9.9.9.9",
    "127.0.0.5",
];

#[test]
fn route_get_answers_as_the_kernel_does() {
    if privileged::is_left_out("route get against the kernel") {
        return;
    }
    let namespace = Namespace::new().expect(
        "a network namespace: run as root with iproute2, or leave this test out with PACKETWALK_SKIP_PRIVILEGED=1",
    );
    for line in SET {
        namespace.set(line);
    }
    let state = format!(
        r#"{{"addr": {}, "route": {}, "rule": {}, "nexthop": {}}}"#,
        namespace.json("-j -d addr"),
        namespace.json("-j -d route show table all"),
        namespace.json("-j -d rule"),
        namespace.json("-j nexthop"),
    );
    let state = NodeState::parse(&state, "node.json").expect("what ip prints is a state");
    let node = Node::build(&state, &Config::default(), Behind::Nothing);
    for asked in ASKED {
        let query =
            Query { destination: asked.parse::<Ipv4Addr>().expect("an address"), source: None, iif: None };
        let kernel = namespace.ip(&format!("route get {asked} fibmatch"));
        match route_get(&node, &query) {
            Ok(found) => {
                let text = String::from_utf8_lossy(&kernel.stdout);
                let lines: Vec<_> = text.lines().map(str::trim_end).collect();
                assert_eq!(found.to_string(), lines.join("\n"), "{asked}");
                let json = namespace.json(&format!("-j route get {asked} fibmatch"));
                let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
                assert_eq!(serde_json::json!([found.json()]), json, "{asked}");
            }
            Err(error) => {
                assert_eq!(error.to_string(), String::from_utf8_lossy(&kernel.stderr).trim_end(), "{asked}");
                assert_eq!(Some(i32::from(error.exit_code())), kernel.status.code(), "{asked}");
            }
        }
    }
    // Where the kernel only answers with an error, the route is printed.
    for (asked, text) in [
        ("10.9.0.6", "blackhole 10.9.0.0/26 proto bird"),
        ("10.9.1.6", "unreachable 10.9.1.0/26 metric 5"),
        ("10.9.2.6", "prohibit 10.9.2.0/26"),
    ] {
        let query = Query { destination: asked.parse().expect("an address"), source: None, iif: None };
        assert_eq!(route_get(&node, &query).expect("a route").to_string(), text);
        assert!(!namespace.ip(&format!("route get {asked} fibmatch")).status.success());
    }
}
