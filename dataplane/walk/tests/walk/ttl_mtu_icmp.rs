//! Conformance 19 to 25: TTL, MTU, and the ICMP errors that tell of them.

use crate::common::Node;
use crate::common::node::*;
use crate::common::packets::*;
use etherparse::{IcmpEchoHeader, Icmpv4Type};
use packetwalk_walk::{DropReason, IcmpRate, Instant, PuntReason, Settings};
use std::net::Ipv4Addr;

fn from_pod1(ip: &Ip) -> Vec<u8> {
    ip_frame(CALI_MAC, POD1_MAC, ip)
}

/// What [`POD1`] gets told about `ip`.
#[track_caller]
fn pod1_is_told(ip: &Ip, reason: DropReason, error: Error) {
    let walked = Node::new().receive(CALI1, from_pod1(ip));
    let error = icmp_error(error, NODE, ip).id(walked.id());
    walked.is_refused(reason, CALI1, &ip_frame(POD1_MAC, CALI_MAC, &error));
}

#[test]
fn ttl_n_leaves_as_n_minus_1() {
    for ttl in [2, 3, 64, 128, 255] {
        let ip = udp(POD1, WORLD, 100).ttl(ttl);
        let sent = ip_frame(ROUTER_MAC, ETH0_MAC, &Ip { ttl: ttl - 1, ..ip.clone() });
        Node::new().receive(CALI1, from_pod1(&ip)).is_forwarded(ETH0, &sent);
    }
}

#[test]
fn ttl_1_or_0_is_ttl_expired_with_time_exceeded() {
    for ttl in [1, 0] {
        pod1_is_told(&udp(POD1, WORLD, 100).ttl(ttl), DropReason::TtlExpired, Error::TimeExceeded);
        pod1_is_told(
            &tcp(POD1, WORLD, (40_000, 80), b"x").ttl(ttl),
            DropReason::TtlExpired,
            Error::TimeExceeded,
        );
    }
}

#[test]
fn ttl_1_or_0_for_us_is_accepted() {
    for ttl in [1, 0] {
        Node::new().receive(CALI1, from_pod1(&ping(POD1, NODE).ttl(ttl))).is_punted(PuntReason::Local);
    }
}

#[test]
fn an_echo_request_with_ttl_1_gets_an_error() {
    pod1_is_told(&ping(POD1, WORLD).ttl(1), DropReason::TtlExpired, Error::TimeExceeded);
    let reply = Icmpv4Type::EchoReply(IcmpEchoHeader { id: 1, seq: 2 });
    pod1_is_told(&icmp(POD1, WORLD, reply, b"pong").ttl(1), DropReason::TtlExpired, Error::TimeExceeded);
    // Timestamp (13) and the last known type.
    for kind in [13, 14, 15, 18, 8, 9, 10] {
        let message = [&[kind, 0, 0, 0][..], &[0; 16]].concat();
        pod1_is_told(&Ip::new(POD1, WORLD, 1, message).ttl(1), DropReason::TtlExpired, Error::TimeExceeded);
    }
}

#[test]
fn no_error_about_icmp_errors_nor_unknown_icmp_types() {
    for kind in [3, 4, 5, 11, 12, 19, 41, 42, 255] {
        let message = [&[kind, 0, 0, 0][..], &[0; 60]].concat();
        for (destination, ttl, reason) in [
            (WORLD, 1, DropReason::TtlExpired),
            (NOWHERE, 64, DropReason::NoRoute),
            (UNREACHABLE, 64, DropReason::Unreachable),
        ] {
            let ip = Ip::new(POD1, destination, 1, message.clone()).ttl(ttl);
            Node::new().receive(CALI1, from_pod1(&ip)).is_dropped(reason);
        }
    }
    // A message without a type.
    let ip = Ip::new(POD1, WORLD, 1, Vec::new()).ttl(1);
    Node::new().receive(CALI1, from_pod1(&ip)).is_dropped(DropReason::TtlExpired);
}

#[test]
fn no_error_about_later_fragments_and_one_about_the_first() {
    let whole = udp(POD1, WORLD, 1020).ttl(1);
    pod1_is_told(&whole.fragment(0..496, true), DropReason::TtlExpired, Error::TimeExceeded);
    for tail in [whole.fragment(496..992, true), whole.fragment(992..1000, false)] {
        Node::new().receive(CALI1, from_pod1(&tail)).is_dropped(DropReason::TtlExpired);
        let lost = Ip { destination: NOWHERE, ttl: 64, ..tail };
        Node::new().receive(CALI1, from_pod1(&lost)).is_dropped(DropReason::NoRoute);
    }
    // Nor about a later fragment that is too big and may not be cut.
    let tail = Ip { offset: 100, ..udp(POD1, NARROW, 1200) }.flags(DF);
    Node::new().receive(CALI1, from_pod1(&tail)).is_dropped(DropReason::MtuExceeded);
}

#[test]
fn no_error_about_what_came_in_a_broadcast_frame() {
    let frame = ip_frame(BROADCAST, POD1_MAC, &udp(POD1, WORLD, 100).ttl(1));
    Node::new().receive(CALI1, frame).is_dropped(DropReason::IpNotUnicast);
}

#[test]
fn an_error_is_at_most_576_bytes_and_quotes_no_padding() {
    // 20 bytes of header and 8 of ICMP leave 548.
    for length in [28, 60, 547, 548, 549, 1000, 1500] {
        let ip = udp(POD1, WORLD, length).ttl(1);
        let walked = Node::new().receive(CALI1, padded(from_pod1(&ip)));
        let error = icmp_error(Error::TimeExceeded, NODE, &ip).id(walked.id());
        assert_eq!(error.length(), (length + 28).min(576));
        walked.is_refused(DropReason::TtlExpired, CALI1, &ip_frame(POD1_MAC, CALI_MAC, &error));
    }
    let ip = Ip::new(POD1, WORLD, 253, Vec::new()).ttl(1);
    let walked = Node::new().receive(CALI1, padded(from_pod1(&ip)));
    let error = icmp_error(Error::TimeExceeded, NODE, &ip).id(walked.id());
    assert_eq!(error.length(), 48);
    walked.is_refused(DropReason::TtlExpired, CALI1, &ip_frame(POD1_MAC, CALI_MAC, &error));
}

#[test]
fn an_errors_own_header_has_no_options() {
    let ip = udp(POD1, WORLD, 100).options(&[7, 7, 4, 0, 0, 0, 0, 1]).ttl(1);
    pod1_is_told(&ip, DropReason::TtlExpired, Error::TimeExceeded);
}

/// RFC 1812 4.3.2.5, and the bits that Linux keeps.
#[test]
fn an_errors_tos_is_internetwork_control_with_the_offenders_lower_bits() {
    for (offender, error) in
        [(0x00, 0xc0), (0xff, 0xde), (0x03, 0xc2), (0xb8, 0xd8), (0x1e, 0xde), (0x04, 0xc4)]
    {
        let ip = udp(POD1, WORLD, 100).tos(offender).ttl(1);
        let walked = Node::new().receive(CALI1, from_pod1(&ip));
        assert_eq!(walked.sent[0].1[15], error, "TOS {offender:#x}");
        pod1_is_told(&ip, DropReason::TtlExpired, Error::TimeExceeded);
    }
}

#[test]
fn no_route_is_3_0_unreachable_3_1_prohibit_3_13_and_blackhole_silent() {
    // The route decides before the TTL does.
    for ttl in [64, 1, 0] {
        pod1_is_told(&udp(POD1, NOWHERE, 100).ttl(ttl), DropReason::NoRoute, Error::Network);
        pod1_is_told(&udp(POD1, UNREACHABLE, 100).ttl(ttl), DropReason::Unreachable, Error::Host);
        pod1_is_told(&udp(POD1, PROHIBIT, 100).ttl(ttl), DropReason::Prohibit, Error::Prohibited);
        let ip = udp(POD1, BLACKHOLE, 100).ttl(ttl);
        Node::new().receive(CALI1, from_pod1(&ip)).is_dropped(DropReason::Blackhole);
    }
}

#[test]
fn the_source_is_the_preferred_source_of_the_route_back() {
    let ip = udp(PREFERRED, POD1, 100).ttl(1);
    let walked = Node::new().receive(ETH0, ip_frame(ETH0_MAC, ROUTER_MAC, &ip));
    let error = icmp_error(Error::TimeExceeded, NODE_ETH1, &ip).id(walked.id());
    walked.is_refused(DropReason::TtlExpired, ETH0, &ip_frame(ROUTER_MAC, ETH0_MAC, &error));
}

/// The way back leads over a connected subnet: its route's preferred source is meant, not the neighbour's link's address.
#[test]
fn the_preferred_source_of_a_connected_route_back_counts_too() {
    let mut node = Node::new();
    let connected = node
        .tables
        .adjacencies
        .iter_mut()
        .find(|adjacency| adjacency.action == packetwalk_walk::tables::Action::Connected)
        .unwrap();
    connected.source = Some(NODE_ETH1);
    let ip = udp(STRANGER, POD1, 100).ttl(1);
    let walked = node.receive(ETH0, ip_frame(ETH0_MAC, STRANGER_MAC, &ip));
    let error = icmp_error(Error::TimeExceeded, NODE_ETH1, &ip).id(walked.id());
    walked.is_refused(DropReason::TtlExpired, ETH0, &ip_frame(STRANGER_MAC, ETH0_MAC, &error));
}

#[test]
fn an_error_is_never_longer_than_its_way_back_carries() {
    let mut node = Node::new();
    for adjacency in &mut node.tables.adjacencies {
        if adjacency.link.0 == CALI1.0 {
            adjacency.mtu = 300;
        }
    }
    let ip = udp(POD1, WORLD, 1000).ttl(1);
    let walked = node.receive(CALI1, from_pod1(&ip));
    assert_eq!(walked.sent[0].1.len(), 14 + 300);
    assert_eq!(walked.sent[0].1[42..], ip.bytes()[..272]);
}

#[test]
fn the_source_is_else_an_address_of_the_link_that_the_error_leaves_by() {
    // Behind cni0: cni0's address, though the packet came in by a member.
    let ip = udp(POD3, WORLD, 100).ttl(1);
    let walked = Node::new().receive(VETH1, ip_frame(CNI0_MAC, POD3_MAC, &ip));
    let error = icmp_error(Error::TimeExceeded, NODE_CNI0, &ip).id(walked.id());
    walked.is_refused(DropReason::TtlExpired, VETH1, &ip_frame(POD3_MAC, CNI0_MAC, &error));
    // Of a router on eth0, sent back to itself.
    let ip = udp(ROUTER, POD1, 100).ttl(1);
    let walked = Node::new().receive(ETH0, ip_frame(ETH0_MAC, ROUTER_MAC, &ip));
    let error = icmp_error(Error::TimeExceeded, NODE, &ip).id(walked.id());
    walked.is_refused(DropReason::TtlExpired, ETH0, &ip_frame(ROUTER_MAC, ETH0_MAC, &error));
    // An error goes where the route back leads, not where the packet came from.
    let ip = udp(ROUTER2, POD1, 100).ttl(1);
    let walked = Node::new().receive(ETH0, ip_frame(ETH0_MAC, ROUTER_MAC, &ip));
    let error = icmp_error(Error::TimeExceeded, NODE_ETH1, &ip).id(walked.id());
    walked.is_refused(DropReason::TtlExpired, ETH1, &ip_frame(ROUTER2_MAC, ETH1_MAC, &error));
}

#[test]
fn the_source_is_else_the_nodes_first_global_address() {
    // cali1 has no address of its own.
    pod1_is_told(&udp(POD1, WORLD, 100).ttl(1), DropReason::TtlExpired, Error::TimeExceeded);
}

#[test]
fn without_a_way_back_no_error_is_sent_and_that_is_counted() {
    for source in [NOWHERE, BLACKHOLE, UNRESOLVED, UNSEEN, LINK_DOWN, NOT_HELD] {
        let walked = Node::new().receive(CALI1, from_pod1(&udp(source, WORLD, 100).ttl(1)));
        walked.is_dropped(DropReason::TtlExpired);
        assert_eq!(walked.counters.icmp_suppressed, 1, "{source}");
    }
    // What was never due is not suppressed.
    let walked = Node::new().receive(CALI1, from_pod1(&Ip::new(POD1, WORLD, 1, vec![3; 8]).ttl(1)));
    assert_eq!(walked.counters.icmp_suppressed, 0);
}

#[test]
fn an_error_needs_a_spare_frame_and_room_in_the_ring() {
    let frame = from_pod1(&udp(POD1, WORLD, 100).ttl(1));
    let mut node = Node::new();
    node.set_spares(0);
    let walked = node.receive(CALI1, frame.clone());
    walked.is_dropped(DropReason::TtlExpired);
    assert_eq!(walked.counters.icmp_suppressed, 1);
    for prepare in [|node: &mut Node| node.ring = 0, |node: &mut Node| node.gone.push(CALI1)] {
        let mut node = Node::new();
        prepare(&mut node);
        let walked = node.receive(CALI1, frame.clone());
        walked.is_dropped(DropReason::TtlExpired);
        assert_eq!((walked.counters.icmp_suppressed, walked.counters.icmp_errors), (1, 0));
    }
}

#[test]
fn expiring_packets_in_a_flood_are_limited_while_transit_is_untouched() {
    let start = 1_700_000_000_000_000_000;
    let mut node = Node::new();
    let expiring = (CALI1, from_pod1(&udp(POD1, WORLD, 100).ttl(1)));
    let transit = (CALI1, from_pod1(&udp(POD1, WORLD, 100)));
    let mixed: Vec<_> =
        (0..64).map(|at| if at % 2 == 0 { expiring.clone() } else { transit.clone() }).collect();
    // 3,200 expiring packets within a millisecond: the burst of 50.
    for _ in 0..100 {
        assert_eq!(node.burst(Instant(start), &mixed).counters.forwarded, 32);
    }
    assert_eq!((node.total.icmp_errors, node.total.icmp_suppressed), (50, 3150));
    // A second later: 50 again, and no more for the time that the bucket was full.
    for _ in 0..100 {
        node.burst(Instant(start + 1_000_000_000), &mixed);
    }
    assert_eq!(node.total.icmp_errors, 100);
    // 1,000 a second from then on.
    for millisecond in 1..=200 {
        let walked = node.burst(Instant(start + 1_000_000_000 + millisecond * 1_000_000), &mixed);
        assert_eq!((walked.counters.icmp_errors, walked.counters.forwarded), (1, 32));
    }
    assert_eq!(node.total.drop[DropReason::TtlExpired as usize], 400 * 32);
    assert_eq!(node.total.forwarded, 400 * 32);
}

#[test]
fn the_rate_can_be_set() {
    let mut node = Node::with(Settings { icmp: IcmpRate { rate: 10, burst: 2 }, ..Settings::default() });
    let expiring = vec![(CALI1, from_pod1(&udp(POD1, WORLD, 100).ttl(1))); 5];
    assert_eq!(node.burst(Instant(0), &expiring).counters.icmp_errors, 2);
    assert_eq!(node.burst(Instant(99_999_999), &expiring).counters.icmp_errors, 0);
    assert_eq!(node.burst(Instant(100_000_000), &expiring).counters.icmp_errors, 1);
    let mut node = Node::with(Settings { icmp: IcmpRate { rate: 0, burst: 50 }, ..Settings::default() });
    assert_eq!(node.burst(Instant(0), &expiring).counters.icmp_suppressed, 5);
}

#[test]
fn exactly_the_mtu_passes_and_one_byte_more_with_df_is_3_4_with_the_next_hops_mtu() {
    for (destination, mtu) in [(WORLD, 1500), (NARROW, 1000)] {
        let fits = udp(POD1, destination, usize::from(mtu)).flags(DF);
        let sent = ip_frame(ROUTER_MAC, ETH0_MAC, &fits.forwarded());
        Node::new().receive(CALI1, from_pod1(&fits)).is_forwarded(ETH0, &sent);
        let over = udp(POD1, destination, usize::from(mtu) + 1).flags(DF);
        pod1_is_told(&over, DropReason::MtuExceeded, Error::TooBig(mtu));
    }
}

#[test]
fn a_connected_routes_mtu_counts_where_it_is_below_the_links() {
    let mut node = Node::new();
    let connected = node
        .tables
        .adjacencies
        .iter_mut()
        .find(|adjacency| adjacency.action == packetwalk_walk::tables::Action::Connected)
        .unwrap();
    connected.mtu = 600;
    let ip = udp(POD1, STRANGER, 601).flags(DF);
    let walked = node.receive(CALI1, from_pod1(&ip));
    let error = icmp_error(Error::TooBig(600), NODE, &ip).id(walked.id());
    walked.is_refused(DropReason::MtuExceeded, CALI1, &ip_frame(POD1_MAC, CALI_MAC, &error));
}

/// In Linux's order: the route, then TTL, then MTU, then the neighbour.
#[test]
fn ttl_comes_before_mtu_and_mtu_before_the_neighbour() {
    pod1_is_told(&udp(POD1, NARROW, 1400).flags(DF).ttl(1), DropReason::TtlExpired, Error::TimeExceeded);
    pod1_is_told(&udp(POD1, UNSEEN, 100).ttl(1), DropReason::TtlExpired, Error::TimeExceeded);
    pod1_is_told(&udp(POD1, UNRESOLVED, 100).ttl(1), DropReason::TtlExpired, Error::TimeExceeded);
    pod1_is_told(&udp(POD1, UNRESOLVED, 1501).flags(DF), DropReason::MtuExceeded, Error::TooBig(1500));
    pod1_is_told(&udp(POD1, UNSEEN, 1501).flags(DF), DropReason::MtuExceeded, Error::TooBig(1500));
}

#[test]
fn a_next_hop_that_cannot_be_reached_is_named() {
    for (destination, reason) in [
        (UNSEEN, DropReason::NeighbourUnresolved),
        (UNRESOLVED, DropReason::NeighbourUnresolved),
        (Ipv4Addr::new(10, 244, 1, 9), DropReason::NeighbourUnresolved),
        (LINK_DOWN, DropReason::LinkDown),
        (FDB_MISSING, DropReason::FdbMissing),
        (TUNNEL_UNROUTABLE, DropReason::TunnelUnroutable),
        (TUNNEL_LOOP, DropReason::TunnelLoop),
    ] {
        Node::new().receive(CALI1, from_pod1(&udp(POD1, destination, 100))).is_dropped(reason);
    }
}

#[test]
fn with_a_kernel_behind_an_unresolved_neighbour_is_its_to_resolve() {
    let mut node = Node::new();
    node.tables.kernel_behind = true;
    node.receive(CALI1, from_pod1(&udp(POD1, UNSEEN, 100))).is_punted(PuntReason::Neighbour);
}

#[test]
fn what_leaves_by_a_link_that_is_not_held_is_the_kernels() {
    for ttl in [64, 1] {
        Node::new()
            .receive(CALI1, from_pod1(&udp(POD1, NOT_HELD, 100).ttl(ttl)))
            .is_punted(PuntReason::NotHeld);
    }
}

#[test]
fn an_interface_that_does_not_forward_is_silent_and_still_delivers() {
    let mut node = Node::new();
    node.tables.links[CALI1.index()].forwarding = false;
    for destination in [WORLD, NOWHERE, UNREACHABLE, FAR_IPIP] {
        for ttl in [64, 1] {
            let frame = from_pod1(&udp(POD1, destination, 100).ttl(ttl));
            node.receive(CALI1, frame).is_dropped(DropReason::ForwardingOff);
        }
    }
    node.receive(CALI1, from_pod1(&ping(POD1, NODE))).is_punted(PuntReason::Local);
}
