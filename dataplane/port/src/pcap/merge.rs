//! Several captures as one stream in the order of time.

use super::capture::Capture;
use super::error::{CaptureError, Fault, Place};
use crate::pool::Pool;
use packetwalk_walk::{Batch, Frame, HEADROOM, Instant};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Read;

/// Captures that are read side by side: always the frame with the least timestamp is next, of equal ones that of the
/// capture that was named first. Within a capture frames keep their order, whatever their timestamps say.
#[derive(Debug)]
pub struct Merge<R> {
    captures: Vec<Capture<R>>,
    /// Time of the next frame and number of its capture, for each that has one.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    /// Frames read so far.
    count: u64,
}

/// Frames that were received at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// When.
    pub now: Instant,
    /// The number of the first in the whole stream, from 1.
    pub first: u64,
}

impl<R: Read> Merge<R> {
    /// A stream of `captures`, in the order in which they were named.
    pub fn new(mut captures: Vec<Capture<R>>) -> Result<Self, CaptureError> {
        let mut heads = BinaryHeap::with_capacity(captures.len());
        for (index, capture) in captures.iter_mut().enumerate() {
            if let Some(time) = capture.peek()? {
                heads.push(Reverse((time, index)));
            }
        }
        Ok(Self { captures, heads, count: 0 })
    }

    /// Fills the empty `batch` with the frames that come next and have one timestamp; None at the end.
    pub fn fill<'f>(
        &mut self,
        pool: &mut Pool<'f>,
        batch: &mut Batch<'f>,
    ) -> Result<Option<Burst>, CaptureError> {
        let Some(Reverse((now, _))) = self.heads.peek().copied() else { return Ok(None) };
        let first = self.count + 1;
        while let Some(Reverse((time, index))) = self.heads.peek().copied()
            && time == now
            && !batch.is_full()
        {
            let capture = &mut self.captures[index];
            let Some(frame) = read(capture, pool)? else { break };
            batch.push(frame);
            self.count += 1;
            self.heads.pop();
            if let Some(next) = capture.peek()? {
                self.heads.push(Reverse((next, index)));
            }
        }
        Ok(Some(Burst { now: Instant(now), first }))
    }

    /// The captures, for what can be said of them.
    pub fn captures(&self) -> &[Capture<R>] {
        &self.captures
    }

    /// Bytes of all files that have been read.
    pub fn position(&self) -> u64 {
        self.captures.iter().map(Capture::position).sum()
    }
}

/// The next frame of a capture in a buffer of the pool.
fn read<'f, R: Read>(
    capture: &mut Capture<R>,
    pool: &mut Pool<'f>,
) -> Result<Option<Frame<'f>>, CaptureError> {
    let Some(buffer) = pool.take() else {
        return Err(CaptureError { path: capture.path().into(), place: Place::File, fault: Fault::NoBuffer });
    };
    if let Some(packet) = capture.read(buffer.get_mut(HEADROOM..).unwrap_or_default())? {
        return Ok(Frame::new(buffer, HEADROOM, packet.length, packet.port));
    }
    pool.give(buffer);
    Ok(None)
}
