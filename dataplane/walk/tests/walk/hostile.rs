//! Hostile input: any frame on any table. No panic, one outcome a frame, balanced counters, no lost buffer, and nothing sent
//! that a strict reader would refuse. [`Node::burst`] checks all of that; here are the frames.

use crate::common::node::*;
use crate::common::packets::*;
use crate::common::traffic::samples;
use crate::common::{Node, OnPort};
use packetwalk_walk::tables::{Action, PortId, Role};
use packetwalk_walk::{BATCH, Instant, PuntReason};
use proptest::prelude::*;
use proptest::sample::Index;

/// Walks `frames` in bursts.
fn walk_all(node: &mut Node, frames: &[OnPort]) {
    for (number, burst) in frames.chunks(BATCH).enumerate() {
        node.burst(Instant(number as u64 * 1_000_000), burst);
    }
    assert!(node.total.balance());
    assert_eq!(node.total.rx, frames.len() as u64);
}

fn all_samples() -> Vec<OnPort> {
    samples().into_iter().map(|sample| (sample.port, sample.frame)).collect()
}

/// Where IPv4 headers begin in a frame, as far as it can be told from outside: behind Ethernet, and inside IPIP and VXLAN.
const HEADERS: [usize; 4] = [14, 18, 34, 64];

#[test]
fn every_sample_cut_at_every_byte() {
    let mut frames = Vec::new();
    for (port, frame) in all_samples() {
        let ends = (0..frame.len()).filter(|end| *end < 200 || end % 41 == 0);
        frames.extend(ends.map(|end| (port, frame[..end].to_vec())));
    }
    walk_all(&mut Node::new(), &frames);
}

#[test]
fn every_sample_with_each_byte_of_its_headers_set_to_extremes() {
    for mended in [false, true] {
        let mut frames = Vec::new();
        for (port, frame) in all_samples() {
            for at in 0..frame.len().min(110) {
                for value in [0, 1, 0x7f, 0x80, 0xff, frame[at] ^ 1] {
                    let mut frame = frame.clone();
                    frame[at] = value;
                    if mended {
                        mend_all(&mut frame);
                    }
                    frames.push((port, frame));
                }
            }
        }
        walk_all(&mut Node::new(), &frames);
    }
}

/// Makes every checksum right that an IPv4 header in [`HEADERS`] has, so that a lie is believed.
fn mend_all(frame: &mut [u8]) {
    // The innermost first: outer ones cover headers only.
    for at in HEADERS.into_iter().rev() {
        if frame.len() >= at + 20 && frame[at] >> 4 == 4 {
            mend(&mut frame[at..]);
        }
    }
}

/// The two-byte fields that say a length: IP total lengths at each level, and UDP's.
#[test]
fn every_length_field_lies() {
    let mut frames = Vec::new();
    for (port, frame) in all_samples() {
        for at in [16, 20, 36, 66, 38, 24, 62] {
            if at + 2 > frame.len() {
                continue;
            }
            let said = u16::from_be_bytes([frame[at], frame[at + 1]]);
            for lie in [
                0,
                1,
                7,
                8,
                19,
                20,
                27,
                28,
                said.wrapping_sub(1),
                said.wrapping_add(1),
                said / 2,
                1500,
                0x7fff,
                0xffff,
            ] {
                let mut frame = frame.clone();
                frame[at..at + 2].copy_from_slice(&lie.to_be_bytes());
                mend_all(&mut frame);
                frames.push((port, frame));
            }
        }
    }
    walk_all(&mut Node::new(), &frames);
}

#[test]
fn every_header_length_at_every_level() {
    let mut frames = Vec::new();
    for (port, frame) in all_samples() {
        for at in HEADERS {
            for first in (0x40..=0x4f).chain([0x00, 0x35, 0x55, 0x65, 0xff]) {
                if at < frame.len() {
                    let mut frame = frame.clone();
                    frame[at] = first;
                    mend_all(&mut frame);
                    frames.push((port, frame));
                }
            }
        }
    }
    walk_all(&mut Node::new(), &frames);
}

#[test]
fn frames_larger_than_any_packet() {
    let mut node = Node::new();
    let longest = Ip::new(POD1, WORLD, 17, vec![0x55; 65_515]);
    for (ip, tail) in [
        (&longest, 0),
        (&longest, 500),
        (&longest.clone().flags(DF), 70_000),
        (&ipip(POD1, NODE, &udp(POD1, WORLD, 100)), 80_000),
    ] {
        let mut frame = ip_frame(CALI_MAC, POD1_MAC, ip);
        frame.resize(frame.len() + tail, 0xee);
        node.receive(CALI1, frame);
    }
    // 65,535 bytes that may leave whole, but not in a tunnel: the outer packet would be longer than one can be.
    for adjacency in &mut node.tables.adjacencies {
        adjacency.mtu = 65_535;
    }
    for destination in [FAR_IPIP, FAR_VXLAN] {
        let walked =
            node.receive(CALI1, ip_frame(CALI_MAC, POD1_MAC, &Ip { destination, ..longest.clone() }));
        assert_eq!((walked.counters.dropped(), walked.sent.len()), (1, 0));
    }
}

#[test]
fn chains_of_tunnels_in_tunnels_end() {
    let mut packet = udp(FAR_IPIP, POD1, 60);
    let mut node = Node::new();
    for _ in 0..40 {
        packet = ipip(PEER, NODE, &packet);
        node.receive(ETH0, ip_frame(ETH0_MAC, PEER_MAC, &packet));
        let frame = ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &packet);
        node.receive(ETH0, ip_frame(ETH0_MAC, VTEP_MAC, &vxlan(VTEP, NODE, (50_000, 8472), 1, &frame)));
    }
    assert_eq!(node.total.drop[packetwalk_walk::DropReason::TunnelNested as usize], 39 + 40);
}

/// One frame of noise, or of a sample that was tampered with.
fn frame() -> impl Strategy<Value = OnPort> {
    let port = (0..PORTS as u16).prop_map(PortId);
    let noise = (port, prop::collection::vec(any::<u8>(), 0..400));
    // Noise that gets past the Ethernet header, and past the IPv4 header's checks.
    let addressed = (0..4usize, prop::collection::vec(any::<u8>(), 20..400), any::<bool>()).prop_map(
        |(place, mut bytes, valid)| {
            let (port, to) =
                [(ETH0, ETH0_MAC), (CALI1, CALI_MAC), (VETH1, CNI0_MAC), (CALI2, BROADCAST)][place];
            if valid {
                bytes[0] = 0x45;
                let length = bytes.len() as u16;
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                mend(&mut bytes);
            }
            (port, ethernet(to, POD1_MAC, 0x0800, &bytes))
        },
    );
    let edits = prop::collection::vec((any::<Index>(), any::<u8>()), 0..6);
    let tampered = (
        any::<Index>(),
        edits,
        any::<bool>(),
        prop::option::weighted(0.2, any::<Index>()),
        0..60usize,
        any::<bool>(),
    )
        .prop_map(|(sample, edits, near, cut, grown, mended)| {
            let (port, mut frame) = SAMPLES.with(|samples| samples[sample.index(samples.len())].clone());
            for (at, value) in edits {
                // Mostly in the headers.
                let reach = if near { frame.len().min(80) } else { frame.len() };
                frame[at.index(reach)] = value;
            }
            if let Some(cut) = cut {
                frame.truncate(cut.index(frame.len()));
            }
            frame.resize(frame.len() + grown, 0xcc);
            if mended {
                mend_all(&mut frame);
            }
            (port, frame)
        });
    prop_oneof![1 => noise, 2 => addressed, 6 => tampered]
}

thread_local! {
    static SAMPLES: Vec<OnPort> = all_samples();
}

/// What may be otherwise of a node's tables, rings and spares.
fn upset(node: &mut Node, choices: &[(u8, Index, u16)]) {
    // Small enough that a tunnel in which one stands still fits the links.
    let mtus = [0, 20, 27, 28, 67, 68, 100, 576, 577, 1280, 1400];
    for (kind, which, value) in choices {
        let tables = &mut node.tables;
        let port = which.index(PORTS);
        match kind {
            0 => tables.ports[port].up = false,
            1 => tables.ports[port].role = if value % 2 == 0 { Role::Uplink } else { Role::Workload },
            2 => tables.ports[port].mtu = mtus[usize::from(*value) % mtus.len()],
            3 => tables.bridges[0].switches = false,
            4 => {
                if let Some(member) = &mut tables.ports[port].bridge {
                    (member.hairpin, member.forwarding) = (value % 2 == 0, value % 3 > 0);
                }
            }
            5 => tables.links[which.index(LINKS)].forwarding = false,
            6 => tables.links[which.index(LINKS)].proxy_arp = true,
            7 => {
                let adjacency = which.index(tables.adjacencies.len());
                tables.adjacencies[adjacency].mtu = mtus[usize::from(*value) % mtus.len()];
            }
            8 => {
                // One adjacency is what another one is.
                let from = which.index(tables.adjacencies.len());
                let to = usize::from(*value) % tables.adjacencies.len();
                tables.adjacencies[to] = tables.adjacencies[from].clone();
            }
            9 => {
                let adjacency = which.index(tables.adjacencies.len());
                tables.adjacencies[adjacency].action =
                    [Action::Connected, Action::Local, Action::Punt(PuntReason::NotHeld)]
                        [usize::from(*value % 3)]
                    .clone();
            }
            10 => tables.kernel_behind = true,
            11 => tables.ipv4.node_address = None,
            12 => tables.ipv4.neighbours = packetwalk_walk::tables::FlatMap::default(),
            13 => tables.ipv4.rules = tables.ipv4.rules[..which.index(tables.ipv4.rules.len() + 1)].into(),
            14 => node.ring = usize::from(*value % 8),
            15 => node.gone.push(PortId(port as u16)),
            _ => node.set_spares_of(usize::from(*value % 8), 150 + usize::from(*value)),
        }
    }
    assert_eq!(node.tables.verify(), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_frame_on_the_node_as_it_is(frames in prop::collection::vec(frame(), 1..=BATCH)) {
        walk_all(&mut Node::new(), &frames);
    }

    #[test]
    fn any_frame_on_any_table(
        frames in prop::collection::vec(frame(), 1..=BATCH),
        choices in prop::collection::vec((0..17u8, any::<Index>(), any::<u16>()), 0..12),
    ) {
        let mut node = Node::new();
        upset(&mut node, &choices);
        walk_all(&mut node, &frames);
    }
}
