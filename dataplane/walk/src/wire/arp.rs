//! ARP for IPv4 over Ethernet (RFC 826).

use super::{MacAddr, be16, be32, ethernet};

/// Length of the packet.
pub const LENGTH: usize = 28;
/// Operation: request.
pub const REQUEST: u16 = 1;
/// Operation: reply.
pub const REPLY: u16 = 2;

/// An ARP packet of at least [`LENGTH`] bytes, whose types and lengths are those of IPv4 over Ethernet.
#[derive(Clone, Copy, Debug)]
pub struct Arp<'a>(&'a [u8]);

impl<'a> Arp<'a> {
    /// None where the packet is too short, or another hardware, protocol, length or operation.
    #[inline]
    pub fn new(packet: &'a [u8]) -> Option<Self> {
        let valid = packet.len() >= LENGTH
            && be16(packet, 0) == 1
            && be16(packet, 2) == ethernet::IPV4
            && packet[4] == 6
            && packet[5] == 4
            && matches!(be16(packet, 6), REQUEST | REPLY);
        valid.then_some(Self(packet))
    }

    /// [`REQUEST`] or [`REPLY`].
    #[inline]
    pub fn operation(self) -> u16 {
        be16(self.0, 6)
    }

    /// Sender's hardware address.
    #[inline]
    pub fn sender_mac(self) -> MacAddr {
        MacAddr::at(self.0, 8)
    }

    /// Sender's protocol address, host byte order.
    #[inline]
    pub fn sender(self) -> u32 {
        be32(self.0, 14)
    }

    /// Target's protocol address, host byte order.
    #[inline]
    pub fn target(self) -> u32 {
        be32(self.0, 24)
    }
}

/// Turns the request in `packet` into its reply: `mac` is where the target is. Callers have made an [`Arp`] of it.
pub fn reply(packet: &mut [u8; LENGTH], mac: MacAddr) {
    packet[6..8].copy_from_slice(&REPLY.to_be_bytes());
    // What was the sender (MAC and address, 10 bytes) becomes the target, and the target's address the sender's.
    let mut target = [0; 4];
    target.copy_from_slice(&packet[24..28]);
    packet.copy_within(8..18, 18);
    packet[8..14].copy_from_slice(&mac.0);
    packet[14..18].copy_from_slice(&target);
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST_BYTES: [u8; LENGTH] = [
        0, 1, 8, 0, 6, 4, 0, 1, // Ethernet, IPv4, lengths, request
        0x72, 0xec, 0x8a, 0x4b, 0x3e, 0x23, 192, 168, 83, 67, // sender
        0, 0, 0, 0, 0, 0, 169, 254, 1, 1, // target
    ];

    #[test]
    fn a_request_becomes_its_reply() {
        let arp = Arp::new(&REQUEST_BYTES).expect("valid");
        assert_eq!(arp.operation(), REQUEST);
        assert_eq!((arp.sender(), arp.target()), (0xc0a8_5343, 0xa9fe_0101));
        let mut packet = REQUEST_BYTES;
        reply(&mut packet, MacAddr([0xee; 6]));
        assert_eq!(
            packet,
            [
                0, 1, 8, 0, 6, 4, 0, 2, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 169, 254, 1, 1, 0x72, 0xec, 0x8a,
                0x4b, 0x3e, 0x23, 192, 168, 83, 67
            ]
        );
    }

    #[test]
    fn other_types_lengths_and_operations_are_refused() {
        for (at, value) in [(1, 6), (2, 0x86), (4, 8), (5, 16), (7, 3), (7, 0)] {
            let mut packet = REQUEST_BYTES;
            packet[at] = value;
            assert!(Arp::new(&packet).is_none(), "byte {at}");
        }
        assert!(Arp::new(&REQUEST_BYTES[..27]).is_none());
    }
}
