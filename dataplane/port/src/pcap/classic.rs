//! Classic pcap: a header of 24 bytes, then 16 bytes before each frame.
//! Format: draft-ietf-opsawg-pcap.

use super::capture::Head;
use super::error::Fault;
use super::input::{Input, Order};
use packetwalk_walk::tables::PortId;
use std::io::Read;

/// Magic number of a file with microseconds.
pub(super) const MICROSECONDS: u32 = 0xa1b2_c3d4;
/// Magic number of a file with nanoseconds.
pub(super) const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// The link type of Ethernet.
pub(super) const ETHERNET: u32 = 1;

/// How a classic file is to be read.
#[derive(Debug)]
pub(super) struct Classic {
    order: Order,
    /// Nanoseconds of a tick: 1 or 1,000.
    tick: u32,
}

impl Classic {
    /// Reads the rest of the file's header; None where `magic` is not of this format.
    pub(super) fn begin<R: Read>(magic: [u8; 4], input: &mut Input<R>) -> Result<Option<Self>, Fault> {
        let (order, tick) = match (u32::from_be_bytes(magic), u32::from_le_bytes(magic)) {
            (MICROSECONDS, _) => (Order::Big, 1_000),
            (NANOSECONDS, _) => (Order::Big, 1),
            (_, MICROSECONDS) => (Order::Little, 1_000),
            (_, NANOSECONDS) => (Order::Little, 1),
            _ => return Ok(None),
        };
        let mut header = [0; 20];
        input.fill(&mut header)?;
        let (major, minor) = (order.u16(&header, 0), order.u16(&header, 2));
        if major != 2 {
            return Err(Fault::Version { major, minor, expected: "2.4" });
        }
        // The upper 6 bits tell whether frames end with their check sequence: the walk trims it as it does padding.
        let link_type = order.u32(&header, 16) & 0x03ff_ffff;
        if link_type != ETHERNET {
            return Err(Fault::LinkType { found: link_type });
        }
        Ok(Some(Self { order, tick }))
    }

    /// Reads the next frame's header; None at the end.
    pub(super) fn next<R: Read>(&self, input: &mut Input<R>, port: PortId) -> Result<Option<Head>, Fault> {
        let mut header = [0; 16];
        if !input.begin(&mut header)? {
            return Ok(None);
        }
        let [seconds, fraction, captured, original] = [0, 4, 8, 12].map(|at| self.order.u32(&header, at));
        let (unit, limit) =
            if self.tick == 1 { ("nanoseconds", 1_000_000_000) } else { ("microseconds", 1_000_000) };
        if fraction >= limit {
            return Err(Fault::Fraction { found: fraction, unit, limit });
        }
        let time = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * u64::from(self.tick);
        Head::new(time, captured, original, port).map(Some)
    }
}
