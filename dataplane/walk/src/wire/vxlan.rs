//! VXLAN (RFC 7348).

use super::be32;
use crate::tables::Vni;

/// Length of the header.
pub const HEADER: usize = 8;
/// The I flag: the VNI is valid.
pub const FLAG_VNI: u8 = 0x08;

/// A VXLAN header of at least [`HEADER`] bytes.
#[derive(Clone, Copy, Debug)]
pub struct Vxlan<'a>(&'a [u8]);

impl<'a> Vxlan<'a> {
    /// None where the datagram ends before the header does.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= HEADER).then_some(Self(bytes))
    }

    /// The network, where the I flag is set. All reserved bits are ignored (RFC 7348 5).
    #[inline]
    pub fn vni(self) -> Option<Vni> {
        if self.0[0] & FLAG_VNI == 0 { None } else { Vni::new(be32(self.0, 4) >> 8) }
    }
}
