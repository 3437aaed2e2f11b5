//! Frames and packets as a peer would build them, from etherparse's headers: never from the walk's own codec.

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Ethernet2Header, IcmpEchoHeader, Icmpv4Header,
    Icmpv4Type, IpEcn, IpFragOffset, IpNumber, Ipv4Header, TcpHeader, UdpHeader, icmpv4,
};
use std::net::Ipv4Addr;

pub type Mac = [u8; 6];

pub const BROADCAST: Mac = [0xff; 6];
pub const NOBODY: Mac = [0; 6];
/// Reserved, DF and MF, as they stand in the upper bits of the fragment field.
pub const RESERVED: u16 = 0x8000;
pub const DF: u16 = 0x4000;
pub const MF: u16 = 0x2000;

/// An IPv4 packet whose lengths and checksum are worked out when it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ip {
    pub tos: u8,
    pub id: u16,
    /// [`RESERVED`], [`DF`] and [`MF`].
    pub flags: u16,
    /// Fragment offset in units of 8 bytes.
    pub offset: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Ip {
    pub fn new(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: Vec<u8>) -> Self {
        let (tos, id, flags, offset, ttl, options) = (0, 0x1234, 0, 0, 64, Vec::new());
        Self { tos, id, flags, offset, ttl, protocol, source, destination, options, payload }
    }

    pub fn ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    pub fn tos(self, tos: u8) -> Self {
        Self { tos, ..self }
    }

    pub fn id(self, id: u16) -> Self {
        Self { id, ..self }
    }

    pub fn flags(self, flags: u16) -> Self {
        Self { flags, ..self }
    }

    pub fn options(self, options: &[u8]) -> Self {
        Self { options: options.to_vec(), ..self }
    }

    /// The piece of this packet's payload in `range`, as a fragment.
    pub fn fragment(&self, range: std::ops::Range<usize>, more: bool) -> Self {
        let offset = self.offset + u16::try_from(range.start / 8).unwrap();
        let flags = self.flags & !MF | if more { MF } else { 0 };
        Self { offset, flags, payload: self.payload[range].to_vec(), ..self.clone() }
    }

    /// As the next router sends it on.
    pub fn forwarded(&self) -> Self {
        Self { ttl: self.ttl - 1, ..self.clone() }
    }

    pub fn length(&self) -> usize {
        Ipv4Header::MIN_LEN + self.options.len() + self.payload.len()
    }

    pub fn header(&self) -> Ipv4Header {
        let mut header = Ipv4Header {
            ecn: IpEcn::try_new(self.tos & 3).unwrap(),
            dscp: (self.tos >> 2).try_into().unwrap(),
            identification: self.id,
            dont_fragment: self.flags & DF != 0,
            more_fragments: self.flags & MF != 0,
            fragment_offset: IpFragOffset::try_new(self.offset).unwrap(),
            time_to_live: self.ttl,
            protocol: IpNumber(self.protocol),
            source: self.source.octets(),
            destination: self.destination.octets(),
            ..Ipv4Header::default()
        };
        header.options = self.options[..].try_into().unwrap();
        header.set_payload_len(self.payload.len()).unwrap();
        header.header_checksum = header.calc_header_checksum();
        header
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header().to_bytes().to_vec();
        if self.flags & RESERVED != 0 {
            // etherparse does not write the reserved flag.
            bytes[6] |= 0x80;
            mend(&mut bytes);
        }
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

/// Makes the checksum of the IPv4 header that begins `packet` right, whatever its fields are: RFC 1071 by the book.
pub fn mend(packet: &mut [u8]) {
    let header = (usize::from(packet[0] & 0xf) * 4).min(packet.len());
    packet[10..12].fill(0);
    let sum = !sum16(&packet[..header]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The one's complement sum of 16-bit words.
pub fn sum16(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// `count` bytes that differ from their neighbours, so that a shifted payload shows.
pub fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 7 + at / 251) as u8).collect()
}

pub fn udp_ports(source: Ipv4Addr, destination: Ipv4Addr, ports: (u16, u16), payload: &[u8]) -> Ip {
    let ip = Ip::new(source, destination, 17, Vec::new());
    let header = UdpHeader::with_ipv4_checksum(ports.0, ports.1, &ip.header(), payload).unwrap();
    Ip { payload: [&header.to_bytes()[..], payload].concat(), ..ip }
}

/// A UDP packet of `length` bytes, IP header included.
pub fn udp(source: Ipv4Addr, destination: Ipv4Addr, length: usize) -> Ip {
    udp_ports(source, destination, (40_000, 53), &pattern(length - 28))
}

pub fn tcp(source: Ipv4Addr, destination: Ipv4Addr, ports: (u16, u16), payload: &[u8]) -> Ip {
    let mut ip = Ip::new(source, destination, 6, Vec::new());
    let mut header = TcpHeader::new(ports.0, ports.1, 1000, 64_000);
    header.ack = true;
    header.checksum = header.calc_checksum_ipv4(&ip.header(), payload).unwrap();
    ip.payload = [&header.to_bytes()[..], payload].concat();
    ip
}

pub fn icmp(source: Ipv4Addr, destination: Ipv4Addr, kind: Icmpv4Type, payload: &[u8]) -> Ip {
    let header = Icmpv4Header::with_checksum(kind, payload);
    Ip::new(source, destination, 1, [&header.to_bytes()[..], payload].concat())
}

pub fn ping(source: Ipv4Addr, destination: Ipv4Addr) -> Ip {
    let echo = Icmpv4Type::EchoRequest(IcmpEchoHeader { id: 7, seq: 1 });
    icmp(source, destination, echo, &pattern(56))
}

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    TimeExceeded,
    Network,
    Host,
    Prohibited,
    /// With the next hop's MTU.
    TooBig(u16),
}

/// The error that a router at `from` sends about `offender` (an IP packet as it was received), but for its
/// identification, which is free. TOS and quote are the ones measured of Linux: at most 576 bytes in all, never padded.
pub fn icmp_error(error: Error, from: Ipv4Addr, offender: &Ip) -> Ip {
    let kind = match error {
        Error::TimeExceeded => Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit),
        Error::Network => Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Network),
        Error::Host => Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Host),
        Error::Prohibited => {
            Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::FilterProhibited)
        }
        Error::TooBig(next_hop_mtu) => {
            Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::FragmentationNeeded {
                next_hop_mtu,
            })
        }
    };
    let bytes = offender.bytes();
    let quote = &bytes[..bytes.len().min(576 - 28)];
    icmp(from, offender.source, kind, quote).tos(offender.tos & 0x1e | 0xc0)
}

/// `outer`'s headers around `inner`: RFC 2003.
pub fn ipip(source: Ipv4Addr, destination: Ipv4Addr, inner: &Ip) -> Ip {
    Ip::new(source, destination, 4, inner.bytes())
}

/// UDP and VXLAN (RFC 7348) around an Ethernet frame; UDP checksum zero.
pub fn vxlan(source: Ipv4Addr, destination: Ipv4Addr, ports: (u16, u16), vni: u32, inner: &[u8]) -> Ip {
    let mut payload = vec![0x08, 0, 0, 0];
    payload.extend_from_slice(&(vni << 8).to_be_bytes());
    payload.extend_from_slice(inner);
    let header = UdpHeader::without_ipv4_checksum(ports.0, ports.1, payload.len()).unwrap();
    Ip::new(source, destination, 17, [&header.to_bytes()[..], &payload].concat())
}

/// Gives a UDP packet the checksum that its header lacks.
pub fn with_udp_checksum(mut ip: Ip) -> Ip {
    let (mut header, _) = UdpHeader::from_slice(&ip.payload).unwrap();
    header.checksum = header.calc_checksum_ipv4(&ip.header(), &ip.payload[8..]).unwrap();
    ip.payload[..8].copy_from_slice(&header.to_bytes());
    ip
}

pub fn ethernet(to: Mac, from: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let header = Ethernet2Header { destination: to, source: from, ether_type: EtherType(ethertype) };
    [&header.to_bytes()[..], payload].concat()
}

pub fn ip_frame(to: Mac, from: Mac, ip: &Ip) -> Vec<u8> {
    ethernet(to, from, 0x0800, &ip.bytes())
}

/// `frame` with an 802.1Q tag of this control information (priority, VLAN).
pub fn tagged(frame: &[u8], control: u16) -> Vec<u8> {
    [&frame[..12], &[0x81, 0], &control.to_be_bytes(), &frame[12..]].concat()
}

/// `frame` as a NIC pads it.
pub fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0x5a);
    frame
}

/// An ARP packet: operation, then sender and target.
pub fn arp(operation: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation(operation),
        &sender.0,
        &sender.1.octets(),
        &target.0,
        &target.1.octets(),
    )
    .unwrap()
    .to_bytes()
    .to_vec()
}

/// A broadcast request for `target`.
pub fn who_has(sender: (Mac, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    ethernet(BROADCAST, sender.0, 0x0806, &arp(1, sender, (NOBODY, target)))
}

/// The reply that `target` is at `mac`, to whoever asked.
pub fn is_at(mac: Mac, target: Ipv4Addr, asker: (Mac, Ipv4Addr)) -> Vec<u8> {
    ethernet(asker.0, mac, 0x0806, &arp(2, (mac, target), asker))
}
