//! Lines that come in over a socket, each within bounds of length and time.

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Reads lines.
#[derive(Debug)]
pub(super) struct Lines {
    stream: UnixStream,
    /// What was read, and not handed out yet.
    bytes: Vec<u8>,
    /// Where the next line begins in it.
    start: usize,
    longest: usize,
}

/// How reading a line ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its end.
    Whole(Vec<u8>),
    /// The other side has no more.
    End,
    /// It has more bytes than it may.
    TooLong,
}

impl Lines {
    /// Lines of at most `longest` bytes.
    pub(super) fn new(stream: UnixStream, longest: usize) -> Self {
        Self { stream, bytes: Vec::new(), start: 0, longest }
    }

    /// The next line. It must begin within `patience`, and be whole within `patience` after that.
    pub(super) fn next(&mut self, patience: Duration) -> io::Result<Line> {
        let mut began = Instant::now();
        let mut searched = self.start;
        loop {
            if let Some(length) = self.bytes[searched..].iter().position(|byte| *byte == b'\n') {
                let end = searched + length;
                let line = self.bytes[self.start..end].to_vec();
                self.start = end + 1;
                return Ok(if line.len() > self.longest { Line::TooLong } else { Line::Whole(line) });
            }
            if self.bytes.len() - self.start > self.longest {
                return Ok(Line::TooLong);
            }
            self.bytes.drain(..self.start);
            (self.start, searched) = (0, self.bytes.len());
            let is_fresh = self.bytes.is_empty();
            if self.read_some(began + patience)? == 0 {
                return Ok(Line::End);
            }
            if is_fresh {
                began = Instant::now();
            }
        }
    }

    fn read_some(&mut self, until: Instant) -> io::Result<usize> {
        let mut buffer = [0; 1 << 14];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut buffer) {
                Ok(length) => {
                    self.bytes.extend_from_slice(&buffer[..length]);
                    return Ok(length);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn pair(longest: usize) -> (UnixStream, Lines) {
        let (here, there) = UnixStream::pair().expect("two ends");
        (here, Lines::new(there, longest))
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn lines_are_told_apart_however_they_come() {
        let (mut here, mut lines) = pair(8);
        here.write_all(b"one\ntwo\n\nthr").expect("room");
        for line in ["one", "two", ""] {
            assert_eq!(lines.next(PATIENCE).expect("a line"), Line::Whole(line.into()));
        }
        here.write_all(b"ee\n").expect("room");
        assert_eq!(lines.next(PATIENCE).expect("a line"), Line::Whole("three".into()));
        here.write_all(b"half").expect("room");
        drop(here);
        assert_eq!(lines.next(PATIENCE).expect("the end"), Line::End);
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let (mut here, mut lines) = pair(8);
        here.write_all(b"012345678").expect("room");
        assert_eq!(lines.next(PATIENCE).expect("bytes"), Line::TooLong);
        let (mut here, mut lines) = pair(8);
        here.write_all(b"012345678\n").expect("room");
        assert_eq!(lines.next(PATIENCE).expect("bytes"), Line::TooLong);
    }

    #[test]
    fn a_line_that_comes_byte_by_byte_does_not_win_time() {
        let (mut here, mut lines) = pair(100);
        let drip = std::thread::spawn(move || {
            while here.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let error = lines.next(Duration::from_millis(50)).expect_err("it never ends");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(lines);
        drip.join().expect("no panic");
    }
}
