use super::*;
use crate::rib::{Answer, RuleAction as Said};
use ipnet::Ipv4Net;
use packetwalk_walk::tables::{Action, Role, RouteKey, RuleAction};
use packetwalk_walk::{DropReason, PuntReason};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

fn build(json: &str) -> Node {
    let state = NodeState::parse(json, "node.json").expect("a state");
    let node = Node::build(&state, &Config::default(), Behind::Nothing);
    assert_eq!(node.tables.verify(), Ok(()));
    node
}

/// What the published tables say, as the walk asks them.
fn published(tables: &Tables, key: &RouteKey) -> HopId {
    for step in tables.ipv4.rules.iter().filter(|step| step.selector.selects(key)) {
        match step.action {
            RuleAction::Hop(hop) => return hop,
            RuleAction::Lookup(fib) => match tables.ipv4.fibs[usize::from(fib.0)].lookup(key.destination) {
                0 => {}
                hop => return HopId(hop),
            },
        }
    }
    HopId::NONE
}

fn action(node: &Node, key: &RouteKey) -> Action {
    let id = published(&node.tables, key).resolve().expect("no group");
    node.tables.adjacencies[id.index()].action.clone()
}

fn key(source: &str, destination: &str) -> RouteKey {
    let number = |text: &str| text.parse::<Ipv4Addr>().expect("an address").into();
    RouteKey { source: number(source), destination: number(destination), iif: None, tos: 0, protocol: 17 }
}

fn states(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            states(&path, found);
        } else if path.file_stem().is_some_and(|stem| stem == "state") {
            found.push(path);
        }
    }
}

#[test]
fn every_shipped_state_resolves() {
    let mut found = Vec::new();
    states(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcap-fixtures"), &mut found);
    assert!(found.len() > 10, "{found:?}");
    for path in found {
        let state = NodeState::load(&path).expect("a state");
        let node = Node::build(&state, &Config::default(), Behind::Nothing);
        assert_eq!(node.tables.verify(), Ok(()), "{}", path.display());
        let is_send =
            |adjacency: &packetwalk_walk::tables::Adjacency| matches!(adjacency.action, Action::Send { .. });
        assert!(node.tables.adjacencies.iter().any(is_send), "{}", path.display());
    }
}

const LINKS: &str = r#""addr": [
    {"ifname": "lo", "flags": ["LOOPBACK", "UP"], "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},
    {"ifname": "eth0", "address": "02:00:00:00:00:01", "addr_info": [{"local": "10.0.0.1", "prefixlen": 24}]},
    {"ifname": "eth1", "address": "02:00:00:00:00:02", "linkinfo": {"info_kind": "veth"},
     "addr_info": [{"local": "10.8.0.1", "prefixlen": 32}]},
    {"ifname": "eth2", "address": "02:00:00:00:00:03", "linkinfo": {"info_kind": "veth"},
     "addr_info": [{"local": "10.8.1.1", "prefixlen": 24}]},
    {"ifname": "wg0", "link_type": "none", "linkinfo": {"info_kind": "wireguard"}},
    {"ifname": "eth0.7", "link": "eth0", "address": "02:00:00:00:00:01", "linkinfo": {"info_kind": "vlan",
     "info_data": {"id": 7}}}]"#;

#[test]
fn refusals_have_the_kernels_codes() {
    let node = build(&format!(
        r#"{{{LINKS}, "route": [{{"type": "blackhole", "dst": "1.0.0.0/8"}}, {{"type": "unreachable", "dst": "2.0.0.0/8"}},
        {{"type": "prohibit", "dst": "3.0.0.0/8"}}, {{"dst": "6.0.0.0/8", "dev": "wg0"}},
        {{"dst": "7.0.0.0/8", "dev": "eth0", "encap": "mpls"}}, {{"dst": "8.0.0.0/8", "dev": "gone"}}],
        "rule": [{{"priority": 0, "table": "local"}}, {{"priority": 1, "dst": "4.4.4.4", "action": "unreachable"}},
        {{"priority": 2, "dst": "5.5.5.5", "action": "blackhole"}}, {{"priority": 3, "dst": "9.9.9.9", "sport": 5}},
        {{"priority": 32766, "table": "main"}}]}}"#
    ));
    let refuse = |reason, code| Action::Refuse { reason, code };
    for (destination, expected) in [
        ("1.1.1.1", refuse(DropReason::Blackhole, None)),
        ("2.1.1.1", refuse(DropReason::Unreachable, Some(1))),
        ("3.1.1.1", refuse(DropReason::Prohibit, Some(13))),
        ("4.4.4.4", refuse(DropReason::Unreachable, Some(0))),
        ("5.5.5.5", refuse(DropReason::Blackhole, None)),
        ("6.1.1.1", Action::Fail(DropReason::NeighbourUnresolved)),
        ("7.1.1.1", Action::Punt(PuntReason::NotHeld)),
        ("8.1.1.1", Action::Fail(DropReason::LinkDown)),
        ("9.9.9.9", Action::Punt(PuntReason::NotHeld)),
        ("99.1.1.1", refuse(DropReason::NoRoute, Some(0))),
        ("10.0.0.1", Action::Local),
        ("10.0.0.255", Action::Local),
        ("127.0.0.9", Action::Local),
    ] {
        assert_eq!(action(&node, &key("10.1.1.1", destination)), expected, "{destination}");
    }
    let texts: Vec<_> = node.findings.iter().map(ToString::to_string).collect();
    for named in ["wg0", "encap", "gone", "rule 3"] {
        assert!(texts.iter().any(|text| text.contains(named)), "{named}: {texts:?}");
    }
}

#[test]
fn ports_have_roles_and_vlans() {
    let node = build(&format!(
        r#"{{{LINKS}, "netconf": [{{"interface": "eth1", "proxy_neigh": true}},
        {{"interface": "eth2", "forwarding": false}}, {{"interface": "all", "forwarding": false}}]}}"#
    ));
    assert_eq!(node.port_names, ["eth0", "eth1", "eth2", "eth0.7"]);
    let roles: Vec<_> = node.tables.ports.iter().map(|port| port.role).collect();
    assert_eq!(roles, [Role::Uplink, Role::Workload, Role::Uplink, Role::Uplink]);
    assert_eq!(&*node.tables.ports[0].vlans, [7]);
    let switches: Vec<_> = node.tables.links.iter().map(|link| (link.forwarding, link.proxy_arp)).collect();
    assert_eq!(switches[1..4], [(true, false), (true, true), (false, false)]);
    assert_eq!(node.tables.ipv4.node_address, Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert!(
        node.tables.is_own(0x0a00_0001)
            && node.tables.is_own(0x7f00_0001)
            && !node.tables.is_own(0x0a00_0002)
    );
}

#[test]
fn tables_that_follow_one_another_share_a_fib_and_conditions_divide() {
    let rules = r#"{"priority": 0, "table": "local"}, {"priority": 5, "src": "10.1.0.0", "srclen": 16, "table": 77},
        {"priority": 6, "src": "10.2.0.0", "srclen": 16, "table": 77}, {"priority": 32766, "table": "main"},
        {"priority": 32767, "table": "default"}"#;
    let node = build(&format!(
        r#"{{{LINKS}, "route": [{{"type": "blackhole", "dst": "1.0.0.0/8", "table": 77}},
        {{"type": "prohibit", "dst": "1.0.0.0/8"}}], "rule": [{rules}]}}"#
    ));
    assert_eq!(node.tables.ipv4.rules.len(), 4);
    assert_eq!(node.tables.ipv4.fibs.len(), 3, "the table of both conditions is one");
    assert_eq!(node.fib_tables(FibId(0)), [TableId::LOCAL]);
    let plain = build(&format!("{{{LINKS}}}"));
    assert_eq!(plain.tables.ipv4.rules.len(), 1);
}

/// The hop that the RIB's answer stands for, told by what it says: tables and RIB number nothing alike.
fn told(node: &Node, key: &RouteKey) -> String {
    match node.rib.lookup(key) {
        Answer::NoRoute => "no route".into(),
        Answer::Rule(rule) => match rule.action {
            Said::Refuse(reason, code) => format!("refuse {reason} {code:?}"),
            Said::NotHeld => "not held".into(),
            Said::Lookup(_) => "lookup".into(),
        },
        Answer::Match(found) => match found.route.hops.first() {
            Some(hop) if found.route.kind == RouteKind::Unicast => format!("via {:?}", hop.gateway),
            _ => found.route.kind.name().into(),
        },
    }
}

fn walked(node: &Node, key: &RouteKey) -> String {
    let id = published(&node.tables, key).resolve().expect("no group");
    match &node.tables.adjacencies[id.index()].action {
        Action::Refuse { reason: DropReason::NoRoute, .. } => "no route".into(),
        Action::Refuse { reason: DropReason::Blackhole, code: None } => "blackhole".into(),
        Action::Refuse { reason, code: Some(1) } => reason.name().into(),
        Action::Refuse { reason, code } => format!("refuse {reason} {code:?}"),
        Action::Punt(_) => "not held".into(),
        Action::Local => "local".into(),
        _ => format!("via {:?}", node.way(id).expect("a way").gateway),
    }
}

/// Few addresses, so that prefixes nest and are hit: 8 x 2 x 256.
fn narrow(bits: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x1000_0000 | (bits & 0x0700) << 16 | (bits & 0x1800) << 5 | bits & 0xff)
}

#[derive(Clone, Debug)]
struct Drawn {
    table: u32,
    length: u8,
    bits: u32,
    kind: u8,
    metric: u32,
}

fn json_of(routes: &[Drawn], rules: &[(u8, u8, u32, u32)]) -> String {
    let mut json = format!("{{{LINKS}, \"route\": [{{}}");
    for (number, route) in routes.iter().enumerate() {
        let prefix = Ipv4Net::new_assert(narrow(route.bits), route.length).trunc();
        let what = match route.kind {
            0 => r#""type": "blackhole""#.to_owned(),
            1 => r#""type": "throw""#.to_owned(),
            2 => r#""type": "unreachable""#.to_owned(),
            _ => format!(r#""dev": "eth0", "gateway": "10.0.{}.{}""#, number / 256, number % 256),
        };
        let (table, metric) = (route.table, route.metric);
        write!(json, r#", {{"dst": "{prefix}", "table": {table}, "metric": {metric}, {what}}}"#)
            .expect("a string");
    }
    json += "], \"rule\": [{\"priority\": 0, \"table\": \"local\"}";
    for (number, (kind, action, table, bits)) in rules.iter().enumerate() {
        let selector = match kind {
            0 => format!(r#""src": "{}", "srclen": 32"#, narrow(*bits)),
            1 => format!(
                r#""not": null, "src": "{}", "srclen": 8"#,
                Ipv4Net::new_assert(narrow(*bits), 8).trunc().addr()
            ),
            2 => r#""ipproto": "tcp""#.to_owned(),
            _ => r#""src": "all""#.to_owned(),
        };
        let says = match action {
            0 if *kind < 3 => r#""action": "prohibit""#.to_owned(),
            1 if *kind < 3 => r#""fwmark": "0x1""#.to_owned(),
            _ => format!(r#""table": {table}"#),
        };
        write!(json, r#", {{"priority": {}, {selector}, {says}}}"#, number + 1).expect("a string");
    }
    json + "]}"
}

proptest! {
    /// Merged, layered and divided as they are, the published tables say what looking through rule after rule says.
    #[test]
    fn published_tables_say_what_the_rules_say(
        routes in prop::collection::vec(
            (1u32..5, prop_oneof![Just(0u8), 4u8..=32], any::<u32>(), 0u8..9, 0u32..3)
                .prop_map(|(table, length, bits, kind, metric)| Drawn { table, length, bits, kind, metric }),
            0..40,
        ),
        rules in prop::collection::vec((0u8..7, 0u8..6, 1u32..5, any::<u32>()), 0..8),
        asked in prop::collection::vec((any::<u32>(), any::<u32>(), any::<bool>()), 64),
    ) {
        let node = build(&json_of(&routes, &rules));
        for (source, destination, is_tcp) in asked {
            let key = RouteKey {
                source: narrow(source).into(),
                destination: narrow(destination).into(),
                iif: None,
                tos: 0,
                protocol: if is_tcp { 6 } else { 17 },
            };
            prop_assert_eq!(walked(&node, &key), told(&node, &key), "{:?}", key);
        }
    }
}
