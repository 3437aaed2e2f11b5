//! An input as bursts of frames.
//!
//! The first byte chooses the node. Each frame is then a byte of what is done with it ([`PORT`], [`LAST`], [`MENDED`],
//! [`LATER`]), its length in two bytes, least first, and its bytes, as many as there are left.

use crate::common::OnPort;
use crate::common::node::PORTS;
use crate::common::packets::mend;
use packetwalk_walk::tables::PortId;

/// The port that received it: a number, modulo how many there are.
pub const PORT: u8 = 0x0f;
/// It is the last of its burst.
pub const LAST: u8 = 0x10;
/// Its IPv4 headers get the checksums that belong to them, so that what they say is believed.
pub const MENDED: u8 = 0x20;
/// Its burst comes a millisecond after the one before, not at the same time.
pub const LATER: u8 = 0x40;

/// Bytes of a frame at most.
const LONGEST: usize = 2047;
/// Frames of a burst at most.
const BURST: usize = packetwalk_walk::BATCH;

/// Frames that come in together.
#[derive(Debug, Default)]
pub struct Burst {
    pub frames: Vec<OnPort>,
    pub later: bool,
}

/// Which node, and what it receives.
pub fn read(input: &[u8]) -> (u8, Vec<Burst>) {
    let Some((node, mut rest)) = input.split_first() else { return (0, Vec::new()) };
    let mut bursts = vec![Burst::default()];
    while let [what, low, high, tail @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])) & LONGEST;
        let (bytes, after) = tail.split_at(length.min(tail.len()));
        rest = after;
        let mut frame = bytes.to_vec();
        if what & MENDED != 0 {
            mend_all(&mut frame);
        }
        let port = PortId(u16::from(what & PORT) % PORTS as u16);
        if let Some(burst) = bursts.last_mut() {
            burst.later |= what & LATER != 0;
            burst.frames.push((port, frame));
            if what & LAST != 0 || burst.frames.len() == BURST {
                bursts.push(Burst::default());
            }
        }
    }
    (*node, bursts)
}

/// The input that is read as these frames in one burst.
pub fn write(node: u8, frames: &[OnPort]) -> Vec<u8> {
    let mut input = vec![node];
    for (port, frame) in frames {
        input.push(port.0 as u8 | MENDED);
        input.extend_from_slice(&(frame.len() as u16).to_le_bytes());
        input.extend_from_slice(frame);
    }
    input
}

/// Makes the checksums right of IPv4 headers where they may begin: behind Ethernet with and without a tag, and inside IPIP
/// and VXLAN. The innermost first, though no checksum covers another.
fn mend_all(frame: &mut [u8]) {
    for at in [64, 34, 18, 14] {
        if frame.len() >= at + 20 && frame[at] >> 4 == 4 {
            mend(&mut frame[at..]);
        }
    }
}
