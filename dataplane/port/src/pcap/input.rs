//! The bytes of a capture: a stream that knows how much of it has been read.

use super::error::Fault;
use std::io::{self, BufReader, Read};

/// Bytes that are read ahead. Larger frames are read straight into their buffer.
const READ_AHEAD: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Input<R> {
    reader: BufReader<R>,
    position: u64,
}

impl<R: Read> Input<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::with_capacity(READ_AHEAD, reader), position: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Fills `bytes`.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        match self.read(bytes)? {
            count if count == bytes.len() => Ok(()),
            count => Err(Fault::Truncated { missing: (bytes.len() - count) as u64 }),
        }
    }

    /// Fills `bytes` with the beginning of a record; false at the end of the file.
    pub(super) fn begin(&mut self, bytes: &mut [u8]) -> Result<bool, Fault> {
        match self.read(bytes)? {
            0 => Ok(false),
            count if count == bytes.len() => Ok(true),
            count => Err(Fault::Truncated { missing: (bytes.len() - count) as u64 }),
        }
    }

    /// Reads `count` bytes and forgets them.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), Fault> {
        let skipped = io::copy(&mut self.reader.by_ref().take(count), &mut io::sink()).map_err(Fault::Io)?;
        self.position += skipped;
        if skipped == count { Ok(()) } else { Err(Fault::Truncated { missing: count - skipped }) }
    }

    /// Reads until `bytes` is full or the file ends; how many there were.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Fault> {
        let mut count = 0;
        while count < bytes.len() {
            match self.reader.read(&mut bytes[count..]) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Io(error)),
            }
        }
        self.position += count as u64;
        Ok(count)
    }
}

/// The byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Big,
    Little,
}

impl Order {
    /// The 16 bits at `at`.
    ///
    /// # Panics
    /// Where `bytes` ends before.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let bytes = [bytes[at], bytes[at + 1]];
        match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        }
    }

    /// The 32 bits at `at`.
    ///
    /// # Panics
    /// Where `bytes` ends before.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let bytes = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        }
    }
}
