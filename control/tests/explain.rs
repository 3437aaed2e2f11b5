//! `explain` tells what the walk did: checked on every frame of the golden folders, and to the letter on some.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use packetwalk_control::config::Config;
use packetwalk_control::explain::{Explainer, Stage, Walk};
use packetwalk_control::state::NodeState;
use packetwalk_control::{Behind, Node};
use packetwalk_port::pcap::{Capture, Ingress, Merge};
use packetwalk_port::{BUFFER, Buffers, Discard};
use packetwalk_walk::{Batch, Event, Observer, Settings, Worker, walk_observed};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 11] = [
    "calico-bgp",
    "calico-crosssubnet/ipip",
    "calico-crosssubnet/native",
    "calico-crosssubnet/vxlan",
    "calico-ipip-always",
    "calico-ipip-routed/node-121",
    "calico-ipip-routed/node-122",
    "cilium-direct",
    "cilium-vxlan",
    "flannel-vxlan",
    "kube-router",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcap-fixtures")
}

fn node_of(folder: &Path, change: impl FnOnce(&mut Value)) -> Node {
    let config = folder.join("config.toml");
    let config = if config.exists() { Config::load(&config).unwrap() } else { Config::default() };
    let json = folder.join("state.json");
    let state = if json.exists() {
        let mut state = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
        change(&mut state);
        NodeState::parse(&state.to_string(), "state.json").unwrap()
    } else {
        NodeState::load(&folder.join("state.toml")).unwrap()
    };
    Node::build(&state, &config, Behind::Nothing)
}

/// An explainer for each frame of a burst.
struct All<'n>(Vec<Explainer<'n>>);

impl Observer for All<'_> {
    fn event(&mut self, slot: usize, event: Event<'_>) {
        for explainer in &mut self.0 {
            explainer.event(slot, event);
        }
    }
}

/// The walks of all frames of a folder, in order.
fn explain_all(folder: &Path, node: &Node) -> Vec<Walk> {
    let mut files: Vec<_> =
        fs::read_dir(folder.join("rx")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let captures = files.iter().map(|path| {
        let port = node.port(path.file_stem().unwrap().to_str().unwrap()).unwrap();
        Capture::open(path, Ingress::Port(port)).unwrap()
    });
    let mut source = Merge::new(captures.collect()).unwrap();
    let mut buffers = Buffers::new(192, BUFFER);
    let mut sink = Discard::new(buffers.pool());
    let mut worker = Worker::new(node.port_names.len(), Settings::default());
    let mut batch = Batch::new();
    let mut walks = Vec::new();
    while let Some(burst) = source.fill(sink.pool(), &mut batch).unwrap() {
        let explainers = (0..batch.len()).map(|slot| {
            let number = burst.first + slot as u64;
            Explainer::new(node, slot, number, burst.now)
        });
        let mut all = All(explainers.collect());
        walk_observed(&node.tables, &mut worker, burst.now, &mut batch, &mut sink, &mut all);
        walks.extend(all.0.into_iter().map(Explainer::finish));
    }
    walks
}

fn text_of(walk: &Walk) -> String {
    anstream::adapter::strip_str(&walk.to_string()).to_string()
}

#[test]
fn outcomes_add_up_to_the_report() {
    for name in FOLDERS {
        let folder = root().join(name);
        let report: Value = serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap();
        let node = node_of(&folder, |_| {});
        let mut outcomes =
            BTreeMap::from([("rx", 0), ("forwarded", 0), ("answered", 0), ("punted", 0), ("dropped", 0)]);
        let mut reasons = BTreeMap::from([("drop", BTreeMap::new()), ("punt", BTreeMap::new())]);
        for walk in explain_all(&folder, &node) {
            *outcomes.entry("rx").or_default() += 1;
            *outcomes.entry(walk.outcome.result).or_default() += 1;
            let group = if walk.outcome.result == "dropped" { "drop" } else { "punt" };
            if let Some(reason) = walk.outcome.reason {
                *reasons.entry(group).or_default().entry(reason).or_insert(0) += 1;
            }
        }
        assert_eq!(json!(outcomes), report["outcome"], "{name}");
        assert_eq!(json!(reasons["drop"]), report["drop"], "{name}");
        assert_eq!(json!(reasons["punt"]), report["punt"], "{name}");
    }
}

#[test]
fn every_explanation_fits_the_page_and_is_json() {
    for name in FOLDERS {
        let folder = root().join(name);
        for walk in explain_all(&folder, &node_of(&folder, |_| {})) {
            for line in text_of(&walk).lines() {
                // Headers with every field set are a little over 100; routes are as long as `ip route` prints them.
                let limit = if line.starts_with("              ") { 120 } else { 110 };
                assert!(line.chars().count() <= limit, "{name} frame {}: {line}", walk.frame);
                assert_eq!(line, line.trim_end(), "{name} frame {}", walk.frame);
            }
            let json = serde_json::to_value(&walk).unwrap();
            assert_eq!(json["stages"][0]["stage"], "received", "{name}");
            let sent = walk.stages.iter().filter(|stage| matches!(stage, Stage::Sent { .. })).count();
            let leaves = matches!(walk.outcome.result, "forwarded" | "answered");
            assert!(!leaves || sent > 0, "{name} frame {} leaves and is not shown", walk.frame);
        }
    }
}

#[test]
fn entry_into_an_ipip_tunnel_to_the_letter() {
    let folder = root().join("calico-ipip-always");
    let walks = explain_all(&folder, &node_of(&folder, |_| {}));
    let expected = "\
frame       14 at 1700000000.013000000 s
received    by cali93d4f16e6ec (workload), 98 bytes
            Ethernet  3e:51:0a:64:9b:81 > ee:ee:ee:ee:ee:ee, IPv4
            IPv4      10.100.155.129 > 10.100.245.148, ICMP, 84 bytes, TTL 64, DF
            ICMP      echo request (8/0)
ethernet    for ee:ee:ee:ee:ee:ee, the port's own address
ipv4        header in order, came in by cali93d4f16e6ec
rules       for a packet from 10.100.155.129 to 10.100.245.148 iif cali93d4f16e6ec
                  0: from all lookup local  no route there
              32766: from all lookup main   decides
route       longest match in table main:
              10.100.245.128/26 via 188.185.125.110 dev tunl0 proto bird onlink
            lost to it:
              default via 188.185.124.1 dev ens3 proto dhcp src 188.185.124.201 metric 100
next hop    via 188.185.125.110 dev tunl0
underlay    188.185.124.201 > 188.185.125.110
            rule 32766, table main: 188.185.124.0/22 dev ens3
neighbour   188.185.125.110 dev ens3 lladdr fa:16:3e:e4:6e:03
ttl         64 -> 63
mtu         84 bytes, 1440 may pass: fits
            the least of 1440 (tunl0) and 1500 (ens3) - 20 (IPIP) = 1480
header                      before          after
            tos             0x00 Not-ECT    0x00 Not-ECT
            length          84              84
            id              0x5a11          0x5a11
            flags           DF              DF
            ttl             64              63              changed
            protocol        ICMP            ICMP
            checksum        0x3aba          0x3bba          changed
            source          10.100.155.129  10.100.155.129
            destination     10.100.245.148  10.100.245.148
entry       into tunl0 (ipip), put before it:
            Ethernet  fa:16:3e:bf:f7:b5 > fa:16:3e:e4:6e:03, IPv4
            IPv4      188.185.124.201 > 188.185.125.110, IPIP, 104 bytes, TTL 63, DF
sent        by ens3, 118 bytes
outcome     forwarded by ens3
";
    assert_eq!(text_of(&walks[13]), expected);
}

#[test]
fn an_exit_comes_before_the_packet_that_it_lets_out() {
    let folder = root().join("calico-ipip-always");
    let walks = explain_all(&folder, &node_of(&folder, |_| {}));
    let json = serde_json::to_value(&walks[14]).unwrap();
    let stages: Vec<_> =
        json["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(
        stages,
        [
            "received", "ethernet", "ipv4", "rules", "route", "exit", "ipv4", "rules", "route", "next_hop",
            "ttl", "mtu", "header", "sent"
        ]
    );
    // The /32 beats the node's own blackhole, and that the default route.
    let lost: Vec<_> =
        json["stages"][8]["lost"].as_array().unwrap().iter().map(|lost| &lost["prefix"]).collect();
    assert_eq!(lost, ["10.100.155.128/26", "0.0.0.0/0"]);
    assert_eq!(json["stages"][12]["changed"], json!(["ttl", "checksum"]));
}

#[test]
fn equal_next_hops_are_shown_with_their_shares() {
    let folder = root().join("calico-ipip-always");
    let node = node_of(&folder, |state| {
        let routes = state["route"].as_array_mut().unwrap();
        let route = routes.iter_mut().find(|route| route["dst"] == "10.100.245.128/26").unwrap();
        *route = json!({"dst": "10.100.245.128/26", "nexthops": [
            {"gateway": "188.185.125.110", "dev": "tunl0", "weight": 1, "flags": ["onlink"]},
            {"gateway": "188.185.125.181", "dev": "tunl0", "weight": 3, "flags": ["onlink"]}]});
    });
    let walk = explain_all(&folder, &node).swap_remove(13);
    let Some((bucket, members)) = walk.stages.iter().find_map(|stage| match stage {
        Stage::Ecmp { bucket, members, .. } => Some((*bucket, members)),
        _ => None,
    }) else {
        panic!("no group in {walk:?}")
    };
    assert!(bucket < 4096);
    assert_eq!(members.iter().map(|member| member.buckets).sum::<usize>(), 4096);
    assert_eq!(members.iter().map(|member| member.weight).collect::<Vec<_>>(), [1, 3]);
    assert!(members[0].buckets.abs_diff(1024) < 150, "{members:?}");
    let chosen: Vec<_> = members.iter().filter(|member| member.chosen).collect();
    let peer = walk.stages.iter().find_map(|stage| match stage {
        Stage::NextHop(next_hop) => next_hop.underlay.as_ref().map(|underlay| underlay.peer),
        _ => None,
    });
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].next_hop, format!("via {} dev tunl0", peer.unwrap()));
    assert!(text_of(&walk).contains(&format!("-> via {} dev tunl0  weight ", peer.unwrap())));
}

#[test]
fn what_is_at_fault_is_named() {
    let folder = root().join("calico-ipip-always");
    let walks = explain_all(&folder, &node_of(&folder, |_| {}));
    let always = |frame: usize| walks[frame - 1].clone();
    assert_eq!(always(43).outcome.detail.as_deref(), Some("188.185.126.9 is no peer of tunl0"));
    assert_eq!(
        always(57).outcome.detail.as_deref(),
        Some("188.185.124.201 is one of the node's own addresses")
    );
    assert_eq!(always(35).outcome.detail.as_deref(), Some("here no ICMP error was sent"));
    assert!(text_of(&always(35)).contains("none is due about an ICMP error or a later fragment"));
    assert!(text_of(&always(56)).contains("ECN CE outside, Not-ECT inside -> may not go on"));
    assert!(text_of(&always(62)).contains("for somebody else: not fa:16:3e:bf:f7:b5"));

    let folder = root().join("flannel-vxlan");
    let walks = explain_all(&folder, &node_of(&folder, |_| {}));
    assert_eq!(walks[33].outcome.detail.as_deref(), Some("the VNI is 2"));
    let missing = walks[23].outcome.detail.as_deref().unwrap();
    assert!(missing.contains("flannel.1"), "{missing}");
}
