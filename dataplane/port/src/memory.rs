//! Ports in memory, for tests and benchmarks: what the walk sends, punts and drops is kept to be looked at.

use crate::pool::Pool;
use packetwalk_walk::tables::PortId;
use packetwalk_walk::{DropReason, Frame, HEADROOM, PuntReason, Sink, Transmitted};

/// Ports whose transmit rings are as long as the test wants, over a pool that is as small as it wants.
///
/// A sent or punted frame keeps its buffer until [`Memory::clear`], as a frame on a ring does; so a pool of as many
/// buffers as frames are received leaves no spare.
#[derive(Debug)]
pub struct Memory<'f> {
    pool: Pool<'f>,
    ring: usize,
    gone: Vec<PortId>,
    sent: Vec<(PortId, Frame<'f>)>,
    punted: Vec<(PuntReason, Frame<'f>)>,
    dropped: Vec<DropReason>,
}

impl<'f> Memory<'f> {
    /// Ports over `pool`, each with a transmit ring of `ring` frames.
    pub fn new(pool: Pool<'f>, ring: usize) -> Self {
        // Room for all that the pool can hold: a benchmark's walk shall not pay for a growing list.
        let frames = pool.free();
        Self {
            pool,
            ring,
            gone: Vec::new(),
            sent: Vec::with_capacity(frames),
            punted: Vec::with_capacity(frames),
            dropped: Vec::with_capacity(frames),
        }
    }

    /// The frame of `bytes`, received by `port`; None where no buffer is free, or it is too small.
    pub fn receive(&mut self, port: PortId, bytes: &[u8]) -> Option<Frame<'f>> {
        let buffer = self.pool.take()?;
        if buffer.len() < HEADROOM + bytes.len() {
            self.pool.give(buffer);
            return None;
        }
        buffer[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
        Frame::new(buffer, HEADROOM, bytes.len(), port)
    }

    /// From now on `port` is gone.
    pub fn remove(&mut self, port: PortId) {
        self.gone.push(port);
    }

    /// What was sent since the last [`Memory::clear`], in order.
    pub fn sent(&self) -> impl ExactSizeIterator<Item = (PortId, &[u8])> {
        self.sent.iter().map(|(port, frame)| (*port, frame.bytes()))
    }

    /// What was punted, in order.
    pub fn punted(&self) -> impl ExactSizeIterator<Item = (PuntReason, &[u8])> {
        self.punted.iter().map(|(reason, frame)| (*reason, frame.bytes()))
    }

    /// What was dropped by the walk, in order. Frames that found a ring full or a port gone are not among them: the
    /// walk learns of those from the ring.
    pub fn dropped(&self) -> &[DropReason] {
        &self.dropped
    }

    /// Buffers that are free.
    pub fn free(&self) -> usize {
        self.pool.free()
    }

    /// Completes what was sent and forgets what was punted and dropped.
    pub fn clear(&mut self) {
        for (_, frame) in self.sent.drain(..) {
            self.pool.give(frame.into_buffer());
        }
        for (_, frame) in self.punted.drain(..) {
            self.pool.give(frame.into_buffer());
        }
        self.dropped.clear();
    }
}

impl<'f> Sink<'f> for Memory<'f> {
    fn transmit(&mut self, port: PortId, frame: Frame<'f>) -> Transmitted {
        let refused = if self.gone.contains(&port) {
            Transmitted::PortGone
        } else if self.ring < usize::MAX
            && self.sent.iter().filter(|(to, _)| *to == port).count() >= self.ring
        {
            Transmitted::RingFull
        } else {
            self.sent.push((port, frame));
            return Transmitted::Queued;
        };
        self.pool.give(frame.into_buffer());
        refused
    }

    fn punt(&mut self, frame: Frame<'f>, reason: PuntReason) {
        self.punted.push((reason, frame));
    }

    fn recycle(&mut self, frame: Frame<'f>, reason: DropReason) {
        self.dropped.push(reason);
        self.pool.give(frame.into_buffer());
    }

    fn spare(&mut self) -> Option<Frame<'f>> {
        Frame::empty(self.pool.take()?, PortId(0))
    }

    fn restore(&mut self, frame: Frame<'f>) {
        self.pool.give(frame.into_buffer());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Buffers;
    use Transmitted::{PortGone, Queued, RingFull};

    const A: PortId = PortId(0);
    const B: PortId = PortId(1);

    #[test]
    fn rings_fill_up_and_no_buffer_is_lost() {
        let mut buffers = Buffers::new(4, 256);
        let mut memory = Memory::new(buffers.pool(), 1);
        let frames: Vec<_> = (0..4).map(|n| memory.receive(A, &[n; 60]).expect("free")).collect();
        assert!(memory.receive(A, &[0; 60]).is_none() && memory.spare().is_none());
        memory.remove(PortId(7));
        let results: Vec<_> = frames
            .into_iter()
            .zip([A, A, B, PortId(7)])
            .map(|(frame, port)| memory.transmit(port, frame))
            .collect();
        assert_eq!(results, [Queued, RingFull, Queued, PortGone]);
        assert_eq!(memory.sent().collect::<Vec<_>>(), [(A, &[0; 60][..]), (B, &[2; 60][..])]);
        assert_eq!(memory.free(), 2);
        memory.clear();
        assert_eq!((memory.free(), memory.sent().len()), (4, 0));
    }

    #[test]
    fn punts_and_drops_are_kept_with_their_reasons() {
        let mut buffers = Buffers::new(2, 256);
        let mut memory = Memory::new(buffers.pool(), usize::MAX);
        let frame = memory.receive(A, b"punted").expect("free");
        memory.punt(frame, PuntReason::Local);
        let frame = memory.receive(A, b"dropped").expect("free");
        memory.recycle(frame, DropReason::NoRoute);
        assert_eq!(memory.punted().collect::<Vec<_>>(), [(PuntReason::Local, &b"punted"[..])]);
        assert_eq!(memory.dropped(), [DropReason::NoRoute]);
        let spare = memory.spare().expect("the dropped frame's");
        memory.restore(spare);
        assert_eq!(memory.free(), 1);
        assert!(memory.receive(A, &[0; 200]).is_none(), "longer than its buffer");
    }
}
