//! IPv4 (RFC 791).

use super::checksum::{self, update};
use super::{be16, be32};
use crate::outcome::DropReason;

/// Length of the header without options.
pub const HEADER: usize = 20;
/// Protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Protocol number of IPv4 in IPv4 (RFC 2003).
pub const IPIP: u8 = 4;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;

/// Flag: do not fragment.
pub const DF: u16 = 0x4000;
/// Flag: more fragments follow.
pub const MF: u16 = 0x2000;
/// Fragment offset, in units of 8 bytes.
pub const OFFSET: u16 = 0x1fff;

/// An IPv4 packet that passed [`Ipv4::parse`]: its header is whole, and the slice is cut to its total length.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a>(&'a [u8]);

impl<'a> Ipv4<'a> {
    /// Checks version, header length, total length and checksum, in this order (RFC 1812 5.2.2), and cuts what follows the
    /// packet off (Ethernet pads).
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DropReason> {
        if bytes.len() < HEADER {
            return Err(DropReason::Runt);
        }
        if bytes[0] >> 4 != 4 {
            return Err(DropReason::IpVersion);
        }
        let header = usize::from(bytes[0] & 0xf) * 4;
        let total = usize::from(be16(bytes, 2));
        if header < HEADER || header > total || header > bytes.len() {
            return Err(DropReason::IpHeaderLength);
        }
        if total > bytes.len() {
            return Err(DropReason::IpTotalLength);
        }
        // Hardly any header has options: a sum of known length needs no loop.
        let intact = match bytes.first_chunk::<HEADER>() {
            Some(fixed) if header == HEADER => checksum::verify(fixed),
            _ => checksum::verify(&bytes[..header]),
        };
        if !intact {
            return Err(DropReason::IpChecksum);
        }
        Ok(Self(&bytes[..total]))
    }

    /// A packet that was parsed before, in `bytes` that begin with it.
    #[inline]
    pub(crate) fn parsed(bytes: &'a [u8]) -> Self {
        Self(&bytes[..usize::from(be16(bytes, 2))])
    }

    /// The packet, header and payload.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Header length with options, bytes.
    #[inline]
    pub fn header_length(self) -> usize {
        usize::from(self.0[0] & 0xf) * 4
    }

    /// TOS byte: DSCP and ECN.
    #[inline]
    pub fn tos(self) -> u8 {
        self.0[1]
    }

    /// Identification.
    #[inline]
    pub fn identification(self) -> u16 {
        be16(self.0, 4)
    }

    /// Flags and fragment offset.
    #[inline]
    pub fn fragment_field(self) -> u16 {
        be16(self.0, 6)
    }

    /// Whether it may not be fragmented.
    #[inline]
    pub fn dont_fragment(self) -> bool {
        self.fragment_field() & DF != 0
    }

    /// Whether it is a fragment, the first one included.
    #[inline]
    pub fn is_fragment(self) -> bool {
        self.fragment_field() & (MF | OFFSET) != 0
    }

    /// Time to live.
    #[inline]
    pub fn ttl(self) -> u8 {
        self.0[8]
    }

    /// Protocol of the payload.
    #[inline]
    pub fn protocol(self) -> u8 {
        self.0[9]
    }

    /// Source, host byte order.
    #[inline]
    pub fn source(self) -> u32 {
        be32(self.0, 12)
    }

    /// Destination, host byte order.
    #[inline]
    pub fn destination(self) -> u32 {
        be32(self.0, 16)
    }

    /// What follows the header.
    #[inline]
    pub fn payload(self) -> &'a [u8] {
        &self.0[self.header_length()..]
    }
}

/// Decrements the TTL, which is not 0, and updates the checksum. `header` holds a whole IPv4 header.
#[inline]
pub(crate) fn decrement_ttl(header: &mut [u8]) {
    header[8] -= 1;
    // RFC 1624 3, equation 3, where m is m' + 0x100: the checksum grows by that much, a carry and all ones wrapping.
    let sum = u32::from(be16(header, 10)) + 0x100;
    let sum = (sum + u32::from(sum >= 0xffff)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Sets the TOS byte and updates the checksum. `header` holds a whole IPv4 header.
#[inline]
pub(crate) fn set_tos(header: &mut [u8], tos: u8) {
    let old = be16(header, 0);
    header[1] = tos;
    let sum = update(be16(header, 10), old, be16(header, 0));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Computes the checksum of the header that `header` is, anew.
#[inline]
pub(crate) fn set_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let sum = checksum::checksum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Options that only the first fragment carries (those without the copied flag, RFC 791 3.1) become no-operations, as
/// Linux does it: the header keeps its length. `options` is what follows the fixed header.
pub(crate) fn clear_uncopied_options(options: &mut [u8]) {
    let mut at = 0;
    while at < options.len() {
        let kind = options[at];
        let length = match kind {
            0 => return,
            1 => 1,
            _ => match options.get(at + 1) {
                Some(&length) if length >= 2 && at + usize::from(length) <= options.len() => {
                    usize::from(length)
                }
                // A length that leads nowhere: what follows cannot be read.
                _ => return,
            },
        };
        if kind & 0x80 == 0 {
            options[at..at + length].fill(1);
        }
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> [u8; 24] {
        let mut packet = [0xa5; 24];
        packet[..HEADER].copy_from_slice(&[
            0x45, 0xb8, 0, 24, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ]);
        set_checksum(&mut packet[..HEADER]);
        packet
    }

    #[test]
    fn a_packet_is_read_and_cut_to_its_length() {
        let mut padded = [0; 46];
        padded[..24].copy_from_slice(&packet());
        let ip = Ipv4::parse(&padded).expect("valid");
        assert_eq!(ip.bytes().len(), 24);
        assert_eq!(ip.payload(), [0xa5; 4]);
        assert_eq!((ip.tos(), ip.ttl(), ip.protocol()), (0xb8, 64, UDP));
        assert_eq!((ip.source(), ip.destination()), (0x0a00_0001, 0x0a00_0002));
        assert!(ip.dont_fragment() && !ip.is_fragment());
    }

    #[test]
    fn each_fault_has_its_name_in_the_order_of_rfc_1812() {
        let fault = |change: fn(&mut [u8; 24])| {
            let mut bytes = packet();
            change(&mut bytes);
            Ipv4::parse(&bytes).map(|_| ()).expect_err("a fault")
        };
        // Every fault below leaves the checksum wrong too: the earlier check gives the name.
        assert_eq!(fault(|b| b[0] = 0x65), DropReason::IpVersion);
        assert_eq!(fault(|b| b[0] = 0x44), DropReason::IpHeaderLength);
        assert_eq!(fault(|b| b[0] = 0x4f), DropReason::IpHeaderLength);
        assert_eq!(fault(|b| b[3] = 19), DropReason::IpHeaderLength);
        assert_eq!(fault(|b| b[3] = 25), DropReason::IpTotalLength);
        assert_eq!(fault(|b| b[11] ^= 1), DropReason::IpChecksum);
        assert_eq!(Ipv4::parse(&packet()[..19]).map(|_| ()), Err(DropReason::Runt));
    }

    #[test]
    fn ttl_and_tos_keep_the_checksum_right() {
        let mut bytes = packet();
        decrement_ttl(&mut bytes);
        set_tos(&mut bytes, 0xbb);
        let ip = Ipv4::parse(&bytes).expect("still valid");
        assert_eq!((ip.ttl(), ip.tos()), (63, 0xbb));
    }

    #[test]
    fn a_ttl_decremented_leaves_what_recomputation_would_for_every_checksum() {
        let mut bytes = packet();
        for id in 0..=u16::MAX {
            bytes[4..6].copy_from_slice(&id.to_be_bytes());
            for ttl in [255, 64, 2, 1] {
                bytes[8] = ttl;
                set_checksum(&mut bytes[..HEADER]);
                decrement_ttl(&mut bytes);
                let updated = bytes;
                set_checksum(&mut bytes[..HEADER]);
                assert_eq!(updated, bytes, "id {id} ttl {ttl}");
            }
        }
    }

    #[test]
    fn later_fragments_keep_copied_options_only() {
        // Record route (7, not copied), security (130, copied), end.
        let mut options = [7, 7, 4, 1, 2, 3, 4, 130, 3, 9, 0, 7];
        clear_uncopied_options(&mut options);
        assert_eq!(options, [1, 1, 1, 1, 1, 1, 1, 130, 3, 9, 0, 7]);
        let mut broken = [7, 1, 7, 40];
        clear_uncopied_options(&mut broken);
        assert_eq!(broken, [7, 1, 7, 40]);
    }
}
