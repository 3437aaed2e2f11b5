//! Clients without manners, and frames.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connection that can say anything.
pub(crate) struct Raw {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Raw {
    pub(crate) fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("somebody listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let lines = BufReader::new(stream.try_clone().expect("a descriptor"));
        Self { stream, lines }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("it listens");
    }

    /// Sends as much as is taken.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends the same again and again, until it is not taken any more.
    pub(crate) fn send_while_it_is_taken(&mut self, bytes: &[u8], times: usize) {
        for _ in 0..times {
            if self.stream.write_all(bytes).is_err() {
                return;
            }
        }
    }

    pub(crate) fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).expect("JSON")
    }
}

/// A capture of one frame, a UDP datagram without checksum from 10.0.0.7 to `destination`, sent to the port's own address.
pub(crate) fn capture(mac: &[u8], destination: [u8; 4]) -> Vec<u8> {
    let mut header = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 7, 0, 0, 0, 0];
    header[16..].copy_from_slice(&destination);
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let udp = [0, 7, 0, 7, 0, 8, 0, 0];
    let frame = [mac, &[2, 0, 0, 0, 0, 7], &[8, 0], &header, &udp].concat();
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1, 1, 0, frame.len() as u32, frame.len() as u32] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(frame);
    bytes
}
