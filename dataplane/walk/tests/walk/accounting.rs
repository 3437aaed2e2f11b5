//! Every frame has one outcome, and every outcome a name that something makes happen.

use crate::common::Node;
use crate::common::node::*;
use crate::common::packets::*;
use crate::common::traffic::samples;
use packetwalk_walk::{DropReason, PuntReason};
use std::collections::BTreeSet;

/// The contract's names, as it lists them.
const DROPS: &str = "runt other_host vlan_unknown ethertype_unknown arp_malformed arp_not_ours ip_version \
    ip_header_length ip_total_length ip_checksum ip_bad_source ip_bad_destination ip_not_unicast forwarding_off \
    ttl_expired mtu_exceeded fragment_failed no_route blackhole unreachable prohibit neighbour_unresolved link_down \
    tunnel_unknown tunnel_peer_unknown tunnel_from_workload tunnel_fragment tunnel_nested tunnel_loop \
    tunnel_unroutable fdb_missing udp_length udp_checksum vxlan_flags vxlan_vni inner_malformed ecn_congestion \
    tx_ring_full port_gone";
const PUNTS: &str = "local neighbour not_held multicast bridge not_ip ipv6";

/// What makes another node of the one that is made.
type Preparation<'a> = &'a dyn Fn(&mut Node);

/// Reasons that no frame can meet in the walk as it is, and why.
const UNREACHED: [(DropReason, &str); 2] = [
    (DropReason::TunnelFragment, "fragments of tunnel packets are punted to a kernel"),
    (DropReason::NoHeadroom, "a frame cannot be made with less headroom than the longest rewrite"),
];

#[test]
fn the_names_are_the_contracts() {
    let named = |names: &'static str| names.split_whitespace().collect::<BTreeSet<_>>();
    let drops: BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    // The list may grow where a case has no name.
    assert_eq!(drops.difference(&named(DROPS)).collect::<Vec<_>>(), [&"no_headroom"]);
    assert_eq!(named(DROPS).difference(&drops).count(), 0);
    assert_eq!(PuntReason::ALL.iter().map(|reason| reason.name()).collect::<BTreeSet<_>>(), named(PUNTS));
}

#[test]
fn every_reason_is_met_by_a_frame_or_known_to_be_unreached() {
    let mut drops: BTreeSet<&str> = BTreeSet::new();
    let mut punts: BTreeSet<&str> = BTreeSet::new();
    let mut meet = |node: &mut Node, port, frame: &[u8]| {
        let walked = node.receive(port, frame.to_vec());
        let met = DropReason::ALL.iter().filter(|reason| walked.counters.drop[**reason as usize] > 0);
        drops.extend(met.map(|reason| reason.name()));
        punts.extend(walked.punted.iter().map(|reason| reason.name()));
    };
    for sample in samples() {
        meet(&mut Node::new(), sample.port, &sample.frame);
    }
    // What needs another node than the one that is made.
    let transit = ip_frame(CALI_MAC, POD1_MAC, &udp(POD1, WORLD, 100));
    let too_big = ip_frame(CALI_MAC, POD1_MAC, &udp(POD1, NARROW, 1400));
    let unseen = ip_frame(CALI_MAC, POD1_MAC, &udp(POD1, UNSEEN, 100));
    let unknown = ip_frame(ETH0_MAC, PEER_MAC, &ipip(PEER, NODE, &udp(FAR_IPIP, POD1, 100)));
    let prepared: [(&[u8], Preparation<'_>); 6] = [
        (&transit, &|node| node.ring = 0),
        (&transit, &|node| node.gone.push(ETH0)),
        (&transit, &|node| node.tables.links[CALI1.index()].forwarding = false),
        (&too_big, &|node| node.set_spares(0)),
        (&unseen, &|node| node.tables.kernel_behind = true),
        (&unknown, &|node| node.tables.tunnels = crate::ipip::only_ipip1()),
    ];
    for (frame, prepare) in prepared {
        let mut node = Node::new();
        prepare(&mut node);
        let port = if frame == unknown { ETH0 } else { CALI1 };
        meet(&mut node, port, frame);
    }

    let unreached: BTreeSet<&str> = UNREACHED.iter().map(|(reason, _)| reason.name()).collect();
    let all: BTreeSet<&str> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(all.difference(&drops).copied().collect::<BTreeSet<_>>(), unreached);
    assert_eq!(punts, PuntReason::ALL.iter().map(|reason| reason.name()).collect());
}

#[test]
fn a_full_ring_and_a_port_that_went_away_are_named_for_whatever_would_leave() {
    let answered = who_has((POD1_MAC, POD1), NODE);
    let frames = [
        (ip_frame(CALI_MAC, POD1_MAC, &udp(POD1, WORLD, 100)), CALI1, ETH0),
        (ip_frame(CALI_MAC, POD1_MAC, &udp(POD1, FAR_IPIP, 100)), CALI1, ETH0),
        (ip_frame(CALI_MAC, POD1_MAC, &udp(POD1, FAR_VXLAN, 100)), CALI1, ETH0),
        (ip_frame(CALI_MAC, POD1_MAC, &udp(POD1, NARROW, 1400)), CALI1, ETH0),
        (answered, CALI1, CALI1),
        (ip_frame(POD4_MAC, POD3_MAC, &udp(POD3, POD4, 100)), VETH1, VETH2),
    ];
    for (frame, port, out) in frames {
        let mut node = Node::new();
        node.ring = 0;
        node.receive(port, frame.clone()).is_dropped(DropReason::TxRingFull);
        let mut node = Node::new();
        node.gone.push(out);
        node.receive(port, frame).is_dropped(DropReason::PortGone);
    }
}

#[test]
fn a_frame_of_a_port_that_the_tables_no_longer_have_is_port_gone() {
    let mut node = Node::new();
    node.tables.ports = node.tables.ports[..5].into();
    node.tables.bridges[0].stations = packetwalk_walk::tables::FlatMap::default();
    node.receive(VETH2, ip_frame(CNI0_MAC, POD4_MAC, &udp(POD4, POD1, 100))).is_dropped(DropReason::PortGone);
}

#[test]
fn bytes_are_those_of_the_frames_as_received_and_as_sent() {
    let mut node = Node::new();
    let ip = udp(POD1, FAR_IPIP, 100);
    let frame = ip_frame(CALI_MAC, POD1_MAC, &ip);
    node.receive(CALI1, frame);
    assert_eq!(
        (node.total.ports[CALI1.index()].rx_bytes, node.total.ports[ETH0.index()].tx_bytes),
        (114, 134)
    );
    assert_eq!(
        (node.total.ports[CALI1.index()].rx_packets, node.total.ports[ETH0.index()].tx_packets),
        (1, 1)
    );
}

#[test]
fn all_samples_together_balance() {
    let mut node = Node::new();
    let samples = samples();
    for sample in &samples {
        node.receive(sample.port, sample.frame.clone());
    }
    assert!(node.total.balance());
    assert_eq!(node.total.rx, samples.len() as u64);
    assert!(node.total.forwarded > 10 && node.total.answered > 3 && node.total.punted() > 10);
    assert!(node.total.dropped() > 20 && node.total.originated() > 5);
}
