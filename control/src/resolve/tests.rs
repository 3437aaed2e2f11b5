use super::*;
use crate::node::Node;
use crate::state::NodeState;
use packetwalk_walk::tables::{IpipEntry, TunnelId, UdpChecksum, Vni, VxlanEntry};

/// Links of a node with a tunnel of each kind and a bridge; the underlay is eth0 and eth1.
const LINKS: &str = r#""addr": [
    {"ifname": "lo", "flags": ["LOOPBACK", "UP"], "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},
    {"ifname": "eth0", "address": "02:00:00:00:00:01", "mtu": 1500,
     "addr_info": [{"local": "10.0.0.1", "prefixlen": 24}, {"local": "10.7.0.1", "prefixlen": 24}]},
    {"ifname": "eth1", "address": "02:00:00:00:00:02", "mtu": 1400,
     "addr_info": [{"local": "10.1.0.1", "prefixlen": 24}]},
    {"ifname": "tunl0", "mtu": 1480, "link_type": "ipip", "address": "0.0.0.0", "addr_info":
     [{"local": "192.168.1.0", "prefixlen": 32}], "linkinfo": {"info_kind": "ipip",
     "info_data": {"remote": "any", "local": "any", "ttl": 0, "pmtudisc": false}}},
    {"ifname": "tun1", "mtu": 1480, "linkinfo": {"info_kind": "ipip", "info_data":
     {"remote": "10.0.0.9", "local": "10.7.0.1", "ttl": 7, "pmtudisc": true}}},
    {"ifname": "vx1", "address": "02:00:00:00:00:0a", "mtu": 1450, "linkinfo": {"info_kind": "vxlan", "info_data":
     {"id": 4660, "port": 4789, "port_range": {"low": 5000, "high": 5009}, "df": "set"}},
     "addr_info": [{"local": "10.244.1.0", "prefixlen": 32}]},
    {"ifname": "br0", "address": "02:00:00:00:00:0b", "linkinfo": {"info_kind": "bridge"},
     "addr_info": [{"local": "10.5.0.1", "prefixlen": 24}]},
    {"ifname": "veth1", "address": "02:00:00:00:00:0c", "master": "br0", "linkinfo": {"info_kind": "veth",
     "info_slave_kind": "bridge", "info_slave_data": {"state": "forwarding", "hairpin": true}}},
    {"ifname": "vx2", "address": "02:00:00:00:00:0d", "master": "br0", "mtu": 1450, "linkinfo": {"info_kind": "vxlan",
     "info_data": {"id": 5, "port": 4789, "local": "10.0.0.1", "ttl": 9}}},
    {"ifname": "down0", "address": "02:00:00:00:00:0e", "flags": [], "addr_info":
     [{"local": "10.6.0.1", "prefixlen": 24}]}],
  "neigh": [{"dst": "10.0.0.9", "dev": "eth0", "lladdr": "02:00:00:00:09:00"},
    {"dst": "10.0.0.8", "dev": "eth0", "lladdr": "02:00:00:00:08:00"},
    {"dst": "10.0.0.7", "dev": "eth0", "lladdr": "02:00:00:00:07:00", "state": ["FAILED"]},
    {"dst": "10.1.0.9", "dev": "eth1", "lladdr": "02:00:00:01:09:00"},
    {"dst": "fe80::9", "dev": "eth0", "lladdr": "02:00:00:00:06:00"},
    {"dst": "10.244.2.0", "dev": "vx1", "lladdr": "02:00:00:00:02:00"},
    {"dst": "10.244.3.0", "dev": "vx1", "lladdr": "02:00:00:00:03:00"},
    {"dst": "10.244.4.0", "dev": "vx1", "lladdr": "02:00:00:00:04:00"},
    {"dst": "10.5.0.2", "dev": "br0", "lladdr": "02:00:00:05:00:02"},
    {"dst": "10.5.0.3", "dev": "br0", "lladdr": "02:00:00:05:00:03"},
    {"dst": "10.5.0.4", "dev": "br0", "lladdr": "02:00:00:05:00:04"}],
  "fdb": [{"mac": "02:00:00:00:02:00", "ifname": "vx1", "dst": "10.0.0.9", "flags": ["self"], "state": "permanent"},
    {"mac": "02:00:00:00:04:00", "ifname": "vx1", "dst": "172.31.0.1", "flags": ["self"], "state": "permanent"},
    {"mac": "02:00:00:05:00:02", "ifname": "veth1", "master": "br0", "state": ""},
    {"mac": "02:00:00:05:00:03", "ifname": "vx2", "master": "br0", "state": ""},
    {"mac": "02:00:00:05:00:03", "ifname": "vx2", "dst": "10.0.0.8", "flags": ["self"]},
    {"mac": "02:00:00:00:00:0c", "ifname": "veth1", "master": "br0", "state": "permanent"}]"#;

fn node_behind(routes: &str, behind: Behind) -> Node {
    let connected = r#"{"dst": "10.0.0.0/24", "dev": "eth0", "scope": "link", "prefsrc": "10.0.0.1"},
        {"dst": "10.1.0.0/24", "dev": "eth1", "scope": "link"}, {"dst": "10.5.0.0/24", "dev": "br0", "scope": "link"}"#;
    let state = format!(r#"{{{LINKS}, "route": [{connected}, {routes}]}}"#);
    let state = NodeState::parse(&state, "node.json").expect("a state");
    let node = Node::build(&state, &Config::default(), behind);
    assert_eq!(node.tables.verify(), Ok(()));
    node
}

fn node(routes: &str) -> Node {
    node_behind(routes, Behind::Nothing)
}

fn hop(node: &Node, destination: &str) -> HopId {
    let fib = &node.tables.ipv4.fibs[0];
    HopId(fib.lookup(destination.parse::<Ipv4Addr>().expect("an address").into()))
}

fn adjacency<'a>(node: &'a Node, destination: &str) -> &'a Adjacency {
    &node.tables.adjacencies[hop(node, destination).resolve().expect("no group").index()]
}

fn neighbour<'a>(node: &'a Node, link: &str, address: &str) -> Option<&'a Adjacency> {
    let key = node.link(link).expect("a link").key(address.parse().expect("an address"));
    node.tables.ipv4.neighbours.find(key).map(|id| &node.tables.adjacencies[id as usize])
}

/// Rewrite in hexadecimal, name of the port, encapsulation.
fn sent<'a>(node: &'a Node, adjacency: &'a Adjacency) -> (String, &'a str, &'a Encapsulation) {
    let Action::Send { rewrite, port, encapsulation } = &adjacency.action else {
        unreachable!("{adjacency:?} sends nothing")
    };
    let hex = rewrite.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    (hex, &node.port_names[port.index()], encapsulation)
}

fn has_finding(node: &Node, words: &[&str]) -> bool {
    node.findings.iter().any(|finding| words.iter().all(|word| finding.text.contains(word)))
}

const TO_9: &str = "020000000900020000000001" /* Ethernet addresses */;

#[test]
fn a_gateway_becomes_an_ethernet_header() {
    let node = node(
        r#"{"dst": "1.0.0.0/8", "gateway": "10.0.0.9", "dev": "eth0"},
        {"dst": "2.0.0.0/8", "gateway": "10.0.0.9", "dev": "eth0", "metrics": [{"mtu": 1300}], "prefsrc": "10.7.0.1"},
        {"dst": "3.0.0.0/8", "via": {"family": "inet6", "host": "fe80::9"}, "dev": "eth0"},
        {"dst": "4.4.4.4", "gateway": "10.0.0.9"}"#,
    );
    let plain = adjacency(&node, "1.1.1.1");
    assert_eq!(sent(&node, plain), (format!("{TO_9}0800"), "eth0", &Encapsulation::None));
    assert_eq!((plain.mtu, plain.source), (1500, Some(Ipv4Addr::new(10, 0, 0, 1))));
    let narrow = adjacency(&node, "2.1.1.1");
    assert_eq!((narrow.mtu, narrow.source), (1300, Some(Ipv4Addr::new(10, 7, 0, 1))));
    assert_eq!(sent(&node, adjacency(&node, "3.1.1.1")).0, "0200000006000200000000010800");
    assert_eq!(
        adjacency(&node, "4.4.4.4"),
        plain,
        "the link is found by the gateway, and equal adjacencies are one"
    );
}

#[test]
fn a_connected_prefix_looks_its_neighbours_up() {
    let node = node(r#"{"dst": "10.0.0.8", "dev": "eth0", "scope": "link"}"#);
    assert_eq!(adjacency(&node, "10.0.0.9").action, Action::Connected);
    let known = neighbour(&node, "eth0", "10.0.0.9").expect("a neighbour");
    assert_eq!(sent(&node, known), (format!("{TO_9}0800"), "eth0", &Encapsulation::None));
    assert_eq!(known.source, Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(neighbour(&node, "eth0", "10.0.0.7"), None, "FAILED is no neighbour");
    assert_eq!(sent(&node, adjacency(&node, "10.0.0.8")).0, "0200000008000200000000010800");
}

#[test]
fn an_ipip_rewrite_is_ethernet_and_ipv4() {
    let node = node(
        r#"{"dst": "1.0.0.0/8", "gateway": "10.0.0.9", "dev": "tunl0", "flags": ["onlink"]},
        {"dst": "2.0.0.0/8", "dev": "tun1"}, {"dst": "3.0.0.0/8", "gateway": "10.1.0.9", "dev": "tunl0"}"#,
    );
    let any = adjacency(&node, "1.1.1.1");
    let outer = "4500000000000000000400000a0000010a000009";
    let remote = Ipv4Addr::new(10, 0, 0, 9);
    let entry = Encapsulation::Ipip(IpipEntry { remote, inherit_ttl: true, set_df: false });
    assert_eq!(sent(&node, any), (format!("{TO_9}0800{outer}"), "eth0", &entry));
    assert_eq!((any.mtu, any.source), (1480, Some(Ipv4Addr::new(192, 168, 1, 0))));
    assert_eq!(any.link, node.link("tunl0").expect("a link"));
    let fixed = adjacency(&node, "2.1.1.1");
    let outer = "4500000000004000070400000a0700010a000009";
    let entry = Encapsulation::Ipip(IpipEntry { remote, inherit_ttl: false, set_df: true });
    assert_eq!(sent(&node, fixed), (format!("{TO_9}0800{outer}"), "eth0", &entry));
    let narrow = adjacency(&node, "3.1.1.1");
    assert_eq!(narrow.mtu, 1380, "what eth1 leaves");
    assert!(sent(&node, narrow).0.ends_with("0a0100010a010009"));
}

#[test]
fn a_vxlan_rewrite_goes_on_to_the_inner_ethernet_header() {
    let node =
        node(r#"{"dst": "10.244.2.0/24", "gateway": "10.244.2.0", "dev": "vx1", "flags": ["onlink"]}"#);
    let entered = adjacency(&node, "10.244.2.7");
    let outer = "4500000000004000401100000a0000010a000009";
    let udp = "000012b500000000";
    let vxlan = "0800000000123400";
    let inner = "02000000020002000000000a0800";
    let entry = Encapsulation::Vxlan(VxlanEntry {
        remote: Ipv4Addr::new(10, 0, 0, 9),
        inherit_df: false,
        inherit_ttl: false,
        checksum: UdpChecksum::Zero,
        port_low: 5000,
        port_count: 10,
    });
    assert_eq!(sent(&node, entered), (format!("{TO_9}0800{outer}{udp}{vxlan}{inner}"), "eth0", &entry));
    assert_eq!((entered.mtu, entered.source), (1450, Some(Ipv4Addr::new(10, 244, 1, 0))));
    let way = node.way(hop(&node, "10.244.2.7").resolve().expect("no group")).expect("a way");
    assert_eq!(way.vtep.map(|vtep| vtep.remote), Some(Ipv4Addr::new(10, 0, 0, 9)));
    assert_eq!(way.mtu.len(), 2);
    assert_eq!(way.mtu[1], MtuTerm::Underlay(1500, 50));
}

#[test]
fn a_bridge_leads_to_a_port_or_into_a_vxlan_member() {
    let node = node(r#"{"dst": "1.0.0.0/8", "gateway": "10.5.0.4", "dev": "br0"}"#);
    let member = neighbour(&node, "br0", "10.5.0.2").expect("a neighbour");
    assert_eq!(sent(&node, member), ("02000005000202000000000b0800".into(), "veth1", &Encapsulation::None));
    let beyond = neighbour(&node, "br0", "10.5.0.3").expect("a neighbour");
    let (rewrite, port, _) = sent(&node, beyond);
    assert_eq!(port, "eth0");
    assert!(rewrite.ends_with("02000005000302000000000b0800"), "{rewrite}");
    assert!(rewrite.contains("091100000a0000010a000008"), "TTL 9, source and VTEP: {rewrite}");
    assert_eq!((beyond.mtu, beyond.link), (1450, node.link("br0").expect("a link")));
    assert_eq!(
        adjacency(&node, "1.1.1.1").action,
        Action::Punt(PuntReason::Bridge),
        "no entry: the bridge floods"
    );
    let bridge = &node.tables.bridges[0];
    assert_eq!(bridge.stations.len(), 1, "the member's own address and stations beyond a tunnel are none");
    assert!(bridge.switches && bridge.own.contains(0x0a05_0001));
    let membership = node.tables.ports[node.port("veth1").expect("a port").index()].bridge.expect("a member");
    assert!(membership.forwarding && membership.hairpin);
}

#[test]
fn what_is_missing_is_named_and_fails_by_its_own_reason() {
    let routes = r#"{"dst": "1.0.0.0/8", "gateway": "10.0.0.7", "dev": "eth0"},
        {"dst": "2.0.0.0/8", "gateway": "10.244.3.0", "dev": "vx1"},
        {"dst": "3.0.0.0/8", "gateway": "10.244.4.0", "dev": "vx1"},
        {"dst": "4.0.0.0/8", "gateway": "10.244.9.0", "dev": "vx1"},
        {"dst": "5.0.0.0/8", "gateway": "172.31.0.1", "dev": "tunl0"},
        {"dst": "6.0.0.0/8", "gateway": "6.6.6.6", "dev": "tunl0"},
        {"dst": "7.0.0.0/8", "dev": "tunl0"}, {"dst": "8.0.0.0/8", "gateway": "10.0.0.1", "dev": "tunl0"},
        {"dst": "9.0.0.0/8", "gateway": "10.6.0.9", "dev": "down0"},
        {"dst": "11.0.0.0/8", "gateway": "10.0.0.7", "dev": "tunl0"}"#;
    let node = node(routes);
    for (destination, reason, words) in [
        ("1.1.1.1", DropReason::NeighbourUnresolved, ["1.0.0.0/8", "10.0.0.7 dev eth0"]),
        ("2.1.1.1", DropReason::FdbMissing, ["2.0.0.0/8", "02:00:00:00:03:00 dev vx1"]),
        ("3.1.1.1", DropReason::TunnelUnroutable, ["3.0.0.0/8", "no route to 172.31.0.1"]),
        ("4.1.1.1", DropReason::NeighbourUnresolved, ["4.0.0.0/8", "10.244.9.0 dev vx1"]),
        ("5.1.1.1", DropReason::TunnelUnroutable, ["5.0.0.0/8", "no route to 172.31.0.1"]),
        ("6.1.1.1", DropReason::TunnelLoop, ["6.0.0.0/8", "into tunl0 itself"]),
        ("7.1.1.1", DropReason::TunnelLoop, ["7.0.0.0/8", "tunl0"]),
        ("8.1.1.1", DropReason::TunnelLoop, ["8.0.0.0/8", "is this node itself"]),
        ("9.1.1.1", DropReason::LinkDown, ["9.0.0.0/8", "down0 is down"]),
        ("11.1.1.1", DropReason::NeighbourUnresolved, ["11.0.0.0/8", "10.0.0.7 dev eth0"]),
    ] {
        assert_eq!(adjacency(&node, destination).action, Action::Fail(reason), "{destination}");
        assert!(has_finding(&node, &words), "{words:?} in {:?}", node.findings);
    }
    let failed = adjacency(&node, "1.1.1.1");
    assert_eq!(
        (failed.mtu, failed.source),
        (1500, Some(Ipv4Addr::new(10, 0, 0, 1))),
        "TTL and MTU are checked first"
    );

    let live = node_behind(routes, Behind::Kernel);
    assert_eq!(adjacency(&live, "1.1.1.1").action, Action::Punt(PuntReason::Neighbour));
    assert_eq!(adjacency(&live, "2.1.1.1").action, Action::Fail(DropReason::FdbMissing));
}

#[test]
fn several_next_hops_share_by_weight_and_over_the_underlay() {
    let node = node(
        r#"{"dst": "1.0.0.0/8", "nexthops": [{"gateway": "10.0.0.9", "dev": "eth0", "weight": 3},
            {"gateway": "10.1.0.9", "dev": "eth1"}, {"gateway": "10.0.0.8", "dev": "eth0", "flags": ["dead"]}]},
        {"dst": "2.0.0.0/8", "nexthops": [{"gateway": "10.0.0.9", "dev": "eth0"},
            {"gateway": "10.0.0.8", "dev": "eth0", "flags": ["dead"]}]},
        {"dst": "172.31.0.1", "nexthops": [{"gateway": "10.0.0.9", "dev": "eth0"}, {"gateway": "10.1.0.9", "dev": "eth1"}]},
        {"dst": "3.0.0.0/8", "nexthops": [{"gateway": "172.31.0.1", "dev": "tunl0"},
            {"gateway": "10.0.0.8", "dev": "eth0"}]}"#,
    );
    let weights = |destination| {
        let members = node.members(hop(&node, destination));
        members
            .iter()
            .map(|(weight, id)| (*weight, node.link_names[adjacency_link(&node, *id)].as_str()))
            .collect::<Vec<_>>()
    };
    assert_eq!(weights("1.1.1.1"), [(3, "eth0"), (1, "eth1")]);
    assert!(hop(&node, "2.1.1.1").resolve().is_ok(), "one that is left is no group");
    assert_eq!(weights("3.1.1.1"), [(1, "tunl0"), (1, "tunl0"), (2, "eth0")]);
    let members = node.members(hop(&node, "3.1.1.1"));
    let ports = members.iter().map(|(_, id)| sent(&node, &node.tables.adjacencies[id.index()]).1);
    assert_eq!(ports.collect::<Vec<_>>(), ["eth0", "eth1", "eth0"]);
}

fn adjacency_link(node: &Node, id: AdjacencyId) -> usize {
    node.tables.adjacencies[id.index()].link.index()
}

#[test]
fn removing_a_next_hop_moves_its_own_flows_only() {
    let hops = |gateways: &[u8]| {
        let hops = gateways.iter().map(|last| format!(r#"{{"gateway": "10.0.0.{last}", "dev": "eth0"}}"#));
        node(&format!(r#"{{"dst": "1.0.0.0/8", "nexthops": [{}]}}"#, hops.collect::<Vec<_>>().join(", ")))
    };
    let (before, after) = (hops(&[8, 9, 7]), hops(&[9, 7]));
    let gateways = |node: &Node| {
        let buckets = node.tables.groups[0].buckets().to_vec();
        buckets.into_iter().map(|id| node.way(id).expect("a way").gateway).collect::<Vec<_>>()
    };
    let removed = Some(IpAddr::from([10, 0, 0, 8]));
    for (old, new) in gateways(&before).into_iter().zip(gateways(&after)) {
        assert!(old == new || old == removed);
    }
}

#[test]
fn tunnels_accept_their_peers() {
    let node = node(r#"{"dst": "1.0.0.0/8", "gateway": "10.0.0.8", "dev": "tunl0", "flags": ["onlink"]}"#);
    let tunnels = &node.tables.tunnels;
    let names: Vec<_> =
        tunnels.all().iter().map(|tunnel| node.link_names[tunnel.link.index()].as_str()).collect();
    assert_eq!(names, ["tunl0", "tun1", "vx1", "vx2"]);
    let accepts = |place: u16, peer: [u8; 4]| {
        tunnels.accepts(tunnels.tunnel(TunnelId(place)), u32::from_be_bytes(peer))
    };
    assert!(accepts(0, [10, 0, 0, 8]) && !accepts(0, [10, 0, 0, 9]), "a gateway of a route");
    assert!(accepts(1, [10, 0, 0, 9]) && !accepts(1, [10, 0, 0, 8]), "its remote");
    assert!(accepts(2, [10, 0, 0, 9]) && !accepts(2, [10, 0, 0, 8]), "the remote of an entry");
    assert_eq!(tunnels.vxlan(4789, Vni::new(5).expect("a VNI")), Some(TunnelId(3)));
    assert_eq!(tunnels.vxlan(4789, Vni::new(6).expect("a VNI")), None);
}

#[test]
fn any_network_goes_to_the_first_link_of_its_port() {
    let config = "[tunnel]\nvni = \"any\"\naccept = \"any\"\n[vxlan]\nudp_csum = true\n";
    let config = Config::parse(std::path::Path::new("packetwalk.toml"), config).expect("a configuration");
    let routes = r#"{"dst": "10.0.0.0/24", "dev": "eth0"}, {"dst": "1.0.0.0/8", "gateway": "10.244.2.0", "dev": "vx1"}"#;
    let state =
        NodeState::parse(&format!(r#"{{{LINKS}, "route": [{routes}]}}"#), "node.json").expect("a state");
    let node = Node::build(&state, &config, Behind::Nothing);
    let network = |vni| {
        let id = node.tables.tunnels.vxlan(4789, Vni::new(vni).expect("a VNI"))?;
        Some(node.link_names[node.tables.tunnels.tunnel(id).link.index()].as_str())
    };
    assert_eq!([network(5), network(4660), network(6)], [Some("vx2"), Some("vx1"), Some("vx1")]);
    assert!(node.tables.tunnels.all().iter().all(|tunnel| tunnel.any_peer));
    let Encapsulation::Vxlan(entry) = sent(&node, adjacency(&node, "1.1.1.1")).2 else {
        unreachable!("VXLAN")
    };
    assert_eq!(entry.checksum, UdpChecksum::Full);
}
