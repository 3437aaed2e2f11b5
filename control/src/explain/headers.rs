//! What is in a frame, header by header, as far as it can be read.
//!
//! Only for people and programs that look on: the walk itself reads with [`packetwalk_walk::wire`]. Every field is
//! taken with `get`, so no frame is too short for it.

use super::model::mac;
use packetwalk_walk::tables::Tables;
use packetwalk_walk::wire::checksum::checksum;
use packetwalk_walk::wire::{MacAddr, ethernet, icmp, ipv4};
use serde::Serialize;
use std::net::Ipv4Addr;

/// Headers of a frame at most. A frame can claim to be tunnels in tunnels without end.
const MOST: usize = 12;

/// A header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "header", rename_all = "snake_case")]
pub enum Header {
    /// Ethernet, with a VLAN tag if there is one.
    Ethernet {
        /// Destination.
        #[serde(serialize_with = "mac")]
        destination: MacAddr,
        /// Source.
        #[serde(serialize_with = "mac")]
        source: MacAddr,
        /// VLAN identifier.
        #[serde(skip_serializing_if = "Option::is_none")]
        vlan: Option<u16>,
        /// EtherType of what follows.
        ethertype: u16,
    },
    /// ARP for IPv4 over Ethernet (RFC 826).
    Arp {
        /// 1 request, 2 reply.
        operation: u16,
        /// Sender's MAC address.
        #[serde(serialize_with = "mac")]
        sender_mac: MacAddr,
        /// Sender's address.
        sender: Ipv4Addr,
        /// Target's address.
        target: Ipv4Addr,
    },
    /// IPv4 (RFC 791).
    Ipv4(Ipv4Fields),
    /// UDP (RFC 768).
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Length, bytes.
        length: u16,
        /// Checksum; 0: none.
        checksum: u16,
    },
    /// TCP (RFC 9293).
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Flags that are set.
        flags: String,
    },
    /// ICMP (RFC 792).
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// In words.
        name: &'static str,
        /// Next hop's MTU of a 3/4.
        #[serde(skip_serializing_if = "Option::is_none")]
        mtu: Option<u16>,
    },
    /// VXLAN (RFC 7348).
    Vxlan {
        /// Flags.
        flags: u8,
        /// Network.
        vni: u32,
    },
}

/// The fields of an IPv4 header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ipv4Fields {
    /// Version.
    pub version: u8,
    /// Header length, bytes.
    pub header_length: u8,
    /// TOS byte: DSCP and ECN.
    pub tos: u8,
    /// Total length, bytes.
    pub length: u16,
    /// Identification.
    pub id: u16,
    /// `DF`, `MF` or both.
    pub flags: &'static str,
    /// Fragment offset, bytes.
    pub offset: u16,
    /// TTL.
    pub ttl: u8,
    /// Protocol.
    pub protocol: u8,
    /// Header checksum.
    pub checksum: u16,
    /// What the checksum should be.
    pub checksum_expected: u16,
    /// Source.
    pub source: Ipv4Addr,
    /// Destination.
    pub destination: Ipv4Addr,
}

/// The headers of `frame`, outermost first, up to the first that is not known or not whole.
pub(super) fn read(frame: &[u8], tables: &Tables) -> Vec<Header> {
    let mut reader = Reader { headers: Vec::new(), tables };
    reader.ethernet(frame);
    reader.headers
}

/// The header that begins `packet`; None where it is not whole.
pub(super) fn ipv4_fields(packet: &[u8]) -> Option<Ipv4Fields> {
    let header: &[u8; ipv4::HEADER] = packet.first_chunk()?;
    let header_length = (header[0] & 0xf) * 4;
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    Some(Ipv4Fields {
        version: header[0] >> 4,
        header_length,
        tos: header[1],
        length: u16::from_be_bytes([header[2], header[3]]),
        id: u16::from_be_bytes([header[4], header[5]]),
        flags: match (fragment & ipv4::DF != 0, fragment & ipv4::MF != 0) {
            (false, false) => "",
            (true, false) => "DF",
            (false, true) => "MF",
            (true, true) => "DF MF",
        },
        offset: (fragment & ipv4::OFFSET) * 8,
        ttl: header[8],
        protocol: header[9],
        checksum: u16::from_be_bytes([header[10], header[11]]),
        checksum_expected: expected_checksum(packet, usize::from(header_length)),
        source: Ipv4Addr::new(header[12], header[13], header[14], header[15]),
        destination: Ipv4Addr::new(header[16], header[17], header[18], header[19]),
    })
}

/// The checksum over as much of the header as there is.
fn expected_checksum(packet: &[u8], header_length: usize) -> u16 {
    let mut header = [0; 60];
    let length = header_length.min(packet.len());
    header[..length].copy_from_slice(&packet[..length]);
    header[10..12].fill(0);
    checksum(&header[..length])
}

impl Ipv4Fields {
    /// The names of the fields that differ from those of `other`.
    pub fn changed(&self, other: &Self) -> Vec<&'static str> {
        [
            ("header_length", self.header_length != other.header_length),
            ("tos", self.tos != other.tos),
            ("length", self.length != other.length),
            ("id", self.id != other.id),
            ("flags", self.flags != other.flags),
            ("offset", self.offset != other.offset),
            ("ttl", self.ttl != other.ttl),
            ("protocol", self.protocol != other.protocol),
            ("checksum", self.checksum != other.checksum),
            ("source", self.source != other.source),
            ("destination", self.destination != other.destination),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

struct Reader<'a> {
    headers: Vec<Header>,
    tables: &'a Tables,
}

impl Reader<'_> {
    fn ethernet(&mut self, frame: &[u8]) {
        let Some(header) = ethernet::Ethernet::new(frame) else { return };
        let (vlan, ethertype, length) = match header.tag() {
            Some((vlan, ethertype)) if header.ethertype() == ethernet::VLAN => {
                (Some(vlan), ethertype, ethernet::HEADER + ethernet::TAG)
            }
            _ => (None, header.ethertype(), ethernet::HEADER),
        };
        self.headers.push(Header::Ethernet {
            destination: header.destination(),
            source: header.source(),
            vlan,
            ethertype,
        });
        let Some(payload) = frame.get(length..) else { return };
        match ethertype {
            ethernet::ARP => self.arp(payload),
            ethernet::IPV4 => self.ipv4(payload),
            _ => {}
        }
    }

    fn arp(&mut self, packet: &[u8]) {
        let Some(bytes) = packet.first_chunk::<28>() else { return };
        self.headers.push(Header::Arp {
            operation: u16::from_be_bytes([bytes[6], bytes[7]]),
            sender_mac: MacAddr([bytes[8], bytes[9], bytes[10], bytes[11], bytes[12], bytes[13]]),
            sender: Ipv4Addr::new(bytes[14], bytes[15], bytes[16], bytes[17]),
            target: Ipv4Addr::new(bytes[24], bytes[25], bytes[26], bytes[27]),
        });
    }

    fn ipv4(&mut self, packet: &[u8]) {
        let Some(fields) = ipv4_fields(packet).filter(|_| self.headers.len() < MOST) else { return };
        let end = packet.len().min(usize::from(fields.length));
        let payload = packet.get(usize::from(fields.header_length)..end).unwrap_or_default();
        let (protocol, offset) = (fields.protocol, fields.offset);
        self.headers.push(Header::Ipv4(fields));
        match protocol {
            _ if offset > 0 => {}
            ipv4::ICMP => self.icmp(payload),
            ipv4::IPIP => self.ipv4(payload),
            ipv4::TCP => self.tcp(payload),
            ipv4::UDP => self.udp(payload),
            _ => {}
        }
    }

    fn icmp(&mut self, message: &[u8]) {
        let Some(bytes) = message.first_chunk::<8>() else { return };
        let (kind, code) = (bytes[0], bytes[1]);
        let is_too_big = (kind, code) == (icmp::UNREACHABLE, icmp::FRAGMENTATION_NEEDED);
        let mtu = is_too_big.then(|| u16::from_be_bytes([bytes[6], bytes[7]]));
        self.headers.push(Header::Icmp { kind, code, name: icmp_name(kind, code), mtu });
    }

    fn tcp(&mut self, segment: &[u8]) {
        let Some(bytes) = segment.first_chunk::<14>() else { return };
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
        let set = names.iter().enumerate().filter(|(bit, _)| bytes[13] >> bit & 1 != 0);
        self.headers.push(Header::Tcp {
            source: u16::from_be_bytes([bytes[0], bytes[1]]),
            destination: u16::from_be_bytes([bytes[2], bytes[3]]),
            flags: set.map(|(_, name)| *name).collect::<Vec<_>>().join(" "),
        });
    }

    fn udp(&mut self, datagram: &[u8]) {
        let Some(bytes) = datagram.first_chunk::<8>() else { return };
        let destination = u16::from_be_bytes([bytes[2], bytes[3]]);
        self.headers.push(Header::Udp {
            source: u16::from_be_bytes([bytes[0], bytes[1]]),
            destination,
            length: u16::from_be_bytes([bytes[4], bytes[5]]),
            checksum: u16::from_be_bytes([bytes[6], bytes[7]]),
        });
        if self.tables.tunnels.is_vxlan_port(destination) {
            self.vxlan(&datagram[bytes.len()..]);
        }
    }

    fn vxlan(&mut self, packet: &[u8]) {
        let Some(bytes) = packet.first_chunk::<8>() else { return };
        let vni = u32::from_be_bytes([0, bytes[4], bytes[5], bytes[6]]);
        self.headers.push(Header::Vxlan { flags: bytes[0], vni });
        self.ethernet(&packet[bytes.len()..]);
    }
}

/// What an ICMP type and code mean, in the words of RFC 792 and RFC 1812.
pub(super) fn icmp_name(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (0, _) => "echo reply",
        (3, 0) => "network unreachable",
        (3, 1) => "host unreachable",
        (3, 2) => "protocol unreachable",
        (3, 3) => "port unreachable",
        (3, 4) => "fragmentation needed",
        (3, 13) => "communication prohibited",
        (3, _) => "destination unreachable",
        (5, _) => "redirect",
        (8, _) => "echo request",
        (11, 0) => "time exceeded in transit",
        (11, _) => "time exceeded in reassembly",
        (12, _) => "parameter problem",
        _ => "other",
    }
}

/// The name of an IP protocol; None where it is not common.
pub(super) fn protocol_name(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        ipv4::ICMP => "ICMP",
        2 => "IGMP",
        ipv4::IPIP => "IPIP",
        ipv4::TCP => "TCP",
        ipv4::UDP => "UDP",
        41 => "IPv6",
        47 => "GRE",
        50 => "ESP",
        89 => "OSPF",
        112 => "VRRP",
        132 => "SCTP",
        _ => return None,
    })
}

/// The name of an ECN field (RFC 3168 5), the lowest two bits of a TOS byte.
pub(super) fn ecn_name(tos: u8) -> &'static str {
    ["Not-ECT", "ECT(1)", "ECT(0)", "CE"][usize::from(tos & 0b11)]
}
