//! A sink that keeps what it is given: bounded rings, a bounded pool of spares, and every buffer accounted for.

use packetwalk_walk::tables::PortId;
use packetwalk_walk::{DropReason, Frame, PuntReason, Sink, Transmitted};

pub struct Recorder<'f> {
    /// Frames that each port's ring takes.
    pub ring: usize,
    /// Frames that find the ring full, before it has room again.
    pub refusals: usize,
    /// Ports that are gone.
    pub gone: Vec<PortId>,
    pub sent: Vec<(PortId, Frame<'f>)>,
    pub punted: Vec<(PuntReason, Frame<'f>)>,
    pub recycled: Vec<(DropReason, Frame<'f>)>,
    /// Taken back by `transmit`, for want of room or port.
    pub refused: Vec<Frame<'f>>,
    pub spares: Vec<&'f mut [u8]>,
    queued: Vec<usize>,
}

impl<'f> Recorder<'f> {
    /// A sink for `ports` ports, whose lists have room for `frames` frames each: it allocates nothing later.
    pub fn new(ports: usize, frames: usize, spares: Vec<&'f mut [u8]>) -> Self {
        Self {
            ring: usize::MAX,
            refusals: 0,
            gone: Vec::new(),
            sent: Vec::with_capacity(frames + spares.len()),
            punted: Vec::with_capacity(frames),
            recycled: Vec::with_capacity(frames),
            refused: Vec::with_capacity(frames + spares.len()),
            spares,
            queued: vec![0; ports],
        }
    }

    /// Buffers that it holds, in whatever role.
    pub fn buffers(&self) -> usize {
        self.sent.len() + self.punted.len() + self.recycled.len() + self.refused.len() + self.spares.len()
    }
}

impl<'f> Sink<'f> for Recorder<'f> {
    fn transmit(&mut self, port: PortId, frame: Frame<'f>) -> Transmitted {
        let queued = &mut self.queued[port.index()];
        if self.gone.contains(&port) {
            self.refused.push(frame);
            return Transmitted::PortGone;
        }
        if self.refusals > 0 || *queued == self.ring {
            self.refusals = self.refusals.saturating_sub(1);
            self.refused.push(frame);
            return Transmitted::RingFull;
        }
        *queued += 1;
        self.sent.push((port, frame));
        Transmitted::Queued
    }

    fn punt(&mut self, frame: Frame<'f>, reason: PuntReason) {
        self.punted.push((reason, frame));
    }

    fn recycle(&mut self, frame: Frame<'f>, reason: DropReason) {
        self.recycled.push((reason, frame));
    }

    fn spare(&mut self) -> Option<Frame<'f>> {
        self.spares.pop().and_then(|buffer| Frame::empty(buffer, PortId(0)))
    }

    fn restore(&mut self, frame: Frame<'f>) {
        self.spares.push(frame.into_buffer());
    }
}
