//! Frames, written by etherparse and not by the walk's own code: what goes in, and what must come out.

use etherparse::{
    ArpEthIpv4Packet, ArpOperation, ArpPacket, EtherType, Ethernet2Header, IpFragOffset, IpNumber,
    Ipv4Header, UdpHeader,
};
use packetwalk_walk::wire::MacAddr;
use std::net::Ipv4Addr;

/// The shortest frame that a NIC delivers, without FCS.
pub(crate) const SHORTEST: usize = 60;
/// Payload of a UDP packet in a shortest frame.
const PAYLOAD: [u8; SHORTEST - 14 - 20 - 8] = [0x5a; 18];

/// What an IPv4 header says beyond its addresses.
#[derive(Clone, Copy)]
pub(crate) struct Ip {
    /// Protocol number.
    pub(crate) protocol: u8,
    /// TTL.
    pub(crate) ttl: u8,
    /// Identification.
    pub(crate) id: u16,
    /// Do not fragment.
    pub(crate) dont_fragment: bool,
}

/// A packet of a UDP flow: addresses, ports and identification.
#[derive(Clone, Copy)]
pub(crate) struct Flow {
    /// IP source.
    pub(crate) source: Ipv4Addr,
    /// IP destination.
    pub(crate) destination: Ipv4Addr,
    /// UDP ports.
    pub(crate) ports: (u16, u16),
    /// IP identification.
    pub(crate) id: u16,
    /// Do not fragment.
    pub(crate) dont_fragment: bool,
}

impl Flow {
    /// The packet at this TTL: 46 bytes, which make a shortest frame.
    pub(crate) fn packet(&self, ttl: u8) -> Vec<u8> {
        let ip = Ip { protocol: IpNumber::UDP.0, ttl, id: self.id, dont_fragment: self.dont_fragment };
        let header = ipv4_header(ip, self.source, self.destination, 8 + PAYLOAD.len());
        let sum = UdpHeader::with_ipv4_checksum(self.ports.0, self.ports.1, &header, &PAYLOAD);
        let udp = sum.map(|udp| udp.to_bytes()).unwrap_or_default();
        [&header.to_bytes()[..], &udp, &PAYLOAD].concat()
    }
}

/// `payload` in an Ethernet frame.
pub(crate) fn ethernet(to: MacAddr, from: MacAddr, payload: &[u8]) -> Vec<u8> {
    with_ethertype(to, from, EtherType::IPV4, payload)
}

/// `payload` in an IPv4 packet.
pub(crate) fn ipv4(ip: Ip, source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    [&ipv4_header(ip, source, destination, payload.len()).to_bytes(), payload].concat()
}

/// `frame` in a VXLAN packet (RFC 7348 5) without UDP checksum, from its UDP header on. etherparse knows no VXLAN.
pub(crate) fn vxlan(ports: (u16, u16), vni: u32, frame: &[u8]) -> Vec<u8> {
    let udp = UdpHeader {
        source_port: ports.0,
        destination_port: ports.1,
        length: (8 + 8 + frame.len()) as u16,
        checksum: 0,
    };
    [&udp.to_bytes()[..], &[0x08, 0, 0, 0], &(vni << 8).to_be_bytes(), frame].concat()
}

/// An ARP packet in a frame: a request to all stations, or its answer to `target`.
pub(crate) fn arp(
    operation: ArpOperation,
    sender: (MacAddr, Ipv4Addr),
    target: (MacAddr, Ipv4Addr),
) -> Vec<u8> {
    let to = if operation == ArpOperation::REQUEST { MacAddr::BROADCAST } else { target.0 };
    let packet = ArpPacket::from(ArpEthIpv4Packet {
        operation,
        sender_mac: sender.0.0,
        sender_ipv4: sender.1.octets(),
        target_mac: if operation == ArpOperation::REQUEST { [0; 6] } else { target.0.0 },
        target_ipv4: target.1.octets(),
    });
    with_ethertype(to, sender.0, EtherType::ARP, &packet.to_bytes())
}

/// The frame as a NIC receives it: padded to the shortest length.
pub(crate) fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(SHORTEST), 0);
    frame
}

/// The IP identification of a frame, which the walk is free to choose for an outer header.
pub(crate) fn identification(frame: &[u8]) -> u16 {
    be16(frame, 18)
}

/// The UDP source port of a frame, which the walk derives from the inner flow for VXLAN.
pub(crate) fn udp_source(frame: &[u8]) -> u16 {
    be16(frame, 34)
}

fn be16(frame: &[u8], at: usize) -> u16 {
    frame.get(at..at + 2).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn with_ethertype(to: MacAddr, from: MacAddr, ether_type: EtherType, payload: &[u8]) -> Vec<u8> {
    let header = Ethernet2Header { destination: to.0, source: from.0, ether_type };
    [&header.to_bytes()[..], payload].concat()
}

fn ipv4_header(ip: Ip, source: Ipv4Addr, destination: Ipv4Addr, payload: usize) -> Ipv4Header {
    let mut header = Ipv4Header {
        total_len: (Ipv4Header::MIN_LEN + payload) as u16,
        identification: ip.id,
        dont_fragment: ip.dont_fragment,
        fragment_offset: IpFragOffset::ZERO,
        time_to_live: ip.ttl,
        protocol: IpNumber(ip.protocol),
        source: source.octets(),
        destination: destination.octets(),
        ..Ipv4Header::default()
    };
    header.header_checksum = header.calc_header_checksum();
    header
}
