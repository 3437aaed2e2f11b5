//! Fields that a conforming router may fill as it likes, and what must hold of them all the same.
//!
//! Free are the IPv4 identification (hence the header checksum) of tunnel headers that the node
//! wrote and of ICMP errors that it originated, and the UDP source port of its VXLAN packets.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::ops::{Range, RangeInclusive};

use super::layers::{self, IPIP, Layer, VXLAN_PORTS, address, be16, checksum_holds};

const DESTINATION_UNREACHABLE: u8 = 3;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// The byte ranges of a frame that are free, `own` being the node's addresses.
pub(crate) fn free_fields(frame: &[u8], own: &[Ipv4Addr]) -> Vec<Range<usize>> {
    let layers = layers::layers(frame);
    let mut free = Vec::new();
    for (index, &(layer, at)) in layers.iter().enumerate() {
        if layer != Layer::Ipv4 || !own.contains(&address(frame, at + 12)) {
            continue;
        }
        let next = layers.get(index + 1).copied();
        let vxlan = vxlan_udp(frame, next);
        if frame[at + 9] == IPIP || vxlan.is_some() || is_icmp_error(frame, next) {
            free.extend([at + 4..at + 6, at + 10..at + 12]);
        }
        if let Some(udp) = vxlan {
            free.push(udp..udp + 2);
        }
    }
    free
}

fn vxlan_udp(frame: &[u8], next: Option<(Layer, usize)>) -> Option<usize> {
    next.filter(|&(layer, at)| layer == Layer::Udp && VXLAN_PORTS.contains(&be16(frame, at + 2)))
        .map(|(_, at)| at)
}

fn is_icmp_error(frame: &[u8], next: Option<(Layer, usize)>) -> bool {
    next.is_some_and(|(layer, at)| {
        layer == Layer::Icmp
            && [DESTINATION_UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM].contains(&frame[at])
    })
}

/// The frame with its free fields zeroed, for comparison.
pub(crate) fn masked(frame: &[u8], own: &[Ipv4Addr]) -> Vec<u8> {
    let mut copy = frame.to_vec();
    for range in free_fields(frame, own) {
        copy[range].fill(0);
    }
    copy
}

/// What belongs together: the 5-tuple of the innermost packet; all fragments of one datagram.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Flow {
    Ports { src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, ports: (u16, u16) },
    Fragments { src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, id: u16 },
    Arp { sender: Ipv4Addr, target: Ipv4Addr },
    Other,
}

impl Flow {
    pub(crate) fn of(frame: &[u8]) -> Self {
        let layers = layers::layers(frame);
        if let Some(&(_, arp)) = layers.iter().find(|(layer, _)| *layer == Layer::Arp) {
            return Self::Arp { sender: address(frame, arp + 14), target: address(frame, arp + 24) };
        }
        let Some(position) = layers.iter().rposition(|(layer, _)| *layer == Layer::Ipv4) else {
            return Self::Other;
        };
        let at = layers[position].1;
        let (src, dst, protocol) = (address(frame, at + 12), address(frame, at + 16), frame[at + 9]);
        if layers::is_fragment(frame, at) {
            return Self::Fragments { src, dst, protocol, id: be16(frame, at + 4) };
        }
        let ports = match layers.get(position + 1) {
            Some(&(Layer::Tcp | Layer::Udp, transport)) => {
                (be16(frame, transport), be16(frame, transport + 2))
            }
            _ => (0, 0),
        };
        Self::Ports { src, dst, protocol, ports }
    }
}

/// Checks what the mask hides, over all frames that a node sent.
pub(crate) struct FreeFieldRules<'a> {
    own: &'a [Ipv4Addr],
    vxlan_sources: RangeInclusive<u16>,
    source_of: HashMap<Flow, u16>,
}

impl<'a> FreeFieldRules<'a> {
    pub(crate) fn new(own: &'a [Ipv4Addr], vxlan_sources: RangeInclusive<u16>) -> Self {
        Self { own, vxlan_sources, source_of: HashMap::new() }
    }

    /// What is wrong with the free fields of this frame, given the frames before it.
    pub(crate) fn fault_of(&mut self, frame: &[u8]) -> Option<String> {
        if free_fields(frame, self.own).is_empty() {
            return None;
        }
        let layers = layers::layers(frame);
        for (index, &(layer, at)) in layers.iter().enumerate() {
            if layer == Layer::Ipv4 && !checksum_holds(frame, at) {
                return Some(format!("the IPv4 checksum at offset {at} is wrong"));
            }
            let ours = layer == Layer::Ipv4 && self.own.contains(&address(frame, at + 12));
            if let Some(udp) = ours.then(|| vxlan_udp(frame, layers.get(index + 1).copied())).flatten() {
                let source = be16(frame, udp);
                if !self.vxlan_sources.contains(&source) {
                    return Some(format!(
                        "VXLAN source port {source} is not within {:?}",
                        self.vxlan_sources
                    ));
                }
                let flow = Flow::of(frame);
                let first = *self.source_of.entry(flow.clone()).or_insert(source);
                if first != source {
                    return Some(format!("VXLAN source port {source}, but {first} before for {flow:?}"));
                }
            }
        }
        None
    }
}
