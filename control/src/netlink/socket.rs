//! Netlink sockets in the network namespace of the calling thread.

use super::error::NetlinkError;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket as RawSocket, SocketAddr};
use rustix::net::RecvFlags;
use rustix::net::sockopt::{
    Timeout, set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, set_socket_timeout,
    socket_recv_buffer_size,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// A socket to the kernel's routing family.
#[derive(Debug)]
pub(super) struct Socket {
    raw: RawSocket,
    /// What was received last.
    buffer: Vec<u8>,
}

/// What a socket had to give.
#[derive(Debug)]
pub(super) enum Received<'a> {
    /// One datagram.
    Datagram(&'a [u8]),
    /// Nothing now, or not in time.
    Nothing,
    /// Messages were lost: the receive buffer was full, or one was larger than ours.
    Overrun,
}

/// Room for the largest message: the kernel packs lists into at most 32 KiB, and one object, a link of a card with many
/// virtual functions or a route of many next hops, may be larger.
const DATAGRAM: usize = 256 << 10;

impl Socket {
    /// A socket for questions.
    pub(super) fn for_requests(answer_within: Duration) -> Result<Self, NetlinkError> {
        let raw = open()?;
        set_socket_timeout(&raw, Timeout::Recv, Some(answer_within))
            .map_err(|error| failed("limit the time of answers", error.into()))?;
        let kernel = SocketAddr::new(0, 0);
        raw.connect(&kernel).map_err(|error| failed("connect to the kernel", error))?;
        Ok(Self { raw, buffer: Vec::new() })
    }

    /// A socket that receives the events of `groups` (numbers, not a mask), and never blocks.
    pub(super) fn for_events(groups: &[u32]) -> Result<Self, NetlinkError> {
        let mut raw = open()?;
        raw.set_non_blocking(true).map_err(|error| failed("read without blocking", error))?;
        raw.bind_auto().map_err(|error| failed("bind a socket", error))?;
        for group in groups {
            raw.add_membership(*group).map_err(|error| failed("subscribe to events", error))?;
        }
        Ok(Self { raw, buffer: Vec::new() })
    }

    /// Asks for a receive buffer of `bytes`, beyond the machine's limit where that is allowed. Returns what was granted,
    /// in bytes as asked for (the kernel counts twice that, for its own overhead).
    pub(super) fn enlarge(&self, bytes: usize) -> Result<usize, NetlinkError> {
        set_socket_recv_buffer_size_force(&self.raw, bytes)
            .or_else(|_| set_socket_recv_buffer_size(&self.raw, bytes))
            .and_then(|()| socket_recv_buffer_size(&self.raw))
            .map(|doubled| doubled / 2)
            .map_err(|error| failed("enlarge the receive buffer", error.into()))
    }

    /// Sends a request.
    pub(super) fn send(&self, request: &[u8]) -> Result<(), NetlinkError> {
        self.raw.send(request, 0).map_err(|error| failed("send a request", error))?;
        Ok(())
    }

    /// The next datagram from the kernel.
    pub(super) fn receive(&mut self) -> Result<Received<'_>, NetlinkError> {
        loop {
            self.buffer.clear();
            self.buffer.reserve(DATAGRAM);
            // With this flag the length returned is the message's, even where it did not fit.
            let flags = RecvFlags::TRUNC.bits().cast_signed();
            match self.raw.recv_from(&mut self.buffer, flags) {
                Ok((length, _)) if length > self.buffer.len() => return Ok(Received::Overrun),
                // Other processes may write to our port; only the kernel's is 0.
                Ok((_, sender)) if sender.port_number() != 0 => {}
                Ok(_) => return Ok(Received::Datagram(&self.buffer)),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Ok(Received::Nothing),
                    _ if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                        return Ok(Received::Overrun);
                    }
                    _ => return Err(failed("receive from the kernel", error)),
                },
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raw.as_fd()
    }
}

fn open() -> Result<RawSocket, NetlinkError> {
    let raw = RawSocket::new(NETLINK_ROUTE).map_err(|error| failed("open a socket", error))?;
    // Kernels before 4.12 and 4.20 know neither: errors have no text then, and lists more than was asked for.
    let _ = raw.set_ext_ack(true);
    let _ = raw.set_cap_ack(true);
    let _ = raw.set_netlink_get_strict_chk(true);
    Ok(raw)
}

fn failed(operation: &'static str, source: io::Error) -> NetlinkError {
    NetlinkError::Socket { operation, source }
}
