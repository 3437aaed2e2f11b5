//! Ethernet II, and the 802.1Q tag.

use super::be16;
use core::fmt;
use core::str::FromStr;

/// Length of the header without a tag.
pub const HEADER: usize = 14;
/// Length of a VLAN tag.
pub const TAG: usize = 4;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// EtherType of an 802.1Q tag.
pub const VLAN: u16 = 0x8100;

/// A MAC address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All stations.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it names a group (the broadcast address among them).
    #[inline]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether it can be the address of one station: no group, and not all zero (Linux's `is_valid_ether_addr`).
    #[inline]
    pub fn is_station(self) -> bool {
        !self.is_group() && self.0 != [0; 6]
    }

    /// As a number, for tables.
    #[inline]
    pub fn key(self) -> u64 {
        self.0.iter().fold(0, |key, byte| key << 8 | u64::from(*byte))
    }

    #[inline(always)]
    pub(crate) fn at(bytes: &[u8], at: usize) -> Self {
        Self([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3], bytes[at + 4], bytes[at + 5]])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if place == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMac;

impl fmt::Display for NotMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a MAC address such as ee:ee:ee:ee:ee:ee")
    }
}

impl std::error::Error for NotMac {}

impl FromStr for MacAddr {
    type Err = NotMac;

    fn from_str(text: &str) -> Result<Self, NotMac> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(NotMac)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| NotMac)?;
        }
        if parts.next().is_some() { Err(NotMac) } else { Ok(Self(bytes)) }
    }
}

/// An Ethernet header, at least [`HEADER`] bytes.
#[derive(Clone, Copy, Debug)]
pub struct Ethernet<'a>(&'a [u8]);

impl<'a> Ethernet<'a> {
    /// None where the frame is shorter than a header.
    #[inline]
    pub fn new(frame: &'a [u8]) -> Option<Self> {
        (frame.len() >= HEADER).then_some(Self(frame))
    }

    /// The frame.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Destination.
    #[inline]
    pub fn destination(self) -> MacAddr {
        MacAddr::at(self.0, 0)
    }

    /// Source.
    #[inline]
    pub fn source(self) -> MacAddr {
        MacAddr::at(self.0, 6)
    }

    /// EtherType, or a length below 0x600.
    #[inline]
    pub fn ethertype(self) -> u16 {
        be16(self.0, 12)
    }

    /// VLAN identifier and the EtherType behind the tag; None where the frame ends before.
    #[inline]
    pub fn tag(self) -> Option<(u16, u16)> {
        (self.0.len() >= HEADER + TAG).then(|| (be16(self.0, 14) & 0x0fff, be16(self.0, 16)))
    }
}

/// Writes an Ethernet header over the first [`HEADER`] bytes.
pub fn emit(header: &mut [u8; HEADER], destination: MacAddr, source: MacAddr, ethertype: u16) {
    header[..6].copy_from_slice(&destination.0);
    header[6..12].copy_from_slice(&source.0);
    header[12..].copy_from_slice(&ethertype.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let mut bytes = [0xa5; HEADER];
        let (to, from) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        emit(&mut bytes, to, from, IPV4);
        let header = Ethernet::new(&bytes).expect("long enough");
        assert_eq!((header.destination(), header.source(), header.ethertype()), (to, from, IPV4));
        assert_eq!(header.tag(), None);
        assert!(Ethernet::new(&bytes[..13]).is_none());
    }

    #[test]
    fn addresses_are_printed_as_they_are_read() {
        let mac: MacAddr = "ee:ee:ee:ee:ee:0f".parse().expect("a MAC address");
        assert_eq!(mac.to_string(), "ee:ee:ee:ee:ee:0f");
        assert_eq!(mac.key(), 0xeeee_eeee_ee0f);
        for bad in ["", "ee:ee:ee:ee:ee", "ee:ee:ee:ee:ee:ee:ee", "e:ee:ee:ee:ee:ee", "xx:ee:ee:ee:ee:ee"] {
            assert_eq!(bad.parse::<MacAddr>(), Err(NotMac), "{bad}");
        }
        assert!(MacAddr::BROADCAST.is_group() && mac.is_station());
        assert!(!MacAddr::BROADCAST.is_station() && !MacAddr::default().is_station());
    }
}
