//! The sink of a replay: a capture file for each port that sends.

use super::write::{WriteError, Writer};
use crate::pool::Pool;
use packetwalk_walk::tables::PortId;
use packetwalk_walk::{DropReason, Frame, Instant, PuntReason, Sink, Transmitted};
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

type FileWriter = Writer<BufWriter<File>>;

/// Writes `PORT.pcap` for each port that sends a frame, and the punted frames where that is wanted, stamped with the
/// time of the batch.
///
/// A file that cannot be written does not end the walk of a batch, but [`Recorder::check`] after it tells.
#[derive(Debug)]
pub struct Recorder<'f> {
    pool: Pool<'f>,
    now: Instant,
    ports: Vec<Output>,
    punted: Option<FileWriter>,
    failed: Option<WriteError>,
}

#[derive(Debug)]
struct Output {
    path: PathBuf,
    writer: Option<FileWriter>,
}

impl<'f> Recorder<'f> {
    /// Writes below `directory`, which is made where it is missing, for ports of these names by [`PortId`], and what is
    /// punted to the file `punt`. Files that an earlier run left for these ports are removed, so that the directory
    /// shows this run alone. Spare frames come from `pool`.
    pub fn create(
        pool: Pool<'f>,
        directory: &Path,
        names: &[String],
        punt: Option<&Path>,
    ) -> Result<Self, WriteError> {
        fs::create_dir_all(directory).map_err(|error| WriteError::new(directory, error))?;
        let ports = names
            .iter()
            .map(|name| Ok(Output { path: port_file(directory, name)?, writer: None }))
            .collect::<Result<Vec<_>, WriteError>>()?;
        for port in &ports {
            match fs::remove_file(&port.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(WriteError::new(&port.path, error));
                }
                _ => {}
            }
        }
        let punted = punt.map(Writer::create).transpose()?;
        Ok(Self { pool, now: Instant(0), ports, punted, failed: None })
    }

    /// The time of the frames that are sent from now on.
    pub fn set_time(&mut self, now: Instant) {
        self.now = now;
    }

    /// The buffers, to receive into.
    pub fn pool(&mut self) -> &mut Pool<'f> {
        &mut self.pool
    }

    /// Whether everything could be written so far.
    pub fn check(&mut self) -> Result<(), WriteError> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Writes what is still buffered.
    pub fn finish(mut self) -> Result<(), WriteError> {
        self.check()?;
        let writers =
            self.ports.iter_mut().filter_map(|port| port.writer.as_mut()).chain(self.punted.as_mut());
        for writer in writers {
            writer.finish()?;
        }
        Ok(())
    }

    fn record(&mut self, port: PortId, frame: &[u8]) -> Result<(), WriteError> {
        // A port without a file is one that was not named; the walk knows the same ports.
        let Some(Output { path, writer }) = self.ports.get_mut(port.index()) else { return Ok(()) };
        let writer = match writer {
            Some(writer) => writer,
            None => writer.insert(Writer::create(path)?),
        };
        writer.write(self.now.0, frame)
    }
}

/// The capture file of a port.
///
/// # Errors
/// A name that would lead out of the directory: interface names hold no `/` and are not `.` or `..`.
pub fn port_file(directory: &Path, name: &str) -> Result<PathBuf, WriteError> {
    let path = directory.join(format!("{name}.pcap"));
    if name.is_empty() || name.contains(['/', '\0']) {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "a port name that cannot be a file name");
        return Err(WriteError::new(&path, error));
    }
    Ok(path)
}

impl<'f> Sink<'f> for Recorder<'f> {
    fn transmit(&mut self, port: PortId, frame: Frame<'f>) -> Transmitted {
        let result = self.record(port, frame.bytes());
        self.failed = self.failed.take().or(result.err());
        self.pool.give(frame.into_buffer());
        Transmitted::Queued
    }

    fn punt(&mut self, frame: Frame<'f>, _: PuntReason) {
        if let Some(writer) = &mut self.punted {
            let result = writer.write(self.now.0, frame.bytes());
            self.failed = self.failed.take().or(result.err());
        }
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
