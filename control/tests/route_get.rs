//! `packetwalk route get` prints what `ip route get ADDR fibmatch` printed on the node.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

fn route_get(row: &str, arguments: &[&str]) -> String {
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcap-fixtures").join(row).join("state.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_packetwalk"));
    command.args(["route", "get"]).args(arguments).arg("--state").arg(state);
    let run = command.output().unwrap();
    assert!(run.status.success(), "{command:?}: {}\n{}", run.status, String::from_utf8_lossy(&run.stderr));
    // iproute2 ends its lines with a space; what counts is the text.
    String::from_utf8(run.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn calico_ipip_always_prints_what_the_node_printed() {
    for (address, printed) in [
        ("10.100.245.148", "10.100.245.128/26 via 188.185.125.110 dev tunl0 proto bird onlink"),
        ("10.100.126.84", "10.100.126.64/26 via 188.185.124.119 dev tunl0 proto bird onlink"),
        ("10.100.155.136", "10.100.155.136 dev caliee6565b2580 scope link"),
        ("10.100.155.130", "blackhole 10.100.155.128/26 proto bird"),
    ] {
        assert_eq!(route_get("calico-ipip-always", &[address]), printed, "route get {address}");
    }
}

#[test]
fn calico_ipip_always_names_source_and_metric() {
    for (address, printed) in [
        ("8.8.8.8", "default via 188.185.124.1 dev ens3 proto dhcp src 188.185.124.201 metric 100"),
        (
            "188.185.124.119",
            "188.185.124.0/22 dev ens3 proto kernel scope link src 188.185.124.201 metric 100",
        ),
        ("172.17.0.9", "172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown"),
    ] {
        assert_eq!(route_get("calico-ipip-always", &[address]), printed, "route get {address}");
    }
}

#[test]
fn kube_router_tunnels_to_a_remote_node_for_a_pod_only() {
    let pod = ["172.20.67.180", "--from", "100.96.2.2", "--iif", "veth1f0c77d3"];
    assert_eq!(route_get("kube-router", &pod), "172.20.67.180 dev tun-1722067180 table 77 scope link");
    assert_eq!(route_get("kube-router", &["172.20.67.180"]), "default via 172.20.32.1 dev eth0");
}
