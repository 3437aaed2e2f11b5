//! Conformance 6 to 11: ARP. Replies are 42 bytes, to the sender's MAC address, from the port's own.

use crate::common::Node;
use crate::common::node::*;
use crate::common::packets::*;
use packetwalk_walk::{DropReason, PuntReason};
use std::net::Ipv4Addr;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
const ASKER: (Mac, Ipv4Addr) = (POD1_MAC, POD1);
const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// The request of `sender` for `target`, with the target hardware address that the caller wants, in a frame to `to`.
fn request(to: Mac, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    ethernet(to, sender.0, 0x0806, &arp(1, sender, target))
}

#[test]
fn an_own_address_is_answered_on_any_port_with_the_ports_own_mac() {
    for own in [NODE, NODE_ETH1, NODE_TUNL0, NODE_CNI0, NODE_FLANNEL] {
        Node::new().receive(CALI1, who_has(ASKER, own)).is_answered(CALI1, &is_at(CALI_MAC, own, ASKER));
        let router = (ROUTER_MAC, ROUTER);
        Node::new().receive(ETH0, who_has(router, own)).is_answered(ETH0, &is_at(ETH0_MAC, own, router));
    }
    // Also to one of another subnet.
    let foreign = (ROUTER_MAC, Ipv4Addr::new(100, 64, 9, 9));
    Node::new().receive(ETH0, who_has(foreign, NODE)).is_answered(ETH0, &is_at(ETH0_MAC, NODE, foreign));
}

#[test]
fn a_unicast_refresh_is_answered_and_the_targets_hardware_address_ignored() {
    for tha in [NOBODY, CALI_MAC, [0xff; 6], [0x77; 6]] {
        let frame = request(CALI_MAC, ASKER, (tha, NODE));
        Node::new().receive(CALI1, frame).is_answered(CALI1, &is_at(CALI_MAC, NODE, ASKER));
    }
}

#[test]
fn a_padded_request_is_answered_without_padding() {
    let walked = Node::new().receive(CALI1, padded(who_has(ASKER, NODE)));
    walked.is_answered(CALI1, &is_at(CALI_MAC, NODE, ASKER));
    assert_eq!(walked.sent[0].1.len(), 42);
}

#[test]
fn a_proxied_target_is_answered_where_its_route_leaves_by_another_port() {
    for target in [POD2, FAR_IPIP, FAR_VXLAN, WORLD, PEER, POD3, SHARED] {
        Node::new()
            .receive(CALI1, who_has(ASKER, target))
            .is_answered(CALI1, &is_at(CALI_MAC, target, ASKER));
    }
}

#[test]
fn a_route_that_cannot_be_used_now_is_proxied_all_the_same() {
    // The kernel asks where the route leads, not whether the neighbour answers.
    for target in [UNRESOLVED, UNSEEN] {
        Node::new()
            .receive(CALI1, who_has(ASKER, target))
            .is_answered(CALI1, &is_at(CALI_MAC, target, ASKER));
    }
}

#[test]
fn a_proxy_is_silent_for_blackhole_unreachable_prohibit_and_no_route() {
    for target in
        [BLACKHOLE, UNREACHABLE, PROHIBIT, NOWHERE, Ipv4Addr::new(10, 5, 0, 1), Ipv4Addr::new(10, 6, 0, 1)]
    {
        Node::new().receive(CALI1, who_has(ASKER, target)).is_dropped(DropReason::ArpNotOurs);
    }
}

#[test]
fn a_proxy_is_silent_where_the_route_leaves_by_the_same_port() {
    let asker = (POD1_MAC, Ipv4Addr::new(10, 65, 0, 200));
    Node::new().receive(CALI1, who_has(asker, POD1)).is_dropped(DropReason::ArpNotOurs);
}

#[test]
fn a_proxy_is_silent_for_addresses_that_no_host_has() {
    for target in ["127.0.0.1", "127.1.2.3", "0.0.0.0", "224.0.0.1", "255.255.255.255"] {
        // Loopback's 127.0.0.1 is an address of ours, but not on a wire.
        let frame = who_has(ASKER, target.parse().unwrap());
        Node::new().receive(CALI1, frame).is_dropped(DropReason::ArpNotOurs);
    }
}

#[test]
fn a_port_without_proxy_arp_is_silent_for_others() {
    for target in [POD1, FAR_IPIP, WORLD, STRANGER, GATEWAY] {
        let frame = who_has((ROUTER_MAC, ROUTER), target);
        Node::new().receive(ETH0, frame).is_dropped(DropReason::ArpNotOurs);
    }
    let mut node = Node::new();
    node.tables.links[CALI1.index()].proxy_arp = false;
    node.receive(CALI1, who_has(ASKER, POD2)).is_dropped(DropReason::ArpNotOurs);
    // 169.254.1.1 is answered there all the same, and so are own addresses.
    node.receive(CALI1, who_has(ASKER, GATEWAY)).is_answered(CALI1, &is_at(CALI_MAC, GATEWAY, ASKER));
    node.receive(CALI1, who_has(ASKER, NODE)).is_answered(CALI1, &is_at(CALI_MAC, NODE, ASKER));
}

#[test]
fn an_uplink_that_proxies_answers_for_pods_and_not_for_its_own_segment() {
    let mut node = Node::new();
    node.tables.links[ETH0.index()].proxy_arp = true;
    let router = (ROUTER_MAC, ROUTER);
    node.receive(ETH0, who_has(router, POD1)).is_answered(ETH0, &is_at(ETH0_MAC, POD1, router));
    node.receive(ETH0, who_has(router, STRANGER)).is_dropped(DropReason::ArpNotOurs);
    node.receive(ETH0, who_has(router, GATEWAY)).is_dropped(DropReason::ArpNotOurs);
}

#[test]
fn a_proxy_is_silent_where_the_interface_does_not_forward() {
    let mut node = Node::new();
    node.tables.links[CALI1.index()].forwarding = false;
    node.receive(CALI1, who_has(ASKER, POD2)).is_dropped(DropReason::ArpNotOurs);
    node.receive(CALI1, who_has(ASKER, NODE)).is_answered(CALI1, &is_at(CALI_MAC, NODE, ASKER));
}

#[test]
fn the_fake_gateway_is_answered_on_workload_ports_whatever_the_routes_say() {
    for (port, mac, address) in [(CALI1, POD1_MAC, POD1), (CALI2, POD2_MAC, POD2)] {
        let asker = (mac, address);
        // No route of this node leads to 169.254.1.1.
        Node::new()
            .receive(port, who_has(asker, GATEWAY))
            .is_answered(port, &is_at(CALI_MAC, GATEWAY, asker));
    }
}

#[test]
fn a_sender_address_that_is_ours_is_arp_not_ours() {
    for (own, target) in [(NODE, GATEWAY), (NODE, POD2), (NODE_CNI0, NODE), (NODE, NODE)] {
        let frame = who_has((POD1_MAC, own), target);
        Node::new().receive(CALI1, frame).is_dropped(DropReason::ArpNotOurs);
    }
    // Nor is such a reply for us: a host that claims our address.
    let frame = ethernet(ETH0_MAC, ROUTER_MAC, 0x0806, &arp(2, (ROUTER_MAC, NODE), (ETH0_MAC, NODE)));
    Node::new().receive(ETH0, frame).is_dropped(DropReason::ArpNotOurs);
}

#[test]
fn an_ethernet_source_that_differs_from_the_sender_is_arp_malformed() {
    let frame = ethernet(BROADCAST, POD1_MAC, 0x0806, &arp(1, (POD2_MAC, POD1), (NOBODY, NODE)));
    Node::new().receive(CALI1, frame).is_dropped(DropReason::ArpMalformed);
    let frame = ethernet(ETH0_MAC, STRANGER_MAC, 0x0806, &arp(2, (ROUTER_MAC, ROUTER), (ETH0_MAC, NODE)));
    Node::new().receive(ETH0, frame).is_dropped(DropReason::ArpMalformed);
}

#[test]
fn a_sender_that_no_host_can_have_gets_no_reply() {
    for sender in ["224.0.0.5", "255.255.255.255", "127.0.0.1"] {
        let frame = who_has((POD1_MAC, sender.parse().unwrap()), NODE);
        let walked = Node::new().receive(CALI1, frame);
        assert_eq!((walked.counters.dropped(), walked.sent.len()), (1, 0), "{sender}");
    }
}

#[test]
fn an_arp_probe_for_the_gateway_is_answered() {
    let prober = (POD1_MAC, NONE);
    Node::new()
        .receive(CALI1, who_has(prober, GATEWAY))
        .is_answered(CALI1, &is_at(CALI_MAC, GATEWAY, prober));
}

#[test]
fn an_arp_probe_for_an_address_of_the_node_is_answered() {
    let prober = (POD1_MAC, NONE);
    Node::new().receive(CALI1, who_has(prober, NODE)).is_answered(CALI1, &is_at(CALI_MAC, NODE, prober));
}

#[test]
fn an_arp_probe_for_the_probers_own_address_stays_unanswered() {
    Node::new().receive(CALI1, who_has((POD1_MAC, NONE), POD1)).is_dropped(DropReason::ArpNotOurs);
    // Nor one for an address that routes lead elsewhere: a proxy would take it away from the prober.
    for target in [POD2, FAR_IPIP, WORLD] {
        Node::new().receive(CALI1, who_has((POD1_MAC, NONE), target)).is_dropped(DropReason::ArpNotOurs);
    }
}

#[test]
fn a_gratuitous_arp_gets_no_reply() {
    for address in [POD1, POD2, WORLD, Ipv4Addr::new(192, 168, 1, 77), GATEWAY] {
        let sender = (POD1_MAC, address);
        for operation in [1, 2] {
            for tha in [NOBODY, BROADCAST, POD1_MAC] {
                let frame = ethernet(BROADCAST, POD1_MAC, 0x0806, &arp(operation, sender, (tha, address)));
                Node::new().receive(CALI1, frame).is_dropped(DropReason::ArpNotOurs);
            }
        }
    }
}

#[test]
fn wrong_types_lengths_and_operations_are_arp_malformed() {
    let valid = who_has(ASKER, NODE);
    // Offsets in the frame: hardware type, protocol type, the two lengths.
    for (at, value) in [(15, 2), (15, 6), (16, 0x86), (17, 1), (18, 8), (18, 0), (19, 16), (19, 0)] {
        let mut frame = valid.clone();
        frame[at] = value;
        Node::new().receive(CALI1, frame.clone()).is_dropped(DropReason::ArpMalformed);
        // Long enough for the lengths that it claims, too.
        frame.resize(120, 0);
        Node::new().receive(CALI1, frame).is_dropped(DropReason::ArpMalformed);
    }
    for operation in [0, 3, 4, 8, 0x0100, 0xffff] {
        let frame = ethernet(BROADCAST, POD1_MAC, 0x0806, &arp(operation, ASKER, (NOBODY, NODE)));
        Node::new().receive(CALI1, frame).is_dropped(DropReason::ArpMalformed);
    }
}

#[test]
fn a_reply_to_us_is_the_kernels_and_any_other_is_arp_not_ours() {
    let reply =
        |target| ethernet(ETH0_MAC, ROUTER_MAC, 0x0806, &arp(2, (ROUTER_MAC, ROUTER), (ETH0_MAC, target)));
    Node::new().receive(ETH0, reply(NODE)).is_punted(PuntReason::Local);
    Node::new().receive(ETH0, reply(POD1)).is_dropped(DropReason::ArpNotOurs);
    Node::new().receive(ETH0, reply(STRANGER)).is_dropped(DropReason::ArpNotOurs);
}
