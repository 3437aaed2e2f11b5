//! Wire formats: one file a protocol, with its field offsets and a checked view.
//!
//! A view is made only of a slice that holds the protocol's fixed header, so its getters index within it and
//! cannot panic. Numbers are host byte order once they leave a view.

pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod icmp;
pub mod ipv4;
pub mod udp;
pub mod vxlan;

pub use ethernet::MacAddr;

/// The big-endian `u16` at `at`.
#[inline]
pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The big-endian `u32` at `at`.
#[inline]
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
