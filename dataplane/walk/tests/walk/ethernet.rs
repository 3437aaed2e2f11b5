//! Conformance 1 to 5: whose frame is it, and what does it carry?

use crate::common::Node;
use crate::common::node::*;
use crate::common::packets::*;
use packetwalk_walk::{DropReason, PuntReason};

/// A packet that the node forwards, as it comes and as it goes.
fn transit() -> (Ip, Vec<u8>) {
    let ip = udp(POD1, WORLD, 100);
    let sent = ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded());
    (ip, sent)
}

#[test]
fn a_frame_for_another_hosts_mac_is_other_host() {
    let (ip, _) = transit();
    for port in [CALI1, ETH0, ETH1] {
        let frame = ip_frame([0x02, 0, 0, 0, 0, 0x77], POD1_MAC, &ip);
        Node::new().receive(port, frame).is_dropped(DropReason::OtherHost);
    }
    // Not even ARP for an address of ours.
    let frame = ethernet(ROUTER_MAC, POD1_MAC, 0x0806, &arp(1, (POD1_MAC, POD1), (NOBODY, NODE)));
    Node::new().receive(CALI1, frame).is_dropped(DropReason::OtherHost);
}

#[test]
fn a_broadcast_or_multicast_frame_with_a_unicast_destination_is_ip_not_unicast_without_icmp() {
    for group in [BROADCAST, [0x01, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]] {
        let (ip, _) = transit();
        let lost = [
            ip.clone(),
            ip.clone().ttl(1),
            Ip { destination: NOWHERE, ..ip.clone() },
            Ip { destination: UNREACHABLE, ..ip },
        ];
        for ip in lost {
            Node::new().receive(CALI1, ip_frame(group, POD1_MAC, &ip)).is_dropped(DropReason::IpNotUnicast);
        }
        // Our own address in one is delivered, as Linux does.
        Node::new().receive(CALI1, ip_frame(group, POD1_MAC, &ping(POD1, NODE))).is_punted(PuntReason::Local);
    }
}

#[test]
fn a_priority_tag_is_accepted_as_untagged() {
    let (ip, sent) = transit();
    let frame = tagged(&ip_frame(CALI_MAC, POD1_MAC, &ip), 0xe000);
    Node::new().receive(CALI1, frame).is_forwarded(ETH0, &sent);
    let asker = (POD1_MAC, POD1);
    let reply = is_at(CALI_MAC, NODE, asker);
    Node::new().receive(CALI1, tagged(&who_has(asker, NODE), 0)).is_answered(CALI1, &reply);
    // What is not ours is handed over with its tag.
    let frame = tagged(&ip_frame(CALI_MAC, POD1_MAC, &ping(POD1, NODE)), 0);
    Node::new().receive(CALI1, frame).is_punted(PuntReason::Local);
}

#[test]
fn an_unknown_vlan_is_vlan_unknown_and_one_of_another_link_is_the_kernels() {
    let (ip, _) = transit();
    let frame = ip_frame(ETH0_MAC, ROUTER_MAC, &ip);
    for control in [1, 24, 0xfff, 0x2001] {
        Node::new().receive(ETH0, tagged(&frame, control)).is_dropped(DropReason::VlanUnknown);
    }
    Node::new().receive(ETH0, tagged(&frame, 0xe000 | VLAN)).is_punted(PuntReason::NotHeld);
    // A priority tag before another tag carries nothing for us either.
    for inner in [0, 7] {
        let twice = tagged(&tagged(&frame, inner), 0);
        Node::new().receive(ETH0, twice).is_dropped(DropReason::VlanUnknown);
    }
    let frame = ip_frame(ETH1_MAC, ROUTER2_MAC, &ip);
    Node::new().receive(ETH1, tagged(&frame, VLAN)).is_dropped(DropReason::VlanUnknown);
}

#[test]
fn unknown_ethertypes_go_to_the_kernel_by_name() {
    for (ethertype, reason) in [
        (0x86dd, PuntReason::Ipv6),
        (0x88cc, PuntReason::NotIp),
        (0x88a8, PuntReason::NotIp),
        (0x8035, PuntReason::NotIp),
        // 802.3 with a length: spanning tree.
        (0x0026, PuntReason::NotIp),
    ] {
        for to in [CALI_MAC, [0x01, 0x80, 0xc2, 0, 0, 0]] {
            let frame = ethernet(to, POD1_MAC, ethertype, &pattern(46));
            Node::new().receive(CALI1, frame).is_punted(reason);
        }
    }
}

#[test]
fn a_frame_too_short_for_ethernet_arp_or_ip_is_runt() {
    let (ip, sent) = transit();
    let whole = ip_frame(CALI_MAC, POD1_MAC, &ip);
    for length in (0..14).chain(14..34) {
        Node::new().receive(CALI1, whole[..length].to_vec()).is_dropped(DropReason::Runt);
    }
    let tag = tagged(&whole, 0);
    for length in (14..18).chain(18..38) {
        Node::new().receive(CALI1, tag[..length].to_vec()).is_dropped(DropReason::Runt);
    }
    let request = who_has((POD1_MAC, POD1), NODE);
    for length in 14..42 {
        Node::new().receive(CALI1, request[..length].to_vec()).is_dropped(DropReason::Runt);
    }
    Node::new().receive(CALI1, whole).is_forwarded(ETH0, &sent);
}

#[test]
fn padding_beyond_the_ip_length_is_trimmed() {
    let ip = tcp(POD1, WORLD, (40_000, 80), &[]);
    let frame = padded(ip_frame(CALI_MAC, POD1_MAC, &ip));
    assert_eq!(frame.len(), 60);
    Node::new().receive(CALI1, frame).is_forwarded(ETH0, &ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded()));
    // The trailer may be longer than the packet, and the MTU is asked of the packet alone.
    let mut frame = ip_frame(CALI_MAC, POD1_MAC, &ip);
    frame.resize(1600, 0xff);
    Node::new().receive(CALI1, frame).is_forwarded(ETH0, &ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded()));
}

#[test]
fn a_port_that_is_down_takes_nothing() {
    let (ip, _) = transit();
    let mut node = Node::new();
    node.tables.ports[CALI1.index()].up = false;
    node.receive(CALI1, ip_frame(CALI_MAC, POD1_MAC, &ip)).is_dropped(DropReason::LinkDown);
    node.receive(CALI1, who_has((POD1_MAC, POD1), NODE)).is_dropped(DropReason::LinkDown);
}

#[test]
fn a_packet_may_leave_by_the_port_that_it_came_in_by() {
    let ip = udp(STRANGER, WORLD, 100);
    let frame = ip_frame(ETH0_MAC, STRANGER_MAC, &ip);
    // No redirect is sent.
    Node::new().receive(ETH0, frame).is_forwarded(ETH0, &ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded()));
}
