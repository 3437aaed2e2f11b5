//! Where each header of a frame begins, through IPIP and VXLAN to the innermost.

use std::net::Ipv4Addr;

pub(crate) const IPIP: u8 = 4;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// IANA's VXLAN port, and the one that Linux had before there was an assignment.
pub(crate) const VXLAN_PORTS: [u16; 2] = [4789, 8472];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Ethernet,
    Arp,
    Ipv4,
    Icmp,
    Tcp,
    Udp,
    Vxlan,
}

/// The headers of a frame that are there in full, outermost first, each with its offset.
///
/// A later fragment ends at its IPv4 header, for what follows is no header.
pub(crate) fn layers(frame: &[u8]) -> Vec<(Layer, usize)> {
    let mut found = Vec::new();
    ethernet(frame, 0, &mut found);
    found
}

fn ethernet(frame: &[u8], at: usize, found: &mut Vec<(Layer, usize)>) {
    if frame.len() < at + 14 {
        return;
    }
    found.push((Layer::Ethernet, at));
    match be16(frame, at + 12) {
        0x0800 => ipv4(frame, at + 14, found),
        0x0806 if frame.len() >= at + 14 + 28 => found.push((Layer::Arp, at + 14)),
        _ => {}
    }
}

fn ipv4(frame: &[u8], at: usize, found: &mut Vec<(Layer, usize)>) {
    if frame.len() < at + 20 || frame.len() < at + header_length(frame, at) {
        return;
    }
    found.push((Layer::Ipv4, at));
    if fragment_offset(frame, at) != 0 {
        return;
    }
    let payload = at + header_length(frame, at);
    let left = frame.len() - payload;
    match frame[at + 9] {
        IPIP => ipv4(frame, payload, found),
        ICMP if left >= 8 => found.push((Layer::Icmp, payload)),
        TCP if left >= 20 => found.push((Layer::Tcp, payload)),
        UDP if left >= 8 => udp(frame, payload, found),
        _ => {}
    }
}

fn udp(frame: &[u8], at: usize, found: &mut Vec<(Layer, usize)>) {
    found.push((Layer::Udp, at));
    if VXLAN_PORTS.contains(&be16(frame, at + 2)) && frame.len() >= at + 16 {
        found.push((Layer::Vxlan, at + 8));
        ethernet(frame, at + 16, found);
    }
}

pub(crate) fn be16(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

pub(crate) fn address(frame: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(frame[at], frame[at + 1], frame[at + 2], frame[at + 3])
}

pub(crate) fn header_length(frame: &[u8], ipv4_at: usize) -> usize {
    usize::from(frame[ipv4_at] & 0x0f) * 4
}

/// In units of eight bytes.
pub(crate) fn fragment_offset(frame: &[u8], ipv4_at: usize) -> u16 {
    be16(frame, ipv4_at + 6) & 0x1fff
}

pub(crate) fn is_fragment(frame: &[u8], ipv4_at: usize) -> bool {
    be16(frame, ipv4_at + 6) & 0x3fff != 0
}

/// Whether the IPv4 header checksum holds.
pub(crate) fn checksum_holds(frame: &[u8], ipv4_at: usize) -> bool {
    let header = &frame[ipv4_at..ipv4_at + header_length(frame, ipv4_at)];
    let sum: u32 = header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    (sum & 0xffff) + (sum >> 16) == 0xffff
}
