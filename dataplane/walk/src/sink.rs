//! Where the walk puts frames. Drivers implement it.

use crate::frame::Frame;
use crate::outcome::{DropReason, PuntReason};
use crate::tables::PortId;

/// What became of a frame that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transmitted {
    /// It is on its way.
    Queued,
    /// The transmit ring has no room; the sink has taken the buffer back.
    RingFull,
    /// The port is gone; the sink has taken the buffer back.
    PortGone,
}

/// Takes the frames that the walk is done with, and lends it empty ones.
///
/// Each frame of a batch is handed over exactly once, by one of the first three.
pub trait Sink<'f> {
    /// Sends `frame` by `port`.
    fn transmit(&mut self, port: PortId, frame: Frame<'f>) -> Transmitted;

    /// Hands `frame`, as it was received, to the kernel.
    fn punt(&mut self, frame: Frame<'f>, reason: PuntReason);

    /// Takes back the buffer of a frame that ends here.
    fn recycle(&mut self, frame: Frame<'f>, reason: DropReason);

    /// An empty frame for one that the walk itself originates (an ICMP error, a fragment), from a fixed pool; the sink
    /// may send what is queued to get one back. None where the pool is exhausted.
    fn spare(&mut self) -> Option<Frame<'f>>;

    /// Takes back a spare that was not needed.
    fn restore(&mut self, frame: Frame<'f>);
}
