//! Frame buffers: allocated once, lent out and given back.

use packetwalk_walk::HEADROOM;

/// The longest frame that is taken, bytes: an Ethernet header with a VLAN tag, and the longest IPv4 packet.
pub const MAX_FRAME: usize = 18 + 65_535;

/// Bytes of a buffer that holds any frame: [`HEADROOM`], [`MAX_FRAME`], rounded up to whole cache lines.
pub const BUFFER: usize = (HEADROOM + MAX_FRAME).next_multiple_of(64);

/// The memory of a [`Pool`].
#[derive(Debug)]
pub struct Buffers {
    bytes: Box<[u8]>,
    size: usize,
}

impl Buffers {
    /// `count` buffers of `size` bytes, 1 or more.
    pub fn new(count: usize, size: usize) -> Self {
        let size = size.max(1);
        Self { bytes: vec![0; count * size].into_boxed_slice(), size }
    }

    /// All of them, free.
    pub fn pool(&mut self) -> Pool<'_> {
        Pool { free: self.bytes.chunks_exact_mut(self.size).collect() }
    }
}

/// The free buffers. Taking and giving back are a pop and a push: the last one used is the warmest in cache.
#[derive(Debug)]
pub struct Pool<'f> {
    free: Vec<&'f mut [u8]>,
}

impl<'f> Pool<'f> {
    /// A free buffer, with whatever it last held; None where all are out.
    pub fn take(&mut self) -> Option<&'f mut [u8]> {
        self.free.pop()
    }

    /// Takes a buffer back.
    pub fn give(&mut self, buffer: &'f mut [u8]) {
        self.free.push(buffer);
    }

    /// How many are free.
    pub fn free(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_lent_until_none_is_left() {
        let mut buffers = Buffers::new(2, 128);
        let mut pool = buffers.pool();
        let first = pool.take().expect("two are free");
        let second = pool.take().expect("one is free");
        assert_eq!((first.len(), second.len()), (128, 128));
        assert!(pool.take().is_none());
        pool.give(first);
        assert_eq!(pool.free(), 1);
        assert!(pool.take().is_some());
    }
}
