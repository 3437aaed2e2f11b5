//! Conformance 13 to 18: everything that must hold of an IPv4 header before anybody believes it.

use crate::common::Node;
use crate::common::node::*;
use crate::common::packets::*;
use packetwalk_walk::tables::PortId;
use packetwalk_walk::{DropReason, PuntReason};
use std::net::Ipv4Addr;

fn from_pod1(ip: &Ip) -> Vec<u8> {
    ip_frame(CALI_MAC, POD1_MAC, ip)
}

/// A packet with one thing changed; the checksum is mended where `mended`.
fn with(change: impl Fn(&mut Vec<u8>), mended: bool) -> Vec<u8> {
    let mut bytes = udp(POD1, WORLD, 100).bytes();
    change(&mut bytes);
    if mended {
        mend(&mut bytes);
    }
    ethernet(CALI_MAC, POD1_MAC, 0x0800, &bytes)
}

#[test]
fn version_header_length_total_length_and_checksum_each_have_their_own_reason() {
    let all = Ip::new(POD1, WORLD, 17, pattern(80)).options(&[1; 40]).bytes();
    for mended in [true, false] {
        for version in [0u8, 1, 3, 5, 6, 15] {
            Node::new()
                .receive(CALI1, with(|ip| ip[0] = version << 4 | 5, mended))
                .is_dropped(DropReason::IpVersion);
        }
        for ihl in 0..5 {
            Node::new()
                .receive(CALI1, with(|ip| ip[0] = 0x40 | ihl, mended))
                .is_dropped(DropReason::IpHeaderLength);
        }
        for total in [0u16, 1, 19] {
            let frame = with(|ip| ip[2..4].copy_from_slice(&total.to_be_bytes()), mended);
            Node::new().receive(CALI1, frame).is_dropped(DropReason::IpHeaderLength);
        }
        for total in [101u16, 102, 1500, 0xffff] {
            let frame = with(|ip| ip[2..4].copy_from_slice(&total.to_be_bytes()), mended);
            Node::new().receive(CALI1, frame).is_dropped(DropReason::IpTotalLength);
        }
    }
    // The header is longer than the total length, or than the frame.
    let mut short = all.clone();
    short[2..4].copy_from_slice(&59u16.to_be_bytes());
    mend(&mut short);
    Node::new()
        .receive(CALI1, ethernet(CALI_MAC, POD1_MAC, 0x0800, &short))
        .is_dropped(DropReason::IpHeaderLength);
    Node::new()
        .receive(CALI1, ethernet(CALI_MAC, POD1_MAC, 0x0800, &all[..59]))
        .is_dropped(DropReason::IpHeaderLength);
    for bit in 0..16 {
        let frame = with(|ip| ip[10 + bit / 8] ^= 1 << (bit % 8), false);
        Node::new().receive(CALI1, frame).is_dropped(DropReason::IpChecksum);
    }
}

#[test]
fn the_checks_come_in_the_order_of_rfc_1812() {
    // Each packet has this fault and all the later ones.
    let bad_total = |ip: &mut Vec<u8>| ip[2..4].copy_from_slice(&[0xff, 0xff]);
    Node::new()
        .receive(
            CALI1,
            with(
                |ip| {
                    bad_total(ip);
                    ip[0] = 0x64;
                },
                false,
            ),
        )
        .is_dropped(DropReason::IpVersion);
    Node::new()
        .receive(
            CALI1,
            with(
                |ip| {
                    bad_total(ip);
                    ip[0] = 0x44;
                },
                false,
            ),
        )
        .is_dropped(DropReason::IpHeaderLength);
    Node::new().receive(CALI1, with(|ip| bad_total(ip), false)).is_dropped(DropReason::IpTotalLength);
    // A bad address is not looked at before the checksum holds.
    Node::new().receive(CALI1, with(|ip| ip[12] = 127, false)).is_dropped(DropReason::IpChecksum);
    // TTL 1 does not make a broken packet worth an error.
    Node::new().receive(CALI1, with(|ip| ip[8] = 1, false)).is_dropped(DropReason::IpChecksum);
}

#[test]
fn every_fault_of_a_header_is_silent_also_for_our_own_address() {
    let mut bytes = ping(POD1, NODE).bytes();
    bytes[10] ^= 0x10;
    Node::new()
        .receive(CALI1, ethernet(CALI_MAC, POD1_MAC, 0x0800, &bytes))
        .is_dropped(DropReason::IpChecksum);
}

#[test]
fn options_travel_untouched() {
    let record_route = [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let timestamp = [68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let loose_route = [131, 7, 4, 192, 0, 2, 66, 0];
    let nonsense = [0x99, 0, 0xff, 0xff];
    let longest = [1; 40];
    for options in [&record_route[..], &timestamp, &loose_route, &nonsense, &longest] {
        let ip = udp(POD1, WORLD, 100).options(options);
        Node::new()
            .receive(CALI1, from_pod1(&ip))
            .is_forwarded(ETH0, &ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded()));
    }
}

#[test]
fn all_fields_but_ttl_and_checksum_are_forwarded_as_they_came() {
    for tos in [0, 0xb8, 0xff, 3] {
        for flags in [0, DF, MF, RESERVED, DF | RESERVED] {
            for protocol in [0, 1, 2, 4, 6, 17, 41, 47, 50, 132, 255] {
                let ip = Ip::new(POD1, WORLD, protocol, pattern(64)).tos(tos).flags(flags).id(0xfffe);
                let sent = ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded());
                Node::new().receive(CALI1, from_pod1(&ip)).is_forwarded(ETH0, &sent);
            }
        }
    }
}

#[test]
fn a_packet_of_a_header_alone_is_forwarded() {
    let ip = Ip::new(POD1, WORLD, 253, Vec::new());
    Node::new()
        .receive(CALI1, from_pod1(&ip))
        .is_forwarded(ETH0, &ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded()));
}

#[test]
fn a_bad_source_is_ip_bad_source_without_icmp() {
    for source in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "127.255.255.254",
        "224.0.0.1",
        "239.255.255.255",
        "255.255.255.255",
    ] {
        let source: Ipv4Addr = source.parse().unwrap();
        // TTL 1 and no route, each of which is worth an error to others.
        for ip in [
            udp(source, WORLD, 100),
            udp(source, WORLD, 100).ttl(1),
            udp(source, NOWHERE, 100),
            ping(source, NODE),
        ] {
            Node::new().receive(CALI1, from_pod1(&ip)).is_dropped(DropReason::IpBadSource);
            Node::new()
                .receive(ETH0, ip_frame(ETH0_MAC, ROUTER_MAC, &ip))
                .is_dropped(DropReason::IpBadSource);
        }
    }
}

#[test]
fn a_source_of_our_own_arriving_from_outside_is_ip_bad_source() {
    for own in [NODE, NODE_ETH1, NODE_CNI0, NODE_TUNL0, NODE_FLANNEL] {
        for (port, to, from) in [(CALI1, CALI_MAC, POD1_MAC), (ETH0, ETH0_MAC, ROUTER_MAC)] {
            for destination in [WORLD, POD2, NODE, NOWHERE] {
                let frame = ip_frame(to, from, &udp(own, destination, 100).ttl(1));
                Node::new().receive(port, frame).is_dropped(DropReason::IpBadSource);
            }
        }
    }
}

#[test]
fn class_e_is_an_ordinary_address() {
    let reserved = Ipv4Addr::new(240, 1, 1, 1);
    let ip = udp(reserved, WORLD, 100);
    Node::new()
        .receive(CALI1, from_pod1(&ip))
        .is_forwarded(ETH0, &ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded()));
    // As a destination it is looked up like any other.
    let ip = udp(POD1, reserved, 100);
    let walked = Node::new().receive(CALI1, from_pod1(&ip));
    let error = icmp_error(Error::Network, NODE, &ip).id(walked.id());
    walked.is_refused(DropReason::NoRoute, CALI1, &ip_frame(POD1_MAC, CALI_MAC, &error));
}

#[test]
fn a_connected_broadcast_address_as_source_is_forwarded_as_linux_does() {
    let ip = udp(Ipv4Addr::new(192, 0, 2, 255), WORLD, 100);
    Node::new()
        .receive(ETH1, ip_frame(ETH1_MAC, ROUTER2_MAC, &ip))
        .is_forwarded(ETH0, &ip_frame(ROUTER_MAC, ETH0_MAC, &ip.forwarded()));
}

#[test]
fn a_destination_that_may_not_be_forwarded_is_ip_bad_destination_without_icmp() {
    for destination in ["0.0.0.0", "0.255.0.1", "127.0.0.1", "127.9.9.9"] {
        for ttl in [1, 64] {
            let ip = udp(POD1, destination.parse().unwrap(), 100).ttl(ttl);
            Node::new().receive(CALI1, from_pod1(&ip)).is_dropped(DropReason::IpBadDestination);
        }
    }
}

#[test]
fn limited_and_directed_broadcast_and_own_addresses_are_the_kernels() {
    for destination in
        ["255.255.255.255", "192.0.2.255", "198.51.100.255", "10.244.1.255", "10.244.1.0", "192.0.2.10"]
    {
        for ttl in [0, 1, 64] {
            for to in [CALI_MAC, BROADCAST] {
                let ip = udp(POD1, destination.parse().unwrap(), 100).ttl(ttl);
                Node::new().receive(CALI1, ip_frame(to, POD1_MAC, &ip)).is_punted(PuntReason::Local);
            }
        }
    }
}

#[test]
fn a_dhcp_clients_broadcast_from_no_address_is_the_kernels() {
    let ip = udp_ports(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, (68, 67), &pattern(250));
    Node::new().receive(CALI1, ip_frame(BROADCAST, POD1_MAC, &ip)).is_punted(PuntReason::Local);
}

#[test]
fn multicast_is_the_kernels() {
    for (destination, mac) in [
        (Ipv4Addr::new(224, 0, 0, 251), [0x01, 0, 0x5e, 0, 0, 0xfb]),
        (Ipv4Addr::new(239, 1, 2, 3), [0x01, 0, 0x5e, 1, 2, 3]),
        (Ipv4Addr::new(224, 0, 0, 1), CALI_MAC),
    ] {
        for ttl in [0, 1, 64] {
            let frame = ip_frame(mac, POD1_MAC, &udp(POD1, destination, 100).ttl(ttl));
            Node::new().receive(CALI1, frame).is_punted(PuntReason::Multicast);
        }
    }
}

#[test]
fn the_network_address_of_a_connected_subnet_is_a_neighbour_like_any_other() {
    let ip = udp(POD1, Ipv4Addr::new(192, 0, 2, 0), 100);
    Node::new().receive(CALI1, from_pod1(&ip)).is_dropped(DropReason::NeighbourUnresolved);
}

/// RFC 1624: the incremental update equals the full recomputation, for each of the 65,536 sums that a header can have.
#[test]
fn the_checksum_is_right_after_forwarding_whatever_it_was() {
    let mut node = Node::new();
    let send =
        |id: u16| ethernet(CALI_MAC, POD1_MAC, 0x0800, &Ip::new(POD1, WORLD, 253, Vec::new()).id(id).bytes());
    let mut zero = 0;
    for ids in (0..=u16::MAX).collect::<Vec<_>>().chunks(64) {
        let frames: Vec<(PortId, Vec<u8>)> = ids.iter().map(|id| (CALI1, send(*id))).collect();
        let walked = node.burst(packetwalk_walk::Instant(0), &frames);
        for (id, (port, frame)) in ids.iter().zip(&walked.sent) {
            assert_eq!(*port, ETH0);
            let ip = Ip::new(POD1, WORLD, 253, Vec::new()).id(*id).forwarded();
            assert_eq!(frame[14..], ip.bytes(), "identification {id}");
            assert_ne!(frame[24..26], [0xff, 0xff], "0xffff where 0x0000 is right");
            zero += u32::from(frame[24..26] == [0, 0]);
        }
    }
    assert_eq!(node.total.forwarded, 65_536);
    // The sums that a changing identification gives are all there are but 0xffff; one of them twice.
    assert!(zero >= 1);
}
