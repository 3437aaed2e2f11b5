//! Judges what the walk sends, by etherparse: whatever came in, nothing may leave that a strict reader would refuse.

use super::OnPort;
use super::node::{
    CALI_MAC, CNI0_MAC, ETH0, ETH0_MAC, ETH1_MAC, FLANNEL_MAC, NODE, NODE_CNI0, NODE_ETH1, NODE_FLANNEL,
    NODE_TUNL0, VETH1, VETH2, VXLAN2_MAC,
};
use super::packets::{Mac, sum16};
use etherparse::{ArpPacketSlice, EtherType, Ethernet2Slice, Ipv4HeaderSlice, UdpSlice};
use packetwalk_walk::tables::PortId;
use std::net::Ipv4Addr;

/// By port: the source of what is routed or answered there.
const SOURCES: [Mac; 6] = [ETH0_MAC, ETH1_MAC, CALI_MAC, CALI_MAC, CNI0_MAC, CNI0_MAC];
const OWN: [Ipv4Addr; 5] = [NODE, NODE_ETH1, NODE_CNI0, NODE_TUNL0, NODE_FLANNEL];

/// Whether `frame`, sent by `port` after `received` came in, is well-formed; if not, what is wrong.
pub fn judge(port: PortId, frame: &[u8], received: &[OnPort]) -> Result<(), String> {
    let member = |port: PortId| port == VETH1 || port == VETH2;
    if member(port) && received.iter().any(|(from, bytes)| member(*from) && bytes == frame) {
        // Switched: the bridge's business ends at the Ethernet header.
        return Ok(());
    }
    let ethernet = Ethernet2Slice::from_slice_without_fcs(frame).map_err(|error| error.to_string())?;
    expect("Ethernet source", ethernet.source(), SOURCES[port.index()])?;
    let payload = ethernet.payload_slice();
    match ethernet.ether_type() {
        EtherType::ARP => arp(payload, ethernet.source()),
        EtherType::IPV4 => {
            if payload.len() > 1500 {
                return Err(format!("{} bytes are more than the MTU", payload.len()));
            }
            ipv4(payload, port)
        }
        other => Err(format!("EtherType {other:?} is never sent")),
    }
}

fn arp(packet: &[u8], source: Mac) -> Result<(), String> {
    let arp = ArpPacketSlice::from_slice(packet).map_err(|error| error.to_string())?;
    expect("ARP length", packet.len(), 28)?;
    expect("ARP operation", arp.operation().0, 2)?;
    expect("ARP sender", arp.sender_hw_addr(), &source[..])
}

/// A packet that fills `bytes`.
fn ipv4(bytes: &[u8], port: PortId) -> Result<(), String> {
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|error| error.to_string())?;
    expect("total length", usize::from(header.total_len()), bytes.len())?;
    // By the book: etherparse's own calculation leaves the reserved flag out.
    expect("header sum", sum16(header.slice()), 0xffff)?;
    if header.header_checksum() == 0xffff {
        return Err("header checksum 0xffff where 0x0000 is right".into());
    }
    if header.ttl() == 0 {
        return Err("TTL 0".into());
    }
    let source = header.source_addr();
    if source.octets()[0] == 0 || source.is_loopback() || source.is_multicast() || source.is_broadcast() {
        return Err(format!("source {source}"));
    }
    if !OWN.contains(&source) {
        return Ok(());
    }
    // What the node itself made: an ICMP error or a tunnel's outer packet, never a fragment.
    expect("offset", header.fragments_offset().value(), 0)?;
    expect("flags", bytes[6] & 0xa0, 0)?;
    let payload = &bytes[header.slice().len()..];
    match header.protocol().0 {
        1 => icmp_error(payload, bytes.len()),
        4 => {
            expect("port of a tunnel", port, ETH0)?;
            ipv4(payload, port)
        }
        17 => vxlan(payload, &header, port),
        other => Err(format!("protocol {other} from an address of the node")),
    }
}

fn icmp_error(message: &[u8], length: usize) -> Result<(), String> {
    expect("ICMP sum", sum16(message), 0xffff)?;
    if length > 576 || message.len() < 28 {
        return Err(format!("an ICMP error of {length} bytes"));
    }
    match message[..2] {
        [11, 0] | [3, 0 | 1 | 13] => expect("unused field", &message[4..8], &[0; 4][..]),
        [3, 4] => expect("unused field", &message[4..6], &[0; 2][..]),
        _ => Err(format!("ICMP type and code {:?}", &message[..2])),
    }
}

fn vxlan(datagram: &[u8], outer: &Ipv4HeaderSlice<'_>, port: PortId) -> Result<(), String> {
    let udp = UdpSlice::from_slice(datagram).map_err(|error| error.to_string())?;
    expect("UDP length", usize::from(udp.length()), datagram.len())?;
    let (vni, mac, ports) = match udp.destination_port() {
        8472 => (1, FLANNEL_MAC, 49_152..=65_535),
        4789 => (2, VXLAN2_MAC, 50_000..=50_099),
        other => return Err(format!("UDP port {other} from an address of the node")),
    };
    if !ports.contains(&udp.source_port()) {
        return Err(format!("UDP source port {}", udp.source_port()));
    }
    let sum = match vni {
        1 => 0,
        _ => udp
            .to_header()
            .calc_checksum_ipv4(&outer.to_header(), udp.payload())
            .map_err(|e| e.to_string())?,
    };
    expect("UDP checksum", udp.checksum(), sum)?;
    expect("VXLAN header", &udp.payload()[..8], &[8, 0, 0, 0, 0, 0, vni, 0][..])?;
    let inner =
        Ethernet2Slice::from_slice_without_fcs(&udp.payload()[8..]).map_err(|error| error.to_string())?;
    expect("inner Ethernet source", inner.source(), mac)?;
    expect("inner EtherType", inner.ether_type(), EtherType::IPV4)?;
    ipv4(inner.payload_slice(), port)
}

#[allow(clippy::needless_pass_by_value)] // numbers and slices: nothing to consume
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} {found:?}, expected {expected:?}")) }
}
