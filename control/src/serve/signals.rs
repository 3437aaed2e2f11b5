//! The signals that stop a process, as something to poll.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// Becomes ready when SIGTERM or SIGINT comes, and stays so.
#[derive(Debug)]
pub struct StopSignals(UnixStream);

impl StopSignals {
    /// Takes both signals over, for the rest of the process.
    pub fn register() -> io::Result<Self> {
        let (ready, signal) = UnixStream::pair()?;
        pipe::register(SIGTERM, signal.try_clone()?)?;
        pipe::register(SIGINT, signal)?;
        Ok(Self(ready))
    }
}

impl AsFd for StopSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
