//! UDP (RFC 768).

use super::be16;
use super::checksum::{add, fold};

/// Length of the header.
pub const HEADER: usize = 8;

/// A UDP header of at least [`HEADER`] bytes.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a>(&'a [u8]);

impl<'a> Udp<'a> {
    /// None where the packet ends before the header does.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= HEADER).then_some(Self(bytes))
    }

    /// Destination port.
    #[inline]
    pub fn destination(self) -> u16 {
        be16(self.0, 2)
    }

    /// Length of header and payload as the header says it.
    #[inline]
    pub fn length(self) -> usize {
        usize::from(be16(self.0, 4))
    }

    /// The datagram cut to its length; None where the length is below the header's or beyond the packet.
    #[inline]
    pub fn datagram(self) -> Option<&'a [u8]> {
        let length = self.length();
        (length >= HEADER).then(|| self.0.get(..length)).flatten()
    }

    /// Checksum; 0: none.
    #[inline]
    pub fn checksum(self) -> u16 {
        be16(self.0, 6)
    }
}

/// The sum over a UDP datagram and its pseudo-header, folded: 0xffff where the checksum in it is right. Addresses in
/// host byte order.
#[inline]
pub fn sum(source: u32, destination: u32, datagram: &[u8]) -> u16 {
    let words = [source, destination, u32::from(super::ipv4::UDP), datagram.len() as u32];
    let pseudo = words.into_iter().map(|word| u64::from(word.to_be())).sum();
    fold(add(pseudo, datagram))
}
