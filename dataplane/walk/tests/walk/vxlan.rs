//! Conformance 38 to 46 for VXLAN (RFC 7348, RFC 6040).

use crate::common::node::*;
use crate::common::packets::*;
use crate::common::{Node, OnPort};
use packetwalk_walk::tables::{BridgeId, Tunnel, TunnelKind, Tunnels, Vni};
use packetwalk_walk::wire::MacAddr;
use packetwalk_walk::{DropReason, PuntReason};
use std::collections::HashSet;
use std::net::Ipv4Addr;

fn from_pod3(ip: &Ip) -> Vec<u8> {
    ip_frame(CNI0_MAC, POD3_MAC, ip)
}

fn to_pod3(ip: &Ip) -> Vec<u8> {
    ip_frame(POD3_MAC, CNI0_MAC, ip)
}

/// The UDP source port of a VXLAN frame: a free field.
fn source_port(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[34], frame[35]])
}

/// `inner` in flannel.1 as the node sends it.
fn in_flannel(inner: &Ip, id: u16, port: u16) -> Vec<u8> {
    let frame = ip_frame(VTEP_INNER_MAC, FLANNEL_MAC, inner);
    let outer = vxlan(NODE, VTEP, (port, 8472), 1, &frame).tos(inner.tos).ttl(64).id(id);
    ip_frame(VTEP_MAC, ETH0_MAC, &outer)
}

/// The outer packet in which [`VTEP`] sends `frame`.
fn by_vtep(frame: &[u8]) -> Ip {
    vxlan(VTEP, NODE, (51_234, 8472), 1, frame)
}

/// `inner` as [`VTEP`] sends it.
fn from_vtep(inner: &Ip) -> Vec<u8> {
    arriving(&by_vtep(&ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, inner)))
}

fn arriving(outer: &Ip) -> Vec<u8> {
    ip_frame(ETH0_MAC, VTEP_MAC, outer)
}

#[test]
fn entry_is_ttl_64_without_df_and_checksum_and_reserved_bits_are_zero() {
    for ttl in [2, 255] {
        for flags in [0, DF] {
            let ip = udp(POD3, FAR_VXLAN, 100).ttl(ttl).flags(flags);
            let walked = Node::new().receive(VETH1, from_pod3(&ip));
            let port = source_port(&walked.sent[0].1);
            walked.is_forwarded(ETH0, &in_flannel(&ip.forwarded(), walked.id(), port));
            assert_eq!(
                walked.sent[0].1[40..50],
                [0, 0, 8, 0, 0, 0, 0, 0, 1, 0],
                "checksum 0, then the VXLAN header"
            );
        }
    }
}

#[test]
fn entry_inherits_ttl_and_df_and_computes_the_checksum_where_asked_to() {
    // An odd length, too: the last byte counts as the upper half of a word.
    for length in [100, 101] {
        for flags in [0, DF] {
            let ip = udp(POD3, FAR_VXLAN2, length).ttl(17).flags(flags);
            let walked = Node::new().receive(VETH1, from_pod3(&ip));
            let frame = ip_frame(VTEP2_INNER_MAC, VXLAN2_MAC, &ip.forwarded());
            let port = source_port(&walked.sent[0].1);
            let outer = vxlan(NODE, VTEP2, (port, 4789), 2, &frame).ttl(16).flags(flags).id(walked.id());
            walked.is_forwarded(ETH0, &ip_frame(VTEP2_MAC, ETH0_MAC, &with_udp_checksum(outer)));
        }
    }
}

/// RFC 768: a sum that comes out zero is sent as all ones.
#[test]
fn a_computed_checksum_is_never_zero() {
    let mut node = Node::new();
    let mut all_ones = 0;
    for ids in (0..=u16::MAX).collect::<Vec<_>>().chunks(64) {
        let frames: Vec<OnPort> = ids
            .iter()
            .map(|id| (VETH1, from_pod3(&Ip::new(POD3, FAR_VXLAN2, 253, id.to_be_bytes().to_vec()))))
            .collect();
        for (_, frame) in node.burst(packetwalk_walk::Instant(0), &frames).sent {
            assert_ne!(frame[40..42], [0, 0]);
            all_ones += u32::from(frame[40..42] == [0xff, 0xff]);
        }
    }
    assert!(all_ones >= 1, "65,536 payloads give every sum");
}

#[test]
fn the_source_port_is_in_range_one_per_flow_and_spread_over_flows() {
    let mut node = Node::new();
    let mut port = |flow: u16, length: usize, destination| {
        let ip = udp_ports(POD3, destination, (10_000 + flow, 53), &pattern(length))
            .id(flow.wrapping_mul(length as u16));
        source_port(&node.receive(VETH1, from_pod3(&ip)).sent[0].1)
    };
    let mut flannel = HashSet::new();
    let mut vxlan2 = HashSet::new();
    for flow in 0..1000 {
        let first = port(flow, 64, FAR_VXLAN);
        assert!(first >= 49_152);
        assert_eq!(first, port(flow, 900, FAR_VXLAN), "flow {flow}");
        flannel.insert(first);
        let first = port(flow, 64, FAR_VXLAN2);
        assert!((50_000..50_100).contains(&first));
        vxlan2.insert(first);
    }
    // 1,000 of 16,384 ports: about 970 differ. And all of 100.
    assert!(flannel.len() > 900, "{}", flannel.len());
    assert_eq!(vxlan2.len(), 100);
}

#[test]
fn the_vtep_never_fragments_and_the_inner_sender_gets_3_4_with_the_tunnels_mtu() {
    let fits = udp(POD3, FAR_VXLAN, 1450).flags(DF);
    let walked = Node::new().receive(VETH1, from_pod3(&fits));
    assert_eq!(walked.sent[0].1.len(), 14 + 50 + 1450);
    assert_eq!(walked.sent[0].1[64..], fits.forwarded().bytes());
    let over = udp(POD3, FAR_VXLAN, 1451).flags(DF);
    let walked = Node::new().receive(VETH1, from_pod3(&over));
    let error = icmp_error(Error::TooBig(1450), NODE_CNI0, &over).id(walked.id());
    walked.is_refused(DropReason::MtuExceeded, VETH1, &to_pod3(&error));
}

#[test]
fn too_big_without_df_is_cut_inside_and_all_fragments_have_one_source_port() {
    let ip = udp(POD3, FAR_VXLAN, 1451).tos(0x02);
    let walked = Node::new().receive(VETH1, from_pod3(&ip));
    let next = ip.forwarded();
    let port = source_port(&walked.sent[0].1);
    // (1450 - 20) & !7 = 1424 bytes of payload, 1444 with the header.
    let pieces: Vec<OnPort> = [next.fragment(0..1424, true), next.fragment(1424..1431, false)]
        .iter()
        .enumerate()
        .map(|(sent, piece)| (ETH0, in_flannel(piece, walked.id_of(sent), port)))
        .collect();
    walked.is_fragmented(&pieces);
}

#[test]
fn a_packet_whose_ttl_would_be_0_never_enters() {
    let ip = udp(POD3, FAR_VXLAN, 100).ttl(1);
    let walked = Node::new().receive(VETH1, from_pod3(&ip));
    let error = icmp_error(Error::TimeExceeded, NODE_CNI0, &ip).id(walked.id());
    walked.is_refused(DropReason::TtlExpired, VETH1, &to_pod3(&error));
}

#[test]
fn at_entry_an_inner_source_that_is_the_tunnels_destination_is_tunnel_loop() {
    let frame = ip_frame(ETH0_MAC, VTEP_MAC, &udp(VTEP, FAR_VXLAN, 100));
    Node::new().receive(ETH0, frame).is_dropped(DropReason::TunnelLoop);
}

#[test]
fn exit_takes_the_outer_headers_off_and_forwards_the_inner_packet_one_hop_older() {
    for ip in
        [udp(FAR_VXLAN, POD3, 100), ping(FAR_VXLAN, POD3).flags(DF), tcp(FAR_VXLAN, POD3, (80, 40_000), b"x")]
    {
        Node::new().receive(ETH0, from_vtep(&ip)).is_forwarded(VETH1, &to_pod3(&ip.forwarded()));
        // Nor do the outer TTL, DF and options matter.
        let outer = by_vtep(&ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &ip)).ttl(1).flags(DF).options(&[1; 8]);
        Node::new().receive(ETH0, arriving(&outer)).is_forwarded(VETH1, &to_pod3(&ip.forwarded()));
        // A priority tag inside is accepted, as outside.
        let outer = by_vtep(&tagged(&ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &ip), 0xa000));
        Node::new().receive(ETH0, arriving(&outer)).is_forwarded(VETH1, &to_pod3(&ip.forwarded()));
    }
}

#[test]
fn padding_at_every_level_is_trimmed() {
    let ip = udp(FAR_VXLAN, POD3, 29);
    let mut outer = by_vtep(&padded(ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &ip)));
    // Behind the datagram, within the outer packet; and behind that, within the frame.
    outer.payload.extend_from_slice(&[0x77; 5]);
    let mut frame = arriving(&outer);
    frame.extend_from_slice(&[0x88; 3]);
    Node::new().receive(ETH0, frame).is_forwarded(VETH1, &to_pod3(&ip.forwarded()));
}

#[test]
fn without_the_i_flag_it_is_vxlan_flags_and_reserved_bits_are_ignored() {
    let ip = udp(FAR_VXLAN, POD3, 100);
    // UDP header 8, then flags, 3 reserved bytes, VNI, 1 reserved byte.
    for flags in (0..=255u8).filter(|flags| flags & 8 == 0) {
        let mut outer = by_vtep(&ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &ip));
        outer.payload[8] = flags;
        Node::new().receive(ETH0, arriving(&outer)).is_dropped(DropReason::VxlanFlags);
    }
    for (at, value) in [(8, 0xff), (9, 0xff), (10, 0xff), (11, 0xff), (15, 0xff)] {
        let mut outer = by_vtep(&ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &ip));
        outer.payload[at] = value;
        Node::new().receive(ETH0, arriving(&outer)).is_forwarded(VETH1, &to_pod3(&ip.forwarded()));
    }
}

#[test]
fn a_zero_checksum_is_accepted_a_right_one_too_and_a_wrong_one_is_udp_checksum() {
    for length in [100, 101] {
        let ip = udp(FAR_VXLAN, POD3, length);
        let outer = by_vtep(&ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &ip));
        assert_eq!(outer.payload[6..8], [0, 0]);
        let right = with_udp_checksum(outer);
        Node::new().receive(ETH0, arriving(&right)).is_forwarded(VETH1, &to_pod3(&ip.forwarded()));
        for bit in 0..16 {
            let mut wrong = right.clone();
            wrong.payload[6 + bit / 8] ^= 1 << (bit % 8);
            Node::new().receive(ETH0, arriving(&wrong)).is_dropped(DropReason::UdpChecksum);
        }
        // A payload that was damaged on its way, and addresses that were.
        let mut damaged = right.clone();
        *damaged.payload.last_mut().unwrap() ^= 0x10;
        Node::new().receive(ETH0, arriving(&damaged)).is_dropped(DropReason::UdpChecksum);
    }
}

#[test]
fn a_udp_length_beyond_its_packet_or_too_short_is_udp_length() {
    let outer = by_vtep(&ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &udp(FAR_VXLAN, POD3, 100)));
    let whole = outer.payload.len() as u16;
    for length in [0, 7, 8, 15, whole + 1, 0xffff] {
        let mut outer = outer.clone();
        outer.payload[4..6].copy_from_slice(&length.to_be_bytes());
        Node::new().receive(ETH0, arriving(&outer)).is_dropped(DropReason::UdpLength);
    }
    // A VXLAN header that ends early.
    for length in 8..16u16 {
        let mut outer = outer.clone();
        outer.payload.truncate(usize::from(length));
        outer.payload[4..6].copy_from_slice(&length.to_be_bytes());
        Node::new().receive(ETH0, arriving(&outer)).is_dropped(DropReason::UdpLength);
    }
}

#[test]
fn an_unknown_vni_is_vxlan_vni() {
    let frame = ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &udp(FAR_VXLAN, POD3, 100));
    for vni in [0, 2, 3, 256, 0x0001_0000, 0x00ff_ffff] {
        let outer = vxlan(VTEP, NODE, (50_000, 8472), vni, &frame);
        Node::new().receive(ETH0, arriving(&outer)).is_dropped(DropReason::VxlanVni);
    }
    // VNI 2 is vxlan2's, which listens on another port.
    let outer = vxlan(VTEP2, NODE, (50_000, 4789), 1, &frame);
    Node::new().receive(ETH0, arriving(&outer)).is_dropped(DropReason::VxlanVni);
}

#[test]
fn any_vni_of_a_known_peer_is_accepted_where_the_configuration_says_so() {
    let mut node = Node::new();
    node.tables.tunnels = Tunnels::new(vec![flannel(None, None)], [(FLANNEL, VTEP)]);
    let ip = udp(FAR_VXLAN, POD3, 100);
    let frame = ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &ip);
    for vni in [0, 1, 77, 0x00ff_ffff] {
        let outer = vxlan(VTEP, NODE, (50_000, 8472), vni, &frame);
        node.receive(ETH0, arriving(&outer)).is_forwarded(VETH1, &to_pod3(&ip.forwarded()));
        let outer = vxlan(STRANGER, NODE, (50_000, 8472), vni, &frame);
        node.receive(ETH0, arriving(&outer)).is_dropped(DropReason::TunnelPeerUnknown);
    }
}

fn flannel(vni: Option<u32>, bridge: Option<BridgeId>) -> Tunnel {
    let kind =
        TunnelKind::Vxlan { vni: vni.and_then(Vni::new), port: 8472, mac: MacAddr(FLANNEL_MAC), bridge };
    Tunnel { link: FLANNEL, kind, up: true, any_peer: false }
}

#[test]
fn unknown_peers_and_workloads_are_named() {
    let frame = ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &udp(FAR_VXLAN, POD3, 100));
    // VTEP2 is a peer of the other VXLAN link, PEER of an IPIP link.
    for source in [STRANGER, VTEP2, PEER, FAR_VXLAN] {
        let outer = vxlan(source, NODE, (50_000, 8472), 1, &frame);
        Node::new().receive(ETH0, arriving(&outer)).is_dropped(DropReason::TunnelPeerUnknown);
    }
    for flags in [0, MF] {
        let outer = vxlan(POD1, NODE, (50_000, 8472), 1, &frame).flags(flags);
        let from_workload = ip_frame(CALI_MAC, POD1_MAC, &outer);
        Node::new().receive(CALI1, from_workload).is_dropped(DropReason::TunnelFromWorkload);
        let outer = vxlan(POD3, NODE_CNI0, (50_000, 8472), 1, &frame).flags(flags);
        let from_member = ip_frame(CNI0_MAC, POD3_MAC, &outer);
        Node::new().receive(VETH1, from_member).is_dropped(DropReason::TunnelFromWorkload);
    }
}

#[test]
fn a_vxlan_link_that_is_down_accepts_nothing() {
    let mut node = Node::new();
    node.tables.tunnels =
        Tunnels::new(vec![Tunnel { up: false, ..flannel(Some(1), None) }], [(FLANNEL, VTEP)]);
    node.receive(ETH0, from_vtep(&udp(FAR_VXLAN, POD3, 100))).is_dropped(DropReason::LinkDown);
}

#[test]
fn udp_that_is_no_vxlan_is_the_kernels() {
    for ports in [(8472, 8473), (8472, 53), (4789, 4790)] {
        let ip = udp_ports(VTEP, NODE, ports, &pattern(100));
        Node::new().receive(ETH0, arriving(&ip)).is_punted(PuntReason::Local);
    }
    // Too short for a UDP header: it cannot be known.
    let ip = Ip::new(VTEP, NODE, 17, vec![0xc0, 0, 0x21, 0x18, 0, 8, 0]);
    Node::new().receive(ETH0, arriving(&ip)).is_punted(PuntReason::Local);
    // Where no VXLAN link is, port 8472 means nothing.
    let mut node = Node::new();
    node.tables.tunnels = Tunnels::new(Vec::new(), []);
    node.receive(ETH0, from_vtep(&udp(FAR_VXLAN, POD3, 100))).is_punted(PuntReason::Local);
}

#[test]
fn arriving_outer_fragments_go_to_the_kernel() {
    let whole = by_vtep(&ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &udp(FAR_VXLAN, POD3, 1200)));
    let trap = Ip { offset: 9, ..whole.clone() };
    for piece in
        [whole.fragment(0..800, true), whole.fragment(800..1200, false), trap.clone(), trap.flags(MF)]
    {
        Node::new().receive(ETH0, arriving(&piece)).is_punted(PuntReason::Local);
    }
    // What a later fragment holds are no ports, whatever it looks like: a workload may send it.
    let frame = ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &udp(FAR_VXLAN, POD3, 100));
    let tail = Ip { offset: 9, ..vxlan(POD1, NODE, (50_000, 8472), 1, &frame) };
    Node::new().receive(CALI1, ip_frame(CALI_MAC, POD1_MAC, &tail)).is_punted(PuntReason::Local);
}

#[test]
fn an_inner_frame_that_is_short_or_broken_is_inner_malformed() {
    let frame = ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &udp(FAR_VXLAN, POD3, 100));
    for length in 0..34 {
        Node::new()
            .receive(ETH0, arriving(&by_vtep(&frame[..length])))
            .is_dropped(DropReason::InnerMalformed);
    }
    let tag = tagged(&frame, 0);
    for length in 14..38 {
        Node::new().receive(ETH0, arriving(&by_vtep(&tag[..length]))).is_dropped(DropReason::InnerMalformed);
    }
    for at in [14, 17, 24] {
        let mut frame = frame.clone();
        frame[at] ^= 0x20;
        Node::new().receive(ETH0, arriving(&by_vtep(&frame))).is_dropped(DropReason::InnerMalformed);
    }
}

/// A fault is a fault whomever the inner frame is for.
#[test]
fn a_broken_packet_in_an_inner_broadcast_frame_is_inner_malformed() {
    let mut frame = ip_frame(BROADCAST, VTEP_INNER_MAC, &udp(FAR_VXLAN, POD3, 100));
    frame[24] ^= 1;
    Node::new().receive(ETH0, arriving(&by_vtep(&frame))).is_dropped(DropReason::InnerMalformed);
    Node::new().receive(ETH0, arriving(&by_vtep(&frame[..33]))).is_dropped(DropReason::InnerMalformed);
}

#[test]
fn an_inner_frame_for_another_mac_is_other_host_and_our_own_come_back_is_tunnel_loop() {
    let ip = udp(FAR_VXLAN, POD3, 100);
    let frame = ip_frame([0x0a, 0xf1, 0, 0, 0, 9], VTEP_INNER_MAC, &ip);
    Node::new().receive(ETH0, arriving(&by_vtep(&frame))).is_dropped(DropReason::OtherHost);
    let frame = ip_frame(FLANNEL_MAC, FLANNEL_MAC, &ip);
    Node::new().receive(ETH0, arriving(&by_vtep(&frame))).is_dropped(DropReason::TunnelLoop);
    for own in [NODE, NODE_FLANNEL, NODE_CNI0] {
        let frame = from_vtep(&udp(own, POD3, 100));
        Node::new().receive(ETH0, frame).is_dropped(DropReason::TunnelLoop);
    }
}

#[test]
fn a_unicast_packet_in_an_inner_broadcast_frame_is_ip_not_unicast_without_icmp() {
    for group in [BROADCAST, [0x01, 0, 0x5e, 0, 0, 1]] {
        for ip in [udp(FAR_VXLAN, POD3, 100), udp(FAR_VXLAN, POD3, 100).ttl(1), udp(FAR_VXLAN, NOWHERE, 100)]
        {
            let frame = ip_frame(group, VTEP_INNER_MAC, &ip);
            Node::new().receive(ETH0, arriving(&by_vtep(&frame))).is_dropped(DropReason::IpNotUnicast);
        }
    }
}

#[test]
fn broadcast_and_multicast_inside_are_the_kernels() {
    for (destination, reason) in [
        (Ipv4Addr::BROADCAST, PuntReason::Local),
        (Ipv4Addr::new(10, 244, 1, 255), PuntReason::Local),
        (NODE_FLANNEL, PuntReason::Local),
        (Ipv4Addr::new(224, 0, 0, 251), PuntReason::Multicast),
    ] {
        for to in [FLANNEL_MAC, BROADCAST] {
            let frame = ip_frame(to, VTEP_INNER_MAC, &udp(FAR_VXLAN, destination, 100));
            Node::new().receive(ETH0, arriving(&by_vtep(&frame))).is_punted(reason);
        }
    }
}

#[test]
fn what_else_an_inner_frame_carries_is_named() {
    let carry =
        |ethertype| arriving(&by_vtep(&ethernet(FLANNEL_MAC, VTEP_INNER_MAC, ethertype, &pattern(50))));
    Node::new().receive(ETH0, carry(0x86dd)).is_punted(PuntReason::Ipv6);
    for ethertype in [0x88cc, 0x0026, 0x6558] {
        Node::new().receive(ETH0, carry(ethertype)).is_dropped(DropReason::EthertypeUnknown);
    }
    let frame = tagged(&ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &udp(FAR_VXLAN, POD3, 100)), 7);
    Node::new().receive(ETH0, arriving(&by_vtep(&frame))).is_dropped(DropReason::VlanUnknown);
    // The kernel's own VXLAN link answers ARP through the tunnel.
    let request = who_has((VTEP_INNER_MAC, Ipv4Addr::new(10, 244, 2, 0)), NODE_FLANNEL);
    let walked = Node::new().receive(ETH0, arriving(&by_vtep(&request)));
    assert_eq!(walked.punted.len(), 1, "{walked}");
}

#[test]
fn an_inner_ttl_of_1_is_told_through_the_tunnel_from_its_own_address() {
    let ip = udp(FAR_VXLAN, POD3, 100).ttl(1).tos(0x02);
    let walked = Node::new().receive(ETH0, from_vtep(&ip));
    let sent = &walked.sent[0].1;
    let inner_id = u16::from_be_bytes([sent[68], sent[69]]);
    let error = icmp_error(Error::TimeExceeded, NODE_FLANNEL, &ip).id(inner_id);
    walked.is_refused(DropReason::TtlExpired, ETH0, &in_flannel(&error, walked.id(), source_port(sent)));
}

#[test]
fn a_packet_inside_for_the_node_itself_is_the_kernels_whole() {
    for own in [NODE_FLANNEL, NODE_CNI0, NODE] {
        Node::new().receive(ETH0, from_vtep(&ping(FAR_VXLAN, own))).is_punted(PuntReason::Local);
    }
}

#[test]
fn a_vxlan_packet_inside_a_vxlan_packet_for_us_is_tunnel_nested() {
    let innermost = ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &udp(FAR_VXLAN, POD3, 100));
    let frame = from_vtep(&vxlan(FAR_VXLAN, NODE, (50_000, 8472), 1, &innermost));
    Node::new().receive(ETH0, frame).is_dropped(DropReason::TunnelNested);
    let frame = from_vtep(&ipip(FAR_VXLAN, NODE, &udp(FAR_VXLAN, POD3, 100)));
    Node::new().receive(ETH0, frame).is_dropped(DropReason::TunnelNested);
}

#[test]
fn from_tunnel_to_tunnel_a_packet_is_encapsulated_again() {
    let ip = udp(FAR_VXLAN, Ipv4Addr::new(10, 244, 2, 9), 100);
    let walked = Node::new().receive(ETH0, from_vtep(&ip));
    let port = source_port(&walked.sent[0].1);
    walked.is_forwarded(ETH0, &in_flannel(&ip.forwarded(), walked.id(), port));
}

#[test]
fn a_vxlan_link_in_a_bridge_routes_what_is_for_the_bridge_and_leaves_the_rest_to_the_kernel() {
    let mut node = Node::new();
    node.tables.tunnels = Tunnels::new(vec![flannel(Some(1), Some(BridgeId(0)))], [(FLANNEL, VTEP)]);
    let ip = udp(FAR_VXLAN, POD1, 100);
    let routed = by_vtep(&ip_frame(CNI0_MAC, VTEP_INNER_MAC, &ip));
    node.receive(ETH0, arriving(&routed)).is_forwarded(CALI1, &ip_frame(POD1_MAC, CALI_MAC, &ip.forwarded()));
    for to in [POD3_MAC, BROADCAST, [0x0a, 9, 9, 9, 9, 9]] {
        let frame = by_vtep(&ip_frame(to, VTEP_INNER_MAC, &ip));
        node.receive(ETH0, arriving(&frame)).is_punted(PuntReason::Bridge);
    }
    node.tables.bridges[0].switches = false;
    node.receive(ETH0, arriving(&routed)).is_punted(PuntReason::Bridge);
}

#[test]
fn entry_copies_ecn_and_dscp() {
    for dscp in [0, 0xb8, 0xfc] {
        for ecn in 0..4 {
            let ip = udp(POD3, FAR_VXLAN, 100).tos(dscp | ecn);
            let walked = Node::new().receive(VETH1, from_pod3(&ip));
            assert_eq!(walked.sent[0].1[15], dscp | ecn);
            let port = source_port(&walked.sent[0].1);
            walked.is_forwarded(ETH0, &in_flannel(&ip.forwarded(), walked.id(), port));
        }
    }
}

/// As Linux was measured to do it, field for field: inner and outer ECN, and what goes on; None: dropped.
#[test]
fn exit_follows_rfc_6040_in_16_of_16_and_keeps_the_inner_dscp() {
    const NOT: u8 = 0;
    const ONE: u8 = 1;
    const ZERO: u8 = 2;
    const CE: u8 = 3;
    for (inner, outer, field, anomaly) in [
        (NOT, NOT, Some(NOT), false),
        (NOT, ZERO, Some(NOT), true),
        (NOT, ONE, Some(NOT), true),
        (NOT, CE, None, false),
        (ZERO, NOT, Some(ZERO), false),
        (ZERO, ZERO, Some(ZERO), false),
        (ZERO, ONE, Some(ONE), false),
        (ZERO, CE, Some(CE), false),
        (ONE, NOT, Some(ONE), false),
        (ONE, ZERO, Some(ONE), false),
        (ONE, ONE, Some(ONE), false),
        (ONE, CE, Some(CE), false),
        (CE, NOT, Some(CE), false),
        (CE, ZERO, Some(CE), false),
        (CE, ONE, Some(CE), true),
        (CE, CE, Some(CE), false),
    ] {
        let ip = udp(FAR_VXLAN, POD3, 100).tos(0x28 | inner);
        let outer_ip = by_vtep(&ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &ip)).tos(0xfc | outer);
        let walked = Node::new().receive(ETH0, arriving(&outer_ip));
        match field {
            Some(field) => walked.is_forwarded(VETH1, &to_pod3(&ip.forwarded().tos(0x28 | field))),
            None => walked.is_dropped(DropReason::EcnCongestion),
        }
        assert_eq!(walked.counters.ecn_anomalies, u64::from(anomaly), "inner {inner:02b} outer {outer:02b}");
    }
}
