//! One capture file.

use super::classic::Classic;
use super::error::{Beginning, CaptureError, Fault, Place};
use super::input::Input;
use super::pcapng::{Pcapng, Trailer};
use crate::pool::MAX_FRAME;
use packetwalk_walk::tables::PortId;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Which port received the frames of a capture.
#[derive(Clone, Debug)]
pub enum Ingress {
    /// This one received all.
    Port(PortId),
    /// The one that has the name of the packet's interface (pcapng only): the names, by [`PortId`].
    ByName(Vec<String>),
}

/// A capture that is being read.
#[derive(Debug)]
pub struct Capture<R> {
    path: PathBuf,
    input: Input<R>,
    format: Format,
    ingress: Ingress,
    /// Frames whose header has been read.
    number: u64,
    /// The header of the frame that comes next.
    head: Option<Head>,
    last: u64,
    snapped: Option<Snapped>,
    backwards: Option<Backwards>,
}

#[derive(Debug)]
enum Format {
    Classic(Classic),
    Pcapng(Pcapng),
}

/// What stands before a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Nanoseconds since 1970.
    pub(super) time: u64,
    /// Bytes that follow, [`MAX_FRAME`] at most.
    pub(super) captured: usize,
    /// Bytes that the frame had.
    pub(super) original: u32,
    /// The port that received it.
    pub(super) port: PortId,
    /// What stands behind it.
    pub(super) trailer: Option<Trailer>,
}

impl Head {
    /// What a frame's header says, if it can be true.
    pub(super) fn new(time: u64, captured: u32, original: u32, port: PortId) -> Result<Self, Fault> {
        if captured as usize > MAX_FRAME {
            return Err(Fault::TooLong { found: captured });
        }
        if captured > original {
            return Err(Fault::LongerThanFrame { captured, original });
        }
        Ok(Self { time, captured: captured as usize, original, port, trailer: None })
    }
}

/// A frame that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it was captured, nanoseconds since 1970.
    pub time: u64,
    /// Its length as captured, bytes.
    pub length: usize,
    /// The port that received it.
    pub port: PortId,
}

/// What is odd about a capture, but can be walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Frames of which the capture holds only the beginning.
    Snapped(Snapped),
    /// Frames that are older than the frame before them.
    Backwards(Backwards),
}

/// Frames of which the capture holds only the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapped {
    /// How many.
    pub count: u64,
    /// The number of the first.
    pub first: u64,
    /// Bytes of it that there are.
    pub captured: usize,
    /// Bytes that it had.
    pub original: u32,
}

/// Frames that are older than the frame before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backwards {
    /// How many.
    pub count: u64,
    /// The number of the first.
    pub first: u64,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapped(Snapped { count, first, captured, original }) => write!(
                f,
                "{count} of its frames are cut short (packet {first} is the first: {captured} of {original} \
                 bytes); they are walked as they are"
            ),
            Self::Backwards(Backwards { count, first }) => write!(
                f,
                "{count} of its packets are older than the one before (packet {first} is the first); they are \
                 walked in the order of the file"
            ),
        }
    }
}

impl Capture<File> {
    /// Opens a file and reads its header.
    pub fn open(path: &Path, ingress: Ingress) -> Result<Self, CaptureError> {
        let file = File::open(path).map_err(|error| CaptureError {
            path: path.into(),
            place: Place::File,
            fault: Fault::Io(error),
        })?;
        Self::new(path, file, ingress)
    }
}

impl<R: Read> Capture<R> {
    /// Reads the header of a capture; `path` is named in errors. `reader` need not be buffered.
    pub fn new(path: &Path, reader: R, ingress: Ingress) -> Result<Self, CaptureError> {
        let mut input = Input::new(reader);
        let format = Format::begin(&mut input, &ingress).map_err(|fault| CaptureError {
            path: path.into(),
            place: Place::File,
            fault,
        })?;
        Ok(Self {
            path: path.into(),
            input,
            format,
            ingress,
            number: 0,
            head: None,
            last: 0,
            snapped: None,
            backwards: None,
        })
    }

    /// The time of the frame that comes next, nanoseconds since 1970; None at the end.
    pub fn peek(&mut self) -> Result<Option<u64>, CaptureError> {
        if self.head.is_none() {
            self.head = self.advance()?;
        }
        Ok(self.head.map(|head| head.time))
    }

    /// Reads the frame that comes next into the beginning of `buffer`, which has room for [`MAX_FRAME`] bytes; None at
    /// the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Option<Packet>, CaptureError> {
        self.peek()?;
        let Some(head) = self.head.take() else { return Ok(None) };
        let Some(bytes) = buffer.get_mut(..head.captured) else {
            return Err(self.error(Place::Packet(self.number), Fault::NoBuffer));
        };
        let read = self.input.fill(bytes).and_then(|()| match (&self.format, head.trailer) {
            (Format::Pcapng(pcapng), Some(trailer)) => pcapng.finish(trailer, &mut self.input),
            _ => Ok(()),
        });
        read.map_err(|fault| self.error(Place::Packet(self.number), fault))?;
        Ok(Some(Packet { time: head.time, length: head.captured, port: head.port }))
    }

    /// Bytes of the file that have been read.
    pub fn position(&self) -> u64 {
        self.input.position()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was odd about what has been read.
    pub fn remarks(&self) -> impl Iterator<Item = Remark> {
        self.snapped.map(Remark::Snapped).into_iter().chain(self.backwards.map(Remark::Backwards))
    }

    /// Reads the next frame's header.
    fn advance(&mut self) -> Result<Option<Head>, CaptureError> {
        let number = self.number + 1;
        let next = match (&mut self.format, &self.ingress) {
            (Format::Pcapng(pcapng), ingress) => pcapng.next(&mut self.input, ingress, number, self.last),
            (Format::Classic(classic), Ingress::Port(port)) => {
                classic.next(&mut self.input, *port).map_err(|fault| (Place::Packet(number), fault))
            }
            (Format::Classic(_), Ingress::ByName(_)) => Err((Place::File, UNNAMED)),
        };
        let Some(head) = next.map_err(|(place, fault)| self.error(place, fault))? else { return Ok(None) };

        self.number = number;
        if head.captured < head.original as usize {
            let first = Snapped { count: 0, first: number, captured: head.captured, original: head.original };
            self.snapped.get_or_insert(first).count += 1;
        }
        if head.time < self.last {
            self.backwards.get_or_insert(Backwards { count: 0, first: number }).count += 1;
        }
        self.last = head.time;
        Ok(Some(head))
    }

    fn error(&self, place: Place, fault: Fault) -> CaptureError {
        CaptureError { path: self.path.clone(), place, fault }
    }
}

const UNNAMED: Fault = Fault::Unnamed { format: "classic pcap" };

impl Format {
    /// Reads a file's header.
    fn begin<R: Read>(input: &mut Input<R>, ingress: &Ingress) -> Result<Self, Fault> {
        let mut magic = [0; 4];
        match input.read(&mut magic)? {
            0 => return Err(Fault::Magic { found: Beginning::Empty }),
            4 => {}
            _ => return Err(Fault::Magic { found: Beginning::Short }),
        }
        if let Some(classic) = Classic::begin(magic, input)? {
            return match ingress {
                Ingress::Port(_) => Ok(Self::Classic(classic)),
                Ingress::ByName(_) => Err(UNNAMED),
            };
        }
        match Pcapng::begin(magic, input)? {
            Some(pcapng) => Ok(Self::Pcapng(pcapng)),
            None => Err(Fault::Magic { found: Beginning::Bytes(magic) }),
        }
    }
}
