//! Conformance 26 to 28: fragmentation on output, as Linux cuts.

use crate::common::node::*;
use crate::common::packets::*;
use crate::common::{Node, OnPort, Walked};
use packetwalk_walk::tables::Action;
use packetwalk_walk::{DropReason, HEADROOM, Instant};

fn from_pod1(ip: &Ip) -> Vec<u8> {
    ip_frame(CALI_MAC, POD1_MAC, ip)
}

fn to_router(ip: &Ip) -> OnPort {
    (ETH0, ip_frame(ROUTER_MAC, ETH0_MAC, ip))
}

/// A node whose route to [`NARROW`] has this MTU.
fn narrowed(mtu: u32) -> Node {
    let mut node = Node::new();
    node.tables.adjacencies.iter_mut().find(|adjacency| adjacency.mtu == 1000).unwrap().mtu = mtu;
    node
}

/// Puts the payload together again as a receiver does, from offsets alone; checks that there is neither hole nor overlap.
fn rebuilt(walked: &Walked) -> Vec<u8> {
    let mut payload = Vec::new();
    for (index, (_, frame)) in walked.sent.iter().enumerate() {
        let ip = etherparse::Ipv4Slice::from_slice(&frame[14..]).unwrap();
        assert_eq!(usize::from(ip.header().fragments_offset().byte_offset()), payload.len());
        assert_eq!(ip.header().more_fragments(), index + 1 < walked.sent.len());
        payload.extend_from_slice(ip.payload().payload);
    }
    payload
}

#[test]
fn df_clear_at_one_byte_over_the_mtu_is_cut_as_linux_cuts() {
    let ip = udp(POD1, NARROW, 1001).tos(0xb9).id(0x2f90);
    let (next, last) = (ip.forwarded(), 981);
    // (1000 - 20) & !7 = 976 bytes of payload in the first: 996 bytes with flags 0x2000.
    let first = next.fragment(0..976, true);
    assert_eq!((first.length(), first.bytes()[6..8].to_vec()), (996, vec![0x20, 0]));
    let tail = next.fragment(976..last, false);
    Node::new().receive(CALI1, from_pod1(&ip)).is_fragmented(&[to_router(&first), to_router(&tail)]);
}

#[test]
fn any_size_over_any_mtu_is_rebuilt_bit_equal() {
    for mtu in [68, 576, 577, 583, 584, 1000, 1280, 1499] {
        for length in [mtu + 1, mtu + 7, mtu + 8, 2 * mtu, 1500]
            .into_iter()
            .filter(|length| *length > mtu && *length <= 3000)
        {
            let ip = udp(POD1, NARROW, length as usize);
            let walked = narrowed(mtu).receive(CALI1, from_pod1(&ip));
            assert_eq!(rebuilt(&walked), ip.payload, "{length} bytes over {mtu}");
            let longest = walked.sent.iter().map(|(_, frame)| frame.len() - 14).max().unwrap();
            assert!(longest <= mtu as usize && longest + 8 > mtu as usize);
            assert_eq!(walked.counters.fragments, walked.sent.len() as u64 - 1);
        }
    }
}

#[test]
fn refragmenting_keeps_offsets_and_mf() {
    let mut node = narrowed(600);
    // Offset 100 with MF, 1,020 bytes: 0x2064 of 576 bytes, then 0x20ac of 424 and MF as before.
    for flags in [MF, 0] {
        let ip = Ip { offset: 100, ..Ip::new(POD1, NARROW, 17, pattern(1000)) }.flags(flags);
        let next = ip.forwarded();
        let first = next.fragment(0..576, true);
        assert_eq!(first.bytes()[6..8], [0x20, 0x64]);
        let tail = next.fragment(576..1000, flags == MF);
        assert_eq!(tail.bytes()[6..8], [if flags == MF { 0x20 } else { 0 }, 0xac]);
        node.receive(CALI1, from_pod1(&ip)).is_fragmented(&[to_router(&first), to_router(&tail)]);
    }
}

/// A datagram has at most 65,535 bytes; a fragment that says it lies beyond must not come back to offset 0 by being cut.
#[test]
fn a_fragment_beyond_the_end_of_any_datagram_is_not_cut() {
    for flags in [0, MF] {
        let ip = Ip { offset: 0x1fff, ..Ip::new(POD1, NARROW, 17, pattern(1400)) }.flags(flags);
        narrowed(600).receive(CALI1, from_pod1(&ip)).is_dropped(DropReason::FragmentFailed);
    }
    // The last byte of the longest datagram: header 20, payload 65,515, of which this fragment holds the end.
    let ip = Ip { offset: 8100, ..Ip::new(POD1, NARROW, 17, pattern(65_515 - 64_800)) };
    let walked = narrowed(600).receive(CALI1, from_pod1(&ip));
    assert_eq!(walked.sent.len(), 2);
}

#[test]
fn the_reserved_flag_is_kept_whole_and_cleared_in_fragments() {
    let ip = udp(POD1, NARROW, 1001).flags(RESERVED);
    let next = ip.forwarded().flags(0);
    let pieces = [to_router(&next.fragment(0..976, true)), to_router(&next.fragment(976..981, false))];
    Node::new().receive(CALI1, from_pod1(&ip)).is_fragmented(&pieces);
}

/// RFC 791 3.1, as Linux does it: the header keeps its length, and what is not to be copied becomes no-operations.
#[test]
fn later_fragments_keep_only_the_options_with_the_copied_flag() {
    let first_options = [7, 7, 8, 0, 0, 0, 0, 0x94, 4, 0, 0, 0x88, 4, 0x12, 0x34, 0];
    let later_options = [1, 1, 1, 1, 1, 1, 1, 0x94, 4, 0, 0, 0x88, 4, 0x12, 0x34, 0];
    let ip = udp(POD1, NARROW, 1100).options(&first_options);
    let next = ip.forwarded();
    // MTU 600 and 36 bytes of header: 560 of payload.
    let first = next.fragment(0..560, true);
    let last = next.fragment(560..1080, false).options(&later_options);
    narrowed(600).receive(CALI1, from_pod1(&ip)).is_fragmented(&[to_router(&first), to_router(&last)]);
    // A later fragment that is cut again has lost them before, or keeps what it has.
    let ip = Ip { offset: 8, ..ip };
    let walked = narrowed(600).receive(CALI1, from_pod1(&ip));
    assert_eq!(walked.sent[1].1[34..50], first_options);
}

#[test]
fn an_mtu_that_leaves_no_room_for_payload_is_fragment_failed() {
    let ip = udp(POD1, NARROW, 600).options(&[1; 40]);
    for mtu in [0, 20, 59, 60, 67] {
        narrowed(mtu).receive(CALI1, from_pod1(&ip)).is_dropped(DropReason::FragmentFailed);
    }
    assert_eq!(narrowed(68).receive(CALI1, from_pod1(&ip)).counters.forwarded, 0, "beyond 64 fragments");
}

#[test]
fn spare_frames_that_are_too_small_come_back() {
    let mut node = narrowed(1300);
    node.set_spares_of(4, HEADROOM + 100);
    node.receive(CALI1, from_pod1(&udp(POD1, NARROW, 1500))).is_dropped(DropReason::FragmentFailed);
}

#[test]
fn without_enough_spare_frames_nothing_is_sent() {
    let ip = udp(POD1, NARROW, 1500);
    for spares in 0..4 {
        let mut node = narrowed(400);
        node.set_spares(spares);
        let walked = node.receive(CALI1, from_pod1(&ip));
        // 376 bytes in each: four fragments, three of them in spare frames.
        if spares < 3 {
            walked.is_dropped(DropReason::FragmentFailed);
        } else {
            assert_eq!(rebuilt(&walked), ip.payload);
        }
    }
}

#[test]
fn a_ring_that_fills_between_fragments_loses_the_rest_and_no_buffer() {
    for ring in 0..4 {
        let mut node = narrowed(400);
        node.ring = ring;
        let walked = node.receive(CALI1, from_pod1(&udp(POD1, NARROW, 1500)));
        assert_eq!(walked.sent.len(), ring);
        assert_eq!(walked.counters.forwarded, u64::from(ring > 0));
        assert_eq!(walked.counters.drop[DropReason::TxRingFull as usize], u64::from(ring == 0));
    }
}

#[test]
fn once_one_fragment_is_lost_the_rest_is_not_sent() {
    let mut node = narrowed(400);
    node.refusals = 1;
    let walked = node.receive(CALI1, from_pod1(&udp(POD1, NARROW, 1500)));
    walked.is_dropped(DropReason::TxRingFull);
}

#[test]
fn later_fragments_of_a_datagram_take_the_first_ones_path() {
    let mut node = Node::new();
    let mut ports = [0; 2];
    for flow in 0..64 {
        let whole = udp_ports(POD1, SHARED, (10_000 + flow, 53), &pattern(1192)).id(flow);
        let pieces = [
            whole.fragment(0..800, true),
            whole.fragment(800..1000, true),
            whole.fragment(1000..1200, false),
        ];
        let frames: Vec<OnPort> = pieces.iter().map(|ip| (CALI1, from_pod1(ip))).collect();
        let walked = node.burst(Instant(0), &frames);
        assert!(walked.sent.iter().all(|(port, _)| *port == walked.sent[0].0), "flow {flow}");
        ports[walked.sent[0].0.index()] += 1;
    }
    // By addresses and protocol alone: all of one pair of hosts together.
    assert!(ports == [64, 0] || ports == [0, 64]);
}

#[test]
fn fragments_cut_here_go_where_the_whole_packet_would_have_gone() {
    let mut node = Node::new();
    for adjacency in &mut node.tables.adjacencies {
        if matches!(adjacency.action, Action::Send { .. }) && adjacency.mtu == 1500 {
            adjacency.mtu = 700;
        }
    }
    let mut ports = [0; 2];
    for flow in 0..64 {
        let small = udp_ports(POD1, SHARED, (10_000 + flow, 53), &pattern(100));
        let large = udp_ports(POD1, SHARED, (10_000 + flow, 53), &pattern(1000));
        let port = node.receive(CALI1, from_pod1(&small)).sent[0].0;
        let walked = node.receive(CALI1, from_pod1(&large));
        assert!(walked.sent.len() == 2 && walked.sent.iter().all(|(other, _)| *other == port));
        ports[port.index()] += 1;
    }
    assert!(ports[0] > 0 && ports[1] > 0);
}
