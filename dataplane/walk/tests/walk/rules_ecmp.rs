//! Conformance 47 and 49 to 51 at the level of tables: longest prefix, policy rules, and equal-cost next hops.

use crate::common::node::*;
use crate::common::packets::*;
use crate::common::{Node, OnPort};
use packetwalk_walk::tables::{Action, Encapsulation, Group, HopId, RuleAction, RuleStep, Selector};
use packetwalk_walk::{DropReason, Instant, PuntReason};
use std::net::Ipv4Addr;

fn from_pod1(ip: &Ip) -> Vec<u8> {
    ip_frame(CALI_MAC, POD1_MAC, ip)
}

fn from_pod2(ip: &Ip) -> Vec<u8> {
    ip_frame(CALI_MAC, POD2_MAC, ip)
}

/// Where a packet that goes on by [`ROUTER`] or [`ROUTER2`] is seen.
fn by_router(ip: &Ip) -> OnPort {
    (ETH0, ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded()))
}

fn by_router2(ip: &Ip) -> OnPort {
    (ETH1, ip_frame(ROUTER2_MAC, ETH1_MAC, &ip.forwarded()))
}

#[track_caller]
fn goes(port: packetwalk_walk::tables::PortId, frame: Vec<u8>, (out, expected): OnPort) {
    Node::new().receive(port, frame).is_forwarded(out, &expected);
}

fn ten(second: u8, third: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, second, third, 1)
}

#[test]
fn the_longest_prefix_wins() {
    // 198.18.0.0/15, in it .1.0/24 with another source and .4.0/24 with a smaller MTU: only the latter is too narrow.
    for (destination, cut) in [(WORLD, false), (PREFERRED, false), (NARROW, true)] {
        let ip = udp(POD1, destination, 1200);
        assert_eq!(Node::new().receive(CALI1, from_pod1(&ip)).sent.len() > 1, cut, "{destination}");
    }
    // A /32 within a connected subnet's neighbours' table: 10.244.1.0 is ours though 10.244.1.0/24 is cni0's.
    Node::new().receive(CALI1, from_pod1(&udp(POD1, NODE_FLANNEL, 100))).is_punted(PuntReason::Local);
}

#[test]
fn the_local_table_comes_first() {
    for own in [NODE, NODE_CNI0] {
        Node::new().receive(CALI2, from_pod2(&ping(POD2, own))).is_punted(PuntReason::Local);
    }
}

#[test]
fn a_rule_from_a_source_chooses_its_table() {
    let ip = udp(POD2, ten(77, 1), 100);
    Node::new().receive(CALI2, from_pod2(&ip)).is_dropped(DropReason::Blackhole);
    // From pod 1 by cali2 it is not meant.
    let ip = udp(POD1, ten(77, 1), 100);
    goes(CALI2, from_pod2(&ip), by_router(&ip));
}

#[test]
fn a_throw_route_lets_the_next_rule_decide() {
    let ip = udp(POD2, ten(77, 9), 100);
    goes(CALI2, from_pod2(&ip), by_router(&ip));
}

#[test]
fn a_rule_for_an_interface_chooses_its_table() {
    let ip = udp(POD1, ten(78, 1), 100);
    goes(CALI1, from_pod1(&ip), by_router2(&ip));
    goes(CALI2, from_pod2(&ip), by_router(&ip));
    // What comes out of a tunnel came in by the tunnel's link, not by the port.
    let ip = udp(FAR_IPIP, ten(78, 1), 100);
    goes(ETH0, ip_frame(ETH0_MAC, PEER_MAC, &ipip(PEER, NODE, &ip)), by_router(&ip));
    let mut node = Node::new();
    let cali1 = node.tables.ipv4.rules.iter().position(|rule| rule.priority == 200).unwrap();
    node.tables.ipv4.rules[cali1].selector.iif = Some(TUNL0);
    let (port, sent) = by_router2(&ip);
    node.receive(ETH0, ip_frame(ETH0_MAC, PEER_MAC, &ipip(PEER, NODE, &ip))).is_forwarded(port, &sent);
}

#[test]
fn rules_are_tried_in_their_order() {
    // Rule 100 (from pod 2) says blackhole, rule 200 (by cali1) says ROUTER2: pod 2's packet by cali1 meets 100 first.
    let ip = udp(POD2, ten(77, 1), 100);
    Node::new().receive(CALI1, from_pod1(&ip)).is_dropped(DropReason::Blackhole);
    let mut node = Node::new();
    node.tables.ipv4.rules.swap(1, 2);
    let (port, sent) = by_router2(&ip);
    node.receive(CALI1, from_pod1(&ip)).is_forwarded(port, &sent);
}

#[test]
fn a_rule_to_a_destination_may_itself_say_no() {
    for (second, reason, error) in [
        (5, DropReason::Prohibit, Error::Prohibited),
        // A rule's unreachable is 3/0, a route's 3/1.
        (6, DropReason::Unreachable, Error::Network),
    ] {
        let ip = udp(POD1, ten(second, 0), 100);
        let walked = Node::new().receive(CALI1, from_pod1(&ip));
        let error = icmp_error(error, NODE, &ip).id(walked.id());
        walked.is_refused(reason, CALI1, &ip_frame(POD1_MAC, CALI_MAC, &error));
    }
    Node::new().receive(CALI1, from_pod1(&udp(POD1, ten(7, 0), 100))).is_dropped(DropReason::Blackhole);
}

#[test]
fn an_inverted_rule_is_for_all_others() {
    let ip = udp(POD1, ten(79, 1), 100);
    goes(CALI1, from_pod1(&ip), by_router(&ip));
    let ip = udp(STRANGER, ten(79, 1), 100);
    goes(ETH0, ip_frame(ETH0_MAC, STRANGER_MAC, &ip), by_router2(&ip));
}

#[test]
fn rules_by_tos_and_by_protocol_choose_their_tables() {
    for (tos, second) in [(0x10, true), (0x13, true), (0x00, false), (0x14, false), (0x30, false)] {
        let ip = udp(POD1, ten(80, 1), 100).tos(tos);
        // ECN is no part of what a rule compares.
        goes(CALI1, from_pod1(&ip), if second { by_router2(&ip) } else { by_router(&ip) });
    }
    let ip = tcp(POD1, ten(81, 1), (40_000, 80), b"x");
    goes(CALI1, from_pod1(&ip), by_router2(&ip));
    let ip = udp(POD1, ten(81, 1), 100);
    goes(CALI1, from_pod1(&ip), by_router(&ip));
}

#[test]
fn a_rule_that_is_not_implemented_hands_what_it_could_match_to_the_kernel() {
    Node::new().receive(CALI1, from_pod1(&udp(POD1, ten(82, 0), 100))).is_punted(PuntReason::NotHeld);
}

#[test]
fn a_table_without_a_rule_is_unused() {
    let mut node = Node::new();
    node.tables.ipv4.rules =
        node.tables.ipv4.rules.iter().filter(|rule| rule.priority != 200).cloned().collect();
    let ip = udp(POD1, ten(78, 1), 100);
    let (port, sent) = by_router(&ip);
    node.receive(CALI1, from_pod1(&ip)).is_forwarded(port, &sent);
    // Without any rule nothing is found, not even what is ours.
    node.tables.ipv4.rules = Box::new([]);
    assert_eq!(node.receive(CALI1, from_pod1(&ip)).dropped, [DropReason::NoRoute]);
}

#[test]
fn icmp_errors_are_routed_as_the_nodes_own() {
    // The way back to 10.78.0.1 is ROUTER2's for what comes in by cali1, but an error does not.
    let ip = udp(ten(78, 0), WORLD, 100).ttl(1);
    let walked = Node::new().receive(CALI1, from_pod1(&ip));
    let error = icmp_error(Error::TimeExceeded, NODE, &ip).id(walked.id());
    walked.is_refused(DropReason::TtlExpired, ETH0, &ip_frame(ROUTER_MAC, ETH0_MAC, &error));
    // A rule that names `lo` is for it.
    let mut node = Node::new();
    let rules = &mut node.tables.ipv4.rules;
    let cali1 = rules.iter().position(|rule| rule.priority == 200).unwrap();
    rules[cali1].selector.iif = Some(LO);
    let walked = node.receive(CALI1, from_pod1(&ip));
    let error = icmp_error(Error::TimeExceeded, NODE_ETH1, &ip).id(walked.id());
    walked.is_refused(DropReason::TtlExpired, ETH1, &ip_frame(ROUTER2_MAC, ETH1_MAC, &error));
}

/// Flow number `flow` to `destination`: addresses and ports vary as those of real flows do.
fn flow(flow: u16, destination: Ipv4Addr) -> Ip {
    let source = Ipv4Addr::new(10, 65, 0, 2 + (flow % 200) as u8);
    udp_ports(source, destination, (1024 + flow, 53), b"flow")
}

/// By which port each of 32,000 flows leaves.
fn ports_of_flows(node: &mut Node, ips: impl Fn(u16) -> Vec<u8>) -> Vec<usize> {
    let mut ports = Vec::new();
    for flows in (0..32_000).collect::<Vec<u16>>().chunks(64) {
        let frames: Vec<OnPort> = flows.iter().map(|flow| (CALI1, ips(*flow))).collect();
        ports.extend(node.burst(Instant(0), &frames).sent.iter().map(|(port, _)| port.index()));
    }
    assert_eq!(ports.len(), 32_000);
    ports
}

#[test]
fn weights_are_honoured_within_15_percent_over_32_000_flows() {
    let mut node = Node::new();
    let ports = ports_of_flows(&mut node, |number| from_pod1(&flow(number, SHARED)));
    for (port, share) in [(ETH0, 8_000usize), (ETH1, 24_000)] {
        let flows = ports.iter().filter(|other| **other == port.index()).count();
        assert!(flows.abs_diff(share) * 100 <= share * 15, "{flows} flows, expected about {share}");
    }
    // A flow stays where it is.
    assert_eq!(ports, ports_of_flows(&mut node, |number| from_pod1(&flow(number, SHARED))));
}

#[test]
fn tunnels_share_by_the_inner_flow() {
    let mut node = Node::new();
    let encapsulated = |ipip: bool| {
        let kind = move |action: &Action| match action {
            Action::Send { encapsulation: Encapsulation::Ipip(entry), .. } => ipip && entry.remote == PEER,
            Action::Send { encapsulation: Encapsulation::Vxlan(entry), .. } => !ipip && entry.remote == VTEP,
            _ => false,
        };
        let at = node.tables.adjacencies.iter().position(|adjacency| kind(&adjacency.action)).unwrap();
        packetwalk_walk::tables::AdjacencyId(at as u32)
    };
    let (tunl0, flannel) = (encapsulated(true), encapsulated(false));
    node.tables.groups[0] = Group::new(&[(7, 1, tunl0), (8, 1, flannel)]).unwrap();
    let by_vxlan = |node: &mut Node, number| {
        let walked = node.receive(CALI1, from_pod1(&flow(number, SHARED)));
        walked.sent[0].1[23] == 17
    };
    let count = (0..1000).filter(|number| by_vxlan(&mut node, *number)).count();
    assert!((425..=575).contains(&count), "{count} of 1,000 by VXLAN");
}

#[test]
fn what_comes_out_of_a_tunnel_is_shared_by_its_own_flow_not_the_outer_one() {
    let mut node = Node::new();
    let mut ports = [0; 2];
    for number in 0..200 {
        let inner = udp_ports(FAR_IPIP, SHARED, (1024 + number, 53), b"flow");
        let walked = node.receive(ETH0, ip_frame(ETH0_MAC, PEER_MAC, &ipip(PEER, NODE, &inner)));
        ports[walked.sent[0].0.index()] += 1;
    }
    assert!(ports[0] > 20 && ports[1] > 100, "{ports:?}");
}

#[test]
fn removing_one_of_several_next_hops_moves_only_its_own_flows() {
    let mut node = Node::new();
    let members: Vec<_> = distinct_members(&mut node);
    let all: Vec<_> =
        members.iter().enumerate().map(|(key, id)| (key as u64 * 0x9e37_79b9 + 1, 1, *id)).collect();
    node.tables.groups[0] = Group::new(&all).unwrap();
    let before = ports_of_flows(&mut node, |number| from_pod1(&flow(number, SHARED)));
    for port in [ETH0, ETH1, CALI2, VETH1] {
        let flows = before.iter().filter(|other| **other == port.index()).count();
        assert!(flows.abs_diff(8_000) * 100 <= 8_000 * 15, "{flows} flows of 32,000 by {port:?}");
    }
    node.tables.groups[0] = Group::new(&[all[0], all[2], all[3]]).unwrap();
    let after = ports_of_flows(&mut node, |number| from_pod1(&flow(number, SHARED)));
    for (before, after) in before.iter().zip(&after) {
        assert!(before == after || *before == ETH1.index());
        assert_ne!(*after, ETH1.index());
    }
}

/// Adjacencies that leave by eth0, eth1, cali2 and veth1.
fn distinct_members(node: &mut Node) -> Vec<packetwalk_walk::tables::AdjacencyId> {
    [ETH0, ETH1, CALI2, VETH1]
        .iter()
        .map(|out| {
            let native = |action: &Action| {
                matches!(action, Action::Send { port, encapsulation: Encapsulation::None, .. } if port == out)
            };
            let at = node.tables.adjacencies.iter().position(|adjacency| native(&adjacency.action)).unwrap();
            packetwalk_walk::tables::AdjacencyId(at as u32)
        })
        .collect()
}

#[test]
fn another_key_shares_otherwise() {
    let settings = packetwalk_walk::Settings { flow_key: 99, ..Default::default() };
    let ports = |node: &mut Node| -> Vec<_> {
        (0..200).map(|number| node.receive(CALI1, from_pod1(&flow(number, SHARED))).sent[0].0).collect()
    };
    assert_ne!(ports(&mut Node::new()), ports(&mut Node::with(settings)));
}

#[test]
fn a_rule_may_name_a_group() {
    let mut node = Node::new();
    let step = RuleStep { priority: 1, selector: Selector::ALL, action: RuleAction::Hop(HopId::group(0)) };
    node.tables.ipv4.rules = [step].into_iter().chain(node.tables.ipv4.rules.iter().cloned()).collect();
    assert_eq!(node.tables.verify(), Ok(()));
    assert_eq!(node.receive(CALI1, from_pod1(&udp(POD1, NOWHERE, 100))).counters.forwarded, 1);
}
