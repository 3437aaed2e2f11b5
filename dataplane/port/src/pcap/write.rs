//! Writing classic captures.

use super::classic::{ETHERNET, NANOSECONDS};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The snap length of captures that are not cut: what tcpdump writes.
const SNAP_LENGTH: u32 = 262_144;

/// A classic capture with nanoseconds, little endian: the same bytes for the same frames, always.
#[derive(Debug)]
pub struct Writer<W: Write> {
    path: PathBuf,
    output: W,
}

/// A file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl WriteError {
    /// `source` at `path`.
    pub fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.into(), source }
    }
}

impl Writer<BufWriter<File>> {
    /// Creates a file, or empties the one that is there.
    pub fn create(path: &Path) -> Result<Self, WriteError> {
        let file = File::create(path).map_err(|error| WriteError::new(path, error))?;
        Self::new(path, BufWriter::with_capacity(64 * 1024, file))
    }
}

impl<W: Write> Writer<W> {
    /// Begins a capture; `path` is named in errors.
    pub fn new(path: &Path, output: W) -> Result<Self, WriteError> {
        let mut writer = Self { path: path.into(), output };
        let mut header = [0; 24];
        header[..4].copy_from_slice(&NANOSECONDS.to_le_bytes());
        header[4..6].copy_from_slice(&2u16.to_le_bytes());
        header[6..8].copy_from_slice(&4u16.to_le_bytes());
        header[16..20].copy_from_slice(&SNAP_LENGTH.to_le_bytes());
        header[20..].copy_from_slice(&ETHERNET.to_le_bytes());
        writer.put(&header)?;
        Ok(writer)
    }

    /// Appends a frame with its time, nanoseconds since 1970 and before 2106.
    pub fn write(&mut self, time: u64, frame: &[u8]) -> Result<(), WriteError> {
        let length = (frame.len() as u32).to_le_bytes();
        let mut header = [0; 16];
        header[..4].copy_from_slice(&((time / 1_000_000_000) as u32).to_le_bytes());
        header[4..8].copy_from_slice(&((time % 1_000_000_000) as u32).to_le_bytes());
        header[8..12].copy_from_slice(&length);
        header[12..].copy_from_slice(&length);
        self.put(&header)?;
        self.put(frame)
    }

    /// Writes what is still buffered.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        self.output.flush().map_err(|error| WriteError::new(&self.path, error))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.output.write_all(bytes).map_err(|error| WriteError::new(&self.path, error))
    }
}
