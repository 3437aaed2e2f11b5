//! Conformance 29 to 37, and 44 to 46 for IPIP (RFC 2003, RFC 6040).

use crate::common::node::*;
use crate::common::packets::*;
use crate::common::{Node, OnPort};
use packetwalk_walk::tables::{Tunnel, TunnelKind, Tunnels};
use packetwalk_walk::{DropReason, PuntReason};
use std::net::Ipv4Addr;

fn from_pod1(ip: &Ip) -> Vec<u8> {
    ip_frame(CALI_MAC, POD1_MAC, ip)
}

/// `inner` in tunl0 as the node sends it: the rest of the outer header comes from the inner one.
fn in_tunl0(inner: &Ip, id: u16) -> Vec<u8> {
    let outer = ipip(NODE, PEER, inner).tos(inner.tos).ttl(inner.ttl).flags(inner.flags & DF).id(id);
    ip_frame(PEER_MAC, ETH0_MAC, &outer)
}

/// `inner` as [`PEER`] sends it.
fn from_peer(inner: &Ip) -> Vec<u8> {
    ip_frame(ETH0_MAC, PEER_MAC, &ipip(PEER, NODE, inner))
}

fn to_pod1(ip: &Ip) -> Vec<u8> {
    ip_frame(POD1_MAC, CALI_MAC, ip)
}

#[test]
fn entry_inherits_the_ttl_after_its_decrement_and_copies_df() {
    for ttl in [2, 64, 255] {
        for flags in [0, DF, RESERVED, MF] {
            let ip = udp(POD1, FAR_IPIP, 100).ttl(ttl).flags(flags);
            let walked = Node::new().receive(CALI1, from_pod1(&ip));
            walked.is_forwarded(ETH0, &in_tunl0(&ip.forwarded(), walked.id()));
        }
    }
}

#[test]
fn entry_with_a_fixed_ttl_and_pmtudisc_sets_both_whatever_the_inner_packet_says() {
    for ttl in [2, 64] {
        for flags in [0, DF] {
            let ip = udp(POD1, FAR_IPIP1, 100).ttl(ttl).flags(flags);
            let walked = Node::new().receive(CALI1, from_pod1(&ip));
            let outer = ipip(NODE, PEER1, &ip.forwarded()).ttl(33).flags(DF).id(walked.id());
            walked.is_forwarded(ETH0, &ip_frame(PEER1_MAC, ETH0_MAC, &outer));
        }
    }
}

#[test]
fn each_outer_packet_has_an_identification_of_its_own() {
    let mut node = Node::new();
    let frame = (CALI1, from_pod1(&udp(POD1, FAR_IPIP, 100)));
    let walked = node.burst(packetwalk_walk::Instant(0), &vec![frame; 64]);
    let mut ids: Vec<u16> = (0..64).map(|sent| walked.id_of(sent)).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 64);
}

#[test]
fn a_packet_whose_ttl_would_be_0_never_enters() {
    for ttl in [1, 0] {
        let ip = udp(POD1, FAR_IPIP, 100).ttl(ttl);
        let walked = Node::new().receive(CALI1, from_pod1(&ip));
        let error = icmp_error(Error::TimeExceeded, NODE, &ip).id(walked.id());
        walked.is_refused(DropReason::TtlExpired, CALI1, &to_pod1(&error));
    }
}

#[test]
fn exactly_the_tunnels_mtu_passes_and_one_byte_more_with_df_is_3_4_to_the_inner_sender() {
    for (destination, mtu) in [(FAR_IPIP, 1480), (FAR_IPIP1, 1400)] {
        let fits = udp(POD1, destination, usize::from(mtu)).flags(DF);
        let walked = Node::new().receive(CALI1, from_pod1(&fits));
        assert_eq!(walked.sent[0].1.len(), 14 + 20 + usize::from(mtu));
        assert_eq!(walked.sent[0].1[34..], fits.forwarded().bytes());
        let over = udp(POD1, destination, usize::from(mtu) + 1).flags(DF);
        let walked = Node::new().receive(CALI1, from_pod1(&over));
        let error = icmp_error(Error::TooBig(mtu), NODE, &over).id(walked.id());
        walked.is_refused(DropReason::MtuExceeded, CALI1, &to_pod1(&error));
    }
}

#[test]
fn too_big_without_df_is_cut_inside_and_the_outer_packets_never_are() {
    let ip = udp(POD1, FAR_IPIP, 1500).tos(0xb8);
    let walked = Node::new().receive(CALI1, from_pod1(&ip));
    let next = ip.forwarded();
    // (1480 - 20) & !7 = 1456.
    let pieces: Vec<OnPort> = [next.fragment(0..1456, true), next.fragment(1456..1480, false)]
        .iter()
        .enumerate()
        .map(|(sent, piece)| (ETH0, in_tunl0(piece, walked.id_of(sent))))
        .collect();
    walked.is_fragmented(&pieces);
    assert_ne!(walked.id_of(0), walked.id_of(1));
}

#[test]
fn at_entry_an_inner_source_that_is_the_tunnels_destination_is_tunnel_loop() {
    for (source, destination) in [(PEER, FAR_IPIP), (PEER1, FAR_IPIP1)] {
        let ip = udp(source, destination, 100);
        Node::new().receive(CALI1, from_pod1(&ip)).is_dropped(DropReason::TunnelLoop);
        let frame = ip_frame(ETH0_MAC, PEER_MAC, &ip);
        Node::new().receive(ETH0, frame).is_dropped(DropReason::TunnelLoop);
        // Also where it would have to be cut first.
        let ip = udp(source, destination, 1490);
        Node::new().receive(CALI1, from_pod1(&ip)).is_dropped(DropReason::TunnelLoop);
    }
}

#[test]
fn at_exit_an_inner_source_that_is_ours_is_tunnel_loop() {
    for own in [NODE, NODE_TUNL0, NODE_CNI0] {
        for destination in [POD1, NODE, NOWHERE] {
            let frame = from_peer(&udp(own, destination, 100));
            Node::new().receive(ETH0, frame).is_dropped(DropReason::TunnelLoop);
        }
    }
}

#[test]
fn exit_takes_the_outer_header_off_and_forwards_the_inner_packet_one_hop_older() {
    for ip in
        [udp(FAR_IPIP, POD1, 100), tcp(FAR_IPIP, POD1, (80, 40_000), b"x"), ping(FAR_IPIP, POD1).flags(DF)]
    {
        Node::new().receive(ETH0, from_peer(&ip)).is_forwarded(CALI1, &to_pod1(&ip.forwarded()));
        // The outer TTL plays no part, nor do outer options.
        for ttl in [0, 1, 255] {
            let outer = ipip(PEER, NODE, &ip).ttl(ttl).options(&[1; 12]);
            let frame = ip_frame(ETH0_MAC, PEER_MAC, &outer);
            Node::new().receive(ETH0, frame).is_forwarded(CALI1, &to_pod1(&ip.forwarded()));
        }
    }
}

#[test]
fn padding_behind_the_outer_and_behind_the_inner_packet_is_trimmed() {
    let ip = udp(FAR_IPIP, POD1, 29);
    let mut outer = ipip(PEER, NODE, &ip);
    outer.payload.extend_from_slice(&[0x77; 9]);
    let frame = padded(ip_frame(ETH0_MAC, PEER_MAC, &outer));
    Node::new().receive(ETH0, frame).is_forwarded(CALI1, &to_pod1(&ip.forwarded()));
}

#[test]
fn an_inner_ttl_of_0_or_1_after_exit_is_ttl_expired_with_an_error_through_the_tunnel() {
    for ttl in [1, 0] {
        let ip = udp(FAR_IPIP, POD1, 100).ttl(ttl);
        let walked = Node::new().receive(ETH0, from_peer(&ip));
        let inner_id = u16::from_be_bytes(walked.sent[0].1[38..40].try_into().unwrap());
        // What the node itself sends is not decremented on its way in.
        let error = icmp_error(Error::TimeExceeded, NODE_TUNL0, &ip).id(inner_id);
        walked.is_refused(DropReason::TtlExpired, ETH0, &in_tunl0(&error, walked.id()));
    }
}

#[test]
fn an_error_about_what_came_out_of_a_tunnel_quotes_the_packet_as_it_came_out() {
    // What was met in the tunnel the inner packet carries from there on: CE; and ECT(1), which alone shows that the error's own
    // TOS is made of it, too.
    for (outer, tos) in [(3, 0xb8 | 3), (1, 0xb8 | 1)] {
        let ip = udp(FAR_IPIP, POD1, 100).ttl(1).tos(0xb8 | 2);
        let frame = ip_frame(ETH0_MAC, PEER_MAC, &ipip(PEER, NODE, &ip).tos(outer));
        let walked = Node::new().receive(ETH0, frame);
        let inner_id = u16::from_be_bytes(walked.sent[0].1[38..40].try_into().unwrap());
        let error = icmp_error(Error::TimeExceeded, NODE_TUNL0, &ip.tos(tos)).id(inner_id);
        walked.is_refused(DropReason::TtlExpired, ETH0, &in_tunl0(&error, walked.id()));
    }
}

#[test]
fn too_big_after_exit_is_told_through_the_tunnel() {
    let mut node = Node::new();
    for adjacency in &mut node.tables.adjacencies {
        if adjacency.link.0 == CALI1.0 {
            adjacency.mtu = 1280;
        }
    }
    let ip = udp(FAR_IPIP, POD1, 1281).flags(DF);
    let walked = node.receive(ETH0, from_peer(&ip));
    let inner_id = u16::from_be_bytes(walked.sent[0].1[38..40].try_into().unwrap());
    let error = icmp_error(Error::TooBig(1280), NODE_TUNL0, &ip).id(inner_id);
    walked.is_refused(DropReason::MtuExceeded, ETH0, &in_tunl0(&error, walked.id()));
}

#[test]
fn from_tunnel_to_tunnel_a_packet_is_encapsulated_again() {
    let ip = udp(FAR_IPIP, Ipv4Addr::new(10, 65, 1, 9), 100);
    let walked = Node::new().receive(ETH0, from_peer(&ip));
    walked.is_forwarded(ETH0, &in_tunl0(&ip.forwarded(), walked.id()));
}

#[test]
fn a_packet_inside_for_the_node_itself_is_the_kernels_whole() {
    for own in [NODE, NODE_TUNL0, Ipv4Addr::BROADCAST, Ipv4Addr::new(192, 0, 2, 255)] {
        Node::new().receive(ETH0, from_peer(&ping(FAR_IPIP, own))).is_punted(PuntReason::Local);
    }
    let frame = from_peer(&udp(FAR_IPIP, Ipv4Addr::new(224, 0, 0, 5), 100));
    Node::new().receive(ETH0, frame).is_punted(PuntReason::Multicast);
}

#[test]
fn unknown_endpoints_unknown_peers_and_workloads_are_named_in_their_order() {
    let inner = udp(FAR_IPIP, POD1, 100);
    // tunl0 is for any: who is no peer is unknown.
    let stranger = ip_frame(ETH0_MAC, STRANGER_MAC, &ipip(STRANGER, NODE, &inner));
    Node::new().receive(ETH0, stranger).is_dropped(DropReason::TunnelPeerUnknown);
    // A peer of another tunnel is none of this one: ipip1 has PEER1 for its remote, and its own endpoints only.
    let elsewhere = ip_frame(ETH0_MAC, PEER1_MAC, &ipip(PEER1, NODE_ETH1, &inner));
    Node::new().receive(ETH0, elsewhere).is_dropped(DropReason::TunnelPeerUnknown);
    let frame = ip_frame(ETH0_MAC, PEER1_MAC, &ipip(PEER1, NODE, &inner));
    Node::new().receive(ETH0, frame).is_forwarded(CALI1, &to_pod1(&inner.forwarded()));

    let mut node = with_ipip1_only();
    let frame = ip_frame(ETH0_MAC, PEER_MAC, &ipip(PEER, NODE, &inner));
    node.receive(ETH0, frame).is_dropped(DropReason::TunnelUnknown);
    let frame = ip_frame(ETH0_MAC, PEER1_MAC, &ipip(PEER1, NODE_ETH1, &inner));
    node.receive(ETH0, frame).is_dropped(DropReason::TunnelUnknown);

    // A workload may not, whatever it claims; fragments and strangers included.
    for source in [POD1, PEER, STRANGER] {
        for flags in [0, MF] {
            let frame = from_pod1(&ipip(source, NODE, &inner).flags(flags));
            Node::new().receive(CALI1, frame.clone()).is_dropped(DropReason::TunnelFromWorkload);
            with_ipip1_only().receive(CALI1, frame).is_dropped(DropReason::TunnelFromWorkload);
        }
    }
    // Behind a bridge it is a workload all the same.
    let frame = ip_frame(CNI0_MAC, POD3_MAC, &ipip(POD3, NODE, &inner));
    Node::new().receive(VETH1, frame).is_dropped(DropReason::TunnelFromWorkload);
}

/// A node whose only tunnel is ipip1.
fn with_ipip1_only() -> Node {
    let mut node = Node::new();
    node.tables.tunnels = only_ipip1();
    node
}

/// ipip1 alone: packets of other endpoints belong to no tunnel.
pub fn only_ipip1() -> Tunnels {
    let kind = TunnelKind::Ipip { remote: Some(PEER1), local: Some(NODE) };
    Tunnels::new(vec![Tunnel { link: IPIP1, kind, up: true, any_peer: false }], [(IPIP1, PEER1)])
}

#[test]
fn any_peer_is_accepted_where_the_configuration_says_so() {
    let mut node = Node::new();
    let kind = TunnelKind::Ipip { remote: None, local: None };
    node.tables.tunnels = Tunnels::new(vec![Tunnel { link: TUNL0, kind, up: true, any_peer: true }], []);
    let inner = udp(FAR_IPIP, POD1, 100);
    let frame = ip_frame(ETH0_MAC, STRANGER_MAC, &ipip(STRANGER, NODE, &inner));
    node.receive(ETH0, frame).is_forwarded(CALI1, &to_pod1(&inner.forwarded()));
    node.receive(CALI1, from_pod1(&ipip(POD1, NODE, &inner))).is_dropped(DropReason::TunnelFromWorkload);
}

#[test]
fn a_tunnel_that_is_down_accepts_nothing() {
    let mut node = Node::new();
    let kind = TunnelKind::Ipip { remote: None, local: None };
    node.tables.tunnels =
        Tunnels::new(vec![Tunnel { link: TUNL0, kind, up: false, any_peer: false }], [(TUNL0, PEER)]);
    node.receive(ETH0, from_peer(&udp(FAR_IPIP, POD1, 100))).is_dropped(DropReason::LinkDown);
}

#[test]
fn a_tunnel_that_does_not_forward_is_silent() {
    let mut node = Node::new();
    node.tables.links[TUNL0.index()].forwarding = false;
    node.receive(ETH0, from_peer(&udp(FAR_IPIP, POD1, 100).ttl(1))).is_dropped(DropReason::ForwardingOff);
}

#[test]
fn where_no_ipip_tunnel_exists_the_packet_is_the_kernels() {
    let mut node = Node::new();
    node.tables.tunnels = Tunnels::new(Vec::new(), []);
    node.receive(ETH0, from_peer(&udp(FAR_IPIP, POD1, 100))).is_punted(PuntReason::Local);
    node.receive(CALI1, from_pod1(&ipip(POD1, NODE, &udp(FAR_IPIP, POD1, 100)))).is_punted(PuntReason::Local);
}

#[test]
fn ipip_for_another_host_is_forwarded_like_any_packet() {
    let ip = ipip(POD1, WORLD, &udp(POD1, NODE, 100));
    let sent = ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded());
    Node::new().receive(CALI1, from_pod1(&ip)).is_forwarded(ETH0, &sent);
}

#[test]
fn outer_fragments_are_the_kernels_and_never_decapsulated_from_a_tail() {
    let whole = ipip(PEER, NODE, &udp(FAR_IPIP, POD1, 1200));
    // A tail that looks like a packet of its own.
    let trap = Ip { offset: 10, ..ipip(PEER, NODE, &udp(FAR_IPIP, POD1, 100)) };
    for piece in
        [whole.fragment(0..800, true), whole.fragment(800..1200, false), trap.clone(), trap.flags(MF)]
    {
        Node::new().receive(ETH0, ip_frame(ETH0_MAC, PEER_MAC, &piece)).is_punted(PuntReason::Local);
    }
    // Before anybody asks whose peer it is.
    let stranger = ipip(STRANGER, NODE, &udp(FAR_IPIP, POD1, 100)).flags(MF);
    let frame = ip_frame(ETH0_MAC, STRANGER_MAC, &stranger);
    Node::new().receive(ETH0, frame).is_punted(PuntReason::Local);
}

#[test]
fn any_fault_of_an_inner_header_is_inner_malformed() {
    let inner = udp(FAR_IPIP, POD1, 100).bytes();
    let faults: [fn(&mut Vec<u8>); 8] = [
        Vec::clear,
        |ip| ip.truncate(19),
        |ip| ip.truncate(99),
        |ip| ip[0] = 0x65,
        |ip| ip[0] = 0x44,
        |ip| ip[3] = 19,
        |ip| ip[3] = 101,
        |ip| ip[8] ^= 1,
    ];
    // With the checksum that belongs to the fault where it is not the checksum that is at fault; CE outside hides nothing.
    for (number, fault) in faults.into_iter().enumerate() {
        for tos in [0, 3] {
            let mut bytes = inner.clone();
            fault(&mut bytes);
            if (3..7).contains(&number) {
                mend(&mut bytes);
            }
            let frame = ip_frame(ETH0_MAC, PEER_MAC, &Ip::new(PEER, NODE, 4, bytes).tos(tos));
            let walked = Node::new().receive(ETH0, frame);
            walked.is_dropped(DropReason::InnerMalformed);
            assert_eq!(walked.counters.ecn_anomalies, 0);
        }
    }
}

#[test]
fn addresses_inside_are_judged_by_their_own_names() {
    for source in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
        let frame = from_peer(&udp(source.parse().unwrap(), POD1, 100).ttl(1));
        Node::new().receive(ETH0, frame).is_dropped(DropReason::IpBadSource);
    }
    let frame = from_peer(&udp(FAR_IPIP, Ipv4Addr::LOCALHOST, 100));
    Node::new().receive(ETH0, frame).is_dropped(DropReason::IpBadDestination);
}

#[test]
fn nesting_is_bounded() {
    let innermost = udp(FAR_IPIP, POD1, 100);
    // A tunnel packet for us inside a tunnel packet for us, from whomever.
    for source in [PEER, PEER1, STRANGER, FAR_IPIP] {
        let frame = from_peer(&ipip(source, NODE, &innermost));
        Node::new().receive(ETH0, frame).is_dropped(DropReason::TunnelNested);
    }
    let nested = vxlan(VTEP, NODE, (50_000, 8472), 1, &ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &innermost));
    Node::new().receive(ETH0, from_peer(&nested)).is_dropped(DropReason::TunnelNested);
    // For another host it is forwarded.
    let ip = ipip(FAR_IPIP, POD1, &innermost);
    Node::new().receive(ETH0, from_peer(&ip)).is_forwarded(CALI1, &to_pod1(&ip.forwarded()));
}

#[test]
fn entry_copies_ecn_and_dscp() {
    for dscp in [0, 0xb8, 0xfc] {
        for ecn in 0..4 {
            let ip = udp(POD1, FAR_IPIP, 100).tos(dscp | ecn);
            let walked = Node::new().receive(CALI1, from_pod1(&ip));
            assert_eq!(walked.sent[0].1[15], dscp | ecn);
            walked.is_forwarded(ETH0, &in_tunl0(&ip.forwarded(), walked.id()));
        }
    }
}

/// RFC 6040 figure 4, rows inner and columns outer in the order Not-ECT, ECT(1), ECT(0), CE; None: dropped. The second table
/// holds what the figure marks (!!!) and is forwarded; what is dropped has a name of its own.
const FIGURE_4: [[Option<u8>; 4]; 4] = [
    [Some(0), Some(0), Some(0), None],
    [Some(1), Some(1), Some(1), Some(3)],
    [Some(2), Some(1), Some(2), Some(3)],
    [Some(3), Some(3), Some(3), Some(3)],
];
const DANGEROUS: [[bool; 4]; 4] =
    [[false, true, true, false], [false; 4], [false; 4], [false, true, false, false]];

#[test]
fn exit_follows_rfc_6040_in_16_of_16_and_keeps_the_inner_dscp() {
    for inner in 0..4u8 {
        for outer in 0..4u8 {
            let (field, anomaly) = (
                FIGURE_4[usize::from(inner)][usize::from(outer)],
                DANGEROUS[usize::from(inner)][usize::from(outer)],
            );
            let ip = udp(FAR_IPIP, POD1, 100).tos(0xb8 | inner);
            let frame = ip_frame(ETH0_MAC, PEER_MAC, &ipip(PEER, NODE, &ip).tos(0x48 | outer));
            let walked = Node::new().receive(ETH0, frame);
            match field {
                Some(field) => walked.is_forwarded(CALI1, &to_pod1(&ip.forwarded().tos(0xb8 | field))),
                None => walked.is_dropped(DropReason::EcnCongestion),
            }
            assert_eq!(
                walked.counters.ecn_anomalies,
                u64::from(anomaly),
                "inner {inner:02b} outer {outer:02b}"
            );
        }
    }
}
