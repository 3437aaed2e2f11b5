//! A sink for whoever wants the walk and not its frames.

use crate::pool::Pool;
use packetwalk_walk::tables::PortId;
use packetwalk_walk::{DropReason, Frame, PuntReason, Sink, Transmitted};

/// Takes every frame and keeps none.
#[derive(Debug)]
pub struct Discard<'f> {
    pool: Pool<'f>,
}

impl<'f> Discard<'f> {
    /// Gives buffers back to `pool`, and lends spares from it.
    pub fn new(pool: Pool<'f>) -> Self {
        Self { pool }
    }

    /// The buffers, to receive into.
    pub fn pool(&mut self) -> &mut Pool<'f> {
        &mut self.pool
    }
}

impl<'f> Sink<'f> for Discard<'f> {
    fn transmit(&mut self, _: PortId, frame: Frame<'f>) -> Transmitted {
        self.pool.give(frame.into_buffer());
        Transmitted::Queued
    }

    fn punt(&mut self, frame: Frame<'f>, _: PuntReason) {
        self.pool.give(frame.into_buffer());
    }

    fn recycle(&mut self, frame: Frame<'f>, _: DropReason) {
        self.pool.give(frame.into_buffer());
    }

    fn spare(&mut self) -> Option<Frame<'f>> {
        Frame::empty(self.pool.take()?, PortId(0))
    }

    fn restore(&mut self, frame: Frame<'f>) {
        self.pool.give(frame.into_buffer());
    }
}
