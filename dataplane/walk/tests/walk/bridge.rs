//! Bridges: what is for the bridge is routed, known unicast between members is switched, the rest is the kernel's.

use crate::common::Node;
use crate::common::node::*;
use crate::common::packets::*;
use packetwalk_walk::{DropReason, PuntReason};
use std::net::Ipv4Addr;

const UNKNOWN: Mac = [0x0a, 9, 9, 9, 9, 9];

#[test]
fn a_frame_for_the_bridges_mac_is_routed() {
    let ip = udp(POD3, POD1, 100);
    let sent = ip_frame(POD1_MAC, CALI_MAC, &ip.forwarded());
    Node::new().receive(VETH1, ip_frame(CNI0_MAC, POD3_MAC, &ip)).is_forwarded(CALI1, &sent);
    // The member's own address is the bridge's too.
    Node::new().receive(VETH1, ip_frame(VETH1_MAC, POD3_MAC, &ip)).is_forwarded(CALI1, &sent);
    // Another member's is not on this side: the kernel's bridge knows it.
    Node::new().receive(VETH1, ip_frame(VETH2_MAC, POD3_MAC, &ip)).is_punted(PuntReason::Bridge);
}

#[test]
fn a_routed_packet_leaves_by_its_stations_member_from_the_bridges_mac() {
    for (port, mac, pod) in [(VETH1, POD3_MAC, POD3), (VETH2, POD4_MAC, POD4)] {
        let ip = udp(POD1, pod, 100);
        let sent = ip_frame(mac, CNI0_MAC, &ip.forwarded());
        Node::new().receive(CALI1, ip_frame(CALI_MAC, POD1_MAC, &ip)).is_forwarded(port, &sent);
    }
    // Routed within the subnet, and even by the member that it came in by: no hairpin is needed for what was routed.
    for (from, pod, mac, port) in [(POD3_MAC, POD4, POD4_MAC, VETH2), (UNKNOWN, POD3, POD3_MAC, VETH1)] {
        let ip = udp(Ipv4Addr::new(10, 244, 1, 77), pod, 100);
        let sent = ip_frame(mac, CNI0_MAC, &ip.forwarded());
        Node::new().receive(VETH1, ip_frame(CNI0_MAC, from, &ip)).is_forwarded(port, &sent);
    }
}

#[test]
fn known_unicast_between_members_is_switched_as_it_is() {
    let ip = ip_frame(POD4_MAC, POD3_MAC, &udp(POD3, POD4, 100).ttl(1));
    let frames = [
        ip.clone(),
        padded(ip_frame(POD4_MAC, POD3_MAC, &udp(POD3, POD4, 28))),
        // The bridge looks no further than the Ethernet header.
        tagged(&ip, 5),
        ethernet(POD4_MAC, POD3_MAC, 0x86dd, &pattern(60)),
        ethernet(POD4_MAC, POD3_MAC, 0x0806, &arp(1, (POD3_MAC, POD3), (POD4_MAC, POD4))),
        ethernet(POD4_MAC, POD3_MAC, 0x88b5, &[]),
        ip_frame(POD4_MAC, POD3_MAC, &udp(POD3, POD4, 1500).flags(DF)),
    ];
    for frame in frames {
        Node::new().receive(VETH1, frame.clone()).is_forwarded(VETH2, &frame);
    }
}

#[test]
fn unknown_unicast_broadcast_and_multicast_are_punted_bridge() {
    for to in [
        UNKNOWN,
        BROADCAST,
        [0x01, 0, 0x5e, 0, 0, 0xfb],
        [0x33, 0x33, 0, 0, 0, 1],
        [0x01, 0x80, 0xc2, 0, 0, 0],
    ] {
        for ip in [udp(POD3, POD4, 100), udp(POD3, POD1, 100), udp(POD3, NODE_CNI0, 100)] {
            Node::new().receive(VETH1, ip_frame(to, POD3_MAC, &ip)).is_punted(PuntReason::Bridge);
        }
        Node::new()
            .receive(VETH1, ethernet(to, POD3_MAC, 0x86dd, &pattern(60)))
            .is_punted(PuntReason::Bridge);
        Node::new()
            .receive(VETH1, ethernet(to, POD3_MAC, 0x0026, &pattern(60)))
            .is_punted(PuntReason::Bridge);
    }
}

/// Linux's bridge drops such frames as soon as it gets them, and so they are its to drop.
#[test]
fn a_frame_from_a_group_or_from_nobody_is_punted_bridge() {
    for source in [BROADCAST, [0x03, 0, 0, 0, 0, 1], NOBODY] {
        for to in [POD4_MAC, CNI0_MAC, BROADCAST] {
            let frame = ip_frame(to, source, &udp(POD3, POD1, 100));
            Node::new().receive(VETH1, frame).is_punted(PuntReason::Bridge);
        }
        let sender = (source, POD3);
        Node::new().receive(VETH1, who_has(sender, NODE_CNI0)).is_punted(PuntReason::Bridge);
        // A router does not look at it.
        let ip = udp(POD1, WORLD, 100);
        let sent = ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded());
        Node::new().receive(CALI1, ip_frame(CALI_MAC, source, &ip)).is_forwarded(ETH0, &sent);
    }
}

#[test]
fn a_frame_for_the_segment_that_it_came_from_is_dropped_but_on_a_hairpin_member() {
    let frame = ip_frame(POD3_MAC, UNKNOWN, &udp(POD4, POD3, 100));
    Node::new().receive(VETH1, frame.clone()).is_dropped(DropReason::OtherHost);
    let mut node = Node::new();
    node.tables.ports[VETH1.index()].bridge.as_mut().unwrap().hairpin = true;
    node.receive(VETH1, frame.clone()).is_forwarded(VETH1, &frame);
}

#[test]
fn a_bridge_that_filters_vlans_or_a_member_that_does_not_forward_is_the_kernels() {
    let frames = [
        ip_frame(POD4_MAC, POD3_MAC, &udp(POD3, POD4, 100)),
        ip_frame(CNI0_MAC, POD3_MAC, &udp(POD3, POD1, 100)),
        who_has((POD3_MAC, POD3), NODE_CNI0),
    ];
    for frame in frames {
        let mut node = Node::new();
        node.tables.bridges[0].switches = false;
        node.receive(VETH1, frame.clone()).is_punted(PuntReason::Bridge);
        let mut node = Node::new();
        node.tables.ports[VETH1.index()].bridge.as_mut().unwrap().forwarding = false;
        node.receive(VETH1, frame).is_punted(PuntReason::Bridge);
    }
    // The member that it would leave by.
    let mut node = Node::new();
    node.tables.ports[VETH2.index()].bridge.as_mut().unwrap().forwarding = false;
    let frame = ip_frame(POD4_MAC, POD3_MAC, &udp(POD3, POD4, 100));
    node.receive(VETH1, frame).is_punted(PuntReason::Bridge);
}

#[test]
fn a_member_that_is_down_takes_nothing_and_gets_nothing() {
    let frame = ip_frame(POD4_MAC, POD3_MAC, &udp(POD3, POD4, 100));
    for down in [VETH1, VETH2] {
        let mut node = Node::new();
        node.tables.ports[down.index()].up = false;
        node.receive(VETH1, frame.clone()).is_dropped(DropReason::LinkDown);
    }
}

#[test]
fn a_frame_too_big_for_the_other_member_is_mtu_exceeded_without_a_word() {
    let mut node = Node::new();
    node.tables.ports[VETH2.index()].mtu = 1400;
    let frame = |length| ip_frame(POD4_MAC, POD3_MAC, &udp(POD3, POD4, length).flags(DF));
    node.receive(VETH1, frame(1400)).is_forwarded(VETH2, &frame(1400));
    // A bridge is no router: nobody is told.
    node.receive(VETH1, frame(1401)).is_dropped(DropReason::MtuExceeded);
}

#[test]
fn arp_for_an_address_of_the_bridge_is_answered_with_the_bridges_mac() {
    let asker = (POD3_MAC, POD3);
    let reply = is_at(CNI0_MAC, NODE_CNI0, asker);
    Node::new().receive(VETH1, who_has(asker, NODE_CNI0)).is_answered(VETH1, &reply);
    let refresh = ethernet(CNI0_MAC, POD3_MAC, 0x0806, &arp(1, asker, (CNI0_MAC, NODE_CNI0)));
    Node::new().receive(VETH1, refresh).is_answered(VETH1, &reply);
}

#[test]
fn arp_for_anybody_else_in_the_bridge_is_the_kernels_to_flood() {
    let asker = (POD3_MAC, POD3);
    let gateway = Ipv4Addr::new(169, 254, 1, 1);
    for target in [POD4, Ipv4Addr::new(10, 244, 1, 9), POD1, WORLD, gateway, POD3, NODE_FLANNEL, NODE] {
        Node::new().receive(VETH1, who_has(asker, target)).is_punted(PuntReason::Bridge);
    }
    // Also what the walk would refuse elsewhere: the other members may see it.
    Node::new().receive(VETH1, who_has((POD3_MAC, NODE_CNI0), POD4)).is_punted(PuntReason::Bridge);
    let false_sender = ethernet(BROADCAST, POD3_MAC, 0x0806, &arp(1, (POD4_MAC, POD3), (NOBODY, NODE_CNI0)));
    Node::new().receive(VETH1, false_sender).is_punted(PuntReason::Bridge);
    // An own address that the bridge has not is the kernel's to answer.
    let unicast = ethernet(CNI0_MAC, POD3_MAC, 0x0806, &arp(1, asker, (CNI0_MAC, NODE_FLANNEL)));
    Node::new().receive(VETH1, unicast).is_punted(PuntReason::Local);
}

#[test]
fn a_tagged_frame_for_the_bridge_itself_is_judged_by_its_vlan() {
    let ip = udp(POD3, POD1, 100);
    let frame = ip_frame(CNI0_MAC, POD3_MAC, &ip);
    let sent = ip_frame(POD1_MAC, CALI_MAC, &ip.forwarded());
    Node::new().receive(VETH1, tagged(&frame, 0)).is_forwarded(CALI1, &sent);
    Node::new().receive(VETH1, tagged(&frame, 5)).is_dropped(DropReason::VlanUnknown);
    let asker = (POD3_MAC, POD3);
    let request = who_has(asker, NODE_CNI0);
    let reply = is_at(CNI0_MAC, NODE_CNI0, asker);
    Node::new().receive(VETH1, tagged(&request, 0xe000)).is_answered(VETH1, &reply);
    Node::new().receive(VETH1, tagged(&request, 5)).is_punted(PuntReason::Bridge);
}

#[test]
fn routed_packets_come_in_by_the_bridges_link() {
    let frame = ip_frame(CNI0_MAC, POD3_MAC, &udp(POD3, POD1, 100));
    let mut node = Node::new();
    node.tables.links[VETH1.index()].forwarding = false;
    assert_eq!(node.receive(VETH1, frame.clone()).counters.forwarded, 1);
    node.tables.links[CNI0.index()].forwarding = false;
    node.receive(VETH1, frame).is_dropped(DropReason::ForwardingOff);
}
