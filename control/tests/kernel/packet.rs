//! Just enough of a decoder to tell who speaks, and about what: apart from the walk's own codec, so
//! that both cannot be wrong in the same way.

use std::fmt;
use std::net::Ipv4Addr;

/// The destination port of the recorder's VXLAN devices, as flannel's.
const VXLAN_PORT: u16 = 8472;
const ETHERNET: usize = 14;

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn address(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

/// An Ethernet frame. One that is too short for what it says it is decodes as neither ARP nor IPv4.
#[derive(Clone, Copy)]
pub(crate) struct View<'a>(pub(crate) &'a [u8]);

impl<'a> View<'a> {
    pub(crate) fn is_to_a_group(self) -> bool {
        self.0.first().is_some_and(|first| first & 1 == 1)
    }

    fn payload(self, ethertype: u16) -> Option<&'a [u8]> {
        (self.0.len() >= ETHERNET && be16(self.0, 12) == ethertype).then(|| &self.0[ETHERNET..])
    }

    pub(crate) fn arp(self) -> Option<Arp> {
        let arp = self.payload(0x0806).filter(|arp| arp.len() >= 28)?;
        Some(Arp { operation: be16(arp, 6), sender: address(arp, 14), target: address(arp, 24) })
    }

    pub(crate) fn ipv4(self) -> Option<Ipv4<'a>> {
        Ipv4::new(self.payload(0x0800)?)
    }

    /// The frame that this one carries through a tunnel.
    pub(crate) fn carried(self) -> Option<View<'a>> {
        let outer = self.ipv4()?;
        let udp = outer.body();
        let is_vxlan = outer.protocol() == 17 && !outer.is_fragment() && udp.len() >= 16 + ETHERNET;
        (is_vxlan && be16(udp, 2) == VXLAN_PORT).then(|| View(&udp[16..]))
    }

    /// The packet that pods and nodes mean, without the tunnel around it.
    pub(crate) fn innermost(self) -> Option<Ipv4<'a>> {
        self.carried().unwrap_or(self).ipv4()
    }
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(arp) = self.arp() {
            write!(f, "ARP {} {} -> {}", arp.operation, arp.sender, arp.target)?;
        } else if let Some(packet) = self.ipv4() {
            write!(f, "{packet}")?;
        }
        if let Some(carried) = self.carried() {
            write!(f, " [{carried}]")?;
        }
        write!(f, " ({} bytes)", self.0.len())
    }
}

/// The fields of an ARP packet that decide whose it is.
pub(crate) struct Arp {
    pub(crate) operation: u16,
    pub(crate) sender: Ipv4Addr,
    pub(crate) target: Ipv4Addr,
}

/// An IPv4 packet, cut to its total length; a quoted one may be shorter than it says.
#[derive(Clone, Copy)]
pub(crate) struct Ipv4<'a>(&'a [u8]);

impl<'a> Ipv4<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first().map(|first| usize::from(first & 15) * 4).filter(|length| *length >= 20)?;
        let total = (bytes.len() >= header).then(|| usize::from(be16(bytes, 2)))?;
        (total >= header).then(|| Self(&bytes[..total.min(bytes.len())]))
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0
    }

    fn header_length(self) -> usize {
        usize::from(self.0[0] & 15) * 4
    }

    pub(crate) fn body(self) -> &'a [u8] {
        &self.0[self.header_length()..]
    }

    pub(crate) fn tos(self) -> u8 {
        self.0[1]
    }

    pub(crate) fn ttl(self) -> u8 {
        self.0[8]
    }

    pub(crate) fn protocol(self) -> u8 {
        self.0[9]
    }

    pub(crate) fn source(self) -> Ipv4Addr {
        address(self.0, 12)
    }

    pub(crate) fn destination(self) -> Ipv4Addr {
        address(self.0, 16)
    }

    pub(crate) fn is_fragment(self) -> bool {
        be16(self.0, 6) & 0x3fff != 0
    }

    pub(crate) fn ports(self) -> Option<(u16, u16)> {
        let body = self.body();
        (matches!(self.protocol(), 6 | 17) && !self.is_fragment() && body.len() >= 4)
            .then(|| (be16(body, 0), be16(body, 2)))
    }

    /// Type and code.
    pub(crate) fn icmp(self) -> Option<(u8, u8)> {
        let body = self.body();
        (self.protocol() == 1 && !self.is_fragment() && body.len() >= 8).then(|| (body[0], body[1]))
    }

    /// The packet that an ICMP error is about.
    pub(crate) fn quoted(self) -> Option<Ipv4<'a>> {
        matches!(self.icmp()?.0, 3 | 5 | 11 | 12).then(|| Self::new(&self.body()[8..]))?
    }
}

impl fmt::Display for Ipv4<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {} ttl {} tos {:02x}", self.source(), self.destination(), self.ttl(), self.tos())?;
        write!(f, " frag {:04x} length {}", be16(self.0, 6), be16(self.0, 2))?;
        match (self.icmp(), self.ports()) {
            (Some((kind, code)), _) => write!(f, " icmp {kind}/{code}")?,
            (None, Some((from, to))) => write!(f, " proto {} {from} > {to}", self.protocol())?,
            _ => write!(f, " proto {}", self.protocol())?,
        }
        self.quoted().map_or(Ok(()), |quoted| write!(f, " about {{{quoted}}}"))
    }
}
