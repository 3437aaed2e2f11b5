//! A frame in the buffer that it was received into.
//!
//! The buffer is larger than the frame: headers are taken off and put on by moving the start, never the payload.
//! `start + length <= buffer.len()` and `start >= 0` hold always, so slicing the frame cannot panic.

use crate::tables::PortId;
use arrayvec::ArrayVec;

/// Frames in one batch at most.
pub const BATCH: usize = 64;

/// Bytes that must be free before a received frame: the longest header that the walk ever puts on
/// (Ethernet 14, IPv6 40, UDP 8, VXLAN 8, Ethernet 14), rounded up.
pub const HEADROOM: usize = 96;

/// The frames of one burst, in the order received.
pub type Batch<'f> = ArrayVec<Frame<'f>, BATCH>;

/// A frame, the port it came in by and the buffer around it.
#[derive(Debug)]
pub struct Frame<'f> {
    buffer: &'f mut [u8],
    start: usize,
    length: usize,
    ingress: PortId,
}

impl<'f> Frame<'f> {
    /// The frame of `length` bytes that begins at `start` of `buffer`; None where the buffer is too small or
    /// `start` leaves less than [`HEADROOM`].
    pub fn new(buffer: &'f mut [u8], start: usize, length: usize, ingress: PortId) -> Option<Self> {
        let fits = start >= HEADROOM && start.checked_add(length)? <= buffer.len();
        fits.then_some(Self { buffer, start, length, ingress })
    }

    /// An empty frame in `buffer`, with its start after [`HEADROOM`]; None where the buffer is smaller than that.
    pub fn empty(buffer: &'f mut [u8], ingress: PortId) -> Option<Self> {
        Self::new(buffer, HEADROOM, 0, ingress)
    }

    /// The port that it came in by.
    #[inline]
    pub fn ingress(&self) -> PortId {
        self.ingress
    }

    /// The frame, from its Ethernet header.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.length]
    }

    /// The same, to be changed.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.start + self.length]
    }

    /// Where in the buffer the frame begins: a driver makes its descriptor from it.
    #[inline]
    pub fn start(&self) -> usize {
        self.start
    }

    /// Its length in bytes, without FCS.
    #[inline]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Takes `count` bytes off the front, or all there are.
    #[inline]
    pub fn strip(&mut self, count: usize) {
        let count = count.min(self.length);
        self.start += count;
        self.length -= count;
    }

    /// Cuts the frame to `length` bytes; a shorter one stays as it is.
    #[inline]
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Puts `header` before the frame; false, and nothing changed, where there is no room.
    #[inline]
    #[must_use]
    pub fn prepend(&mut self, header: &[u8]) -> bool {
        let Some(start) = self.start.checked_sub(header.len()) else { return false };
        self.buffer[start..self.start].copy_from_slice(header);
        self.start = start;
        self.length += header.len();
        true
    }

    /// Makes room for `count` more bytes at the end and returns them (with what the buffer held); None where the
    /// buffer ends before.
    #[inline]
    pub fn append(&mut self, count: usize) -> Option<&mut [u8]> {
        let end = self.start + self.length;
        let tail = self.buffer.get_mut(end..end.checked_add(count)?)?;
        self.length += count;
        Some(tail)
    }

    /// Gives the buffer back.
    pub fn into_buffer(self) -> &'f mut [u8] {
        self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_and_go_without_moving_the_payload() {
        let mut buffer = [0u8; 256];
        buffer[HEADROOM..HEADROOM + 4].copy_from_slice(b"data");
        let mut frame = Frame::new(&mut buffer, HEADROOM, 4, PortId(3)).expect("it fits");
        assert!(frame.prepend(b"head"));
        assert_eq!(frame.bytes(), b"headdata");
        frame.strip(2);
        assert_eq!(frame.bytes(), b"addata");
        frame.truncate(3);
        assert_eq!(frame.bytes(), b"add");
        assert!(frame.append(200).is_none());
        frame.append(1).expect("room")[0] = b'!';
        assert_eq!(frame.bytes(), b"add!");
        assert_eq!(frame.start(), HEADROOM - 2);
    }

    #[test]
    fn no_room_changes_nothing() {
        let mut buffer = [0u8; HEADROOM];
        let mut frame = Frame::empty(&mut buffer, PortId(0)).expect("it fits");
        assert!(!frame.prepend(&[1; HEADROOM + 1]));
        assert!(frame.prepend(&[1; HEADROOM]));
        assert_eq!(frame.length(), HEADROOM);
        assert!(Frame::new(&mut [0u8; 200], HEADROOM, 105, PortId(0)).is_none());
        assert!(Frame::new(&mut [0u8; 200], HEADROOM - 1, 5, PortId(0)).is_none());
    }
}
