//! Why a capture cannot be read.

use crate::pool::MAX_FRAME;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A file, the place in it, and what is wrong there.
#[derive(Debug, thiserror::Error)]
#[error("{}: {place}{fault}", path.display())]
pub struct CaptureError {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub place: Place,
    /// What is wrong.
    pub fault: Fault,
}

/// A place in a capture. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole, or its header.
    File,
    /// A packet, counted as tshark counts frames.
    Packet(u64),
    /// A pcapng block that is no packet.
    Block(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Packet(number) => write!(f, "packet {number}: "),
            Self::Block(number) => write!(f, "block {number}: "),
        }
    }
}

/// What is wrong, and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be opened or read.
    #[error("{0}")]
    Io(io::Error),
    /// It is no capture.
    #[error("{found}: expected pcap (magic a1b2c3d4 or a1b23c4d) or pcapng (0a0d0d0a)")]
    Magic {
        /// What it begins with.
        found: Beginning,
    },
    /// A version that is not known.
    #[error("version {major}.{minor}: expected {expected}")]
    Version {
        /// As found.
        major: u16,
        /// As found.
        minor: u16,
        /// Those that are read.
        expected: &'static str,
    },
    /// The file ends too early.
    #[error("the file ends within its record: expected {missing} more byte{}", if *.missing == 1 { "" } else { "s" })]
    Truncated {
        /// Bytes that are not there.
        missing: u64,
    },
    /// Frames of another link type.
    #[error("link type {found}{}: expected 1 (Ethernet)", name_of(*.found))]
    LinkType {
        /// As found.
        found: u32,
    },
    /// More than a frame can have.
    #[error("a captured length of {found} bytes: expected {MAX_FRAME} at most")]
    TooLong {
        /// As found.
        found: u32,
    },
    /// More than there was on the wire.
    #[error("a captured length of {captured} bytes: expected no more than the frame's {original}")]
    LongerThanFrame {
        /// Captured length.
        captured: u32,
        /// Length on the wire.
        original: u32,
    },
    /// The fraction of a second is a second or more.
    #[error("a timestamp with {found} {unit} in its second: expected fewer than {limit}")]
    Fraction {
        /// As found.
        found: u32,
        /// Which.
        unit: &'static str,
        /// How many make a second.
        limit: u32,
    },
    /// A time that a classic capture could not hold.
    #[error("a timestamp that is not between the years 1970 and 2106")]
    Time,
    /// A block's length contradicts its contents.
    #[error("a block length of {length}: expected {expected}")]
    BlockLength {
        /// As found.
        length: u32,
        /// What it should be.
        expected: &'static str,
    },
    /// The byte order mark of a section.
    #[error("a section with byte order magic {found:08x}: expected 1a2b3c4d")]
    ByteOrder {
        /// As found, big endian.
        found: u32,
    },
    /// An option's length contradicts its block.
    #[error("an option {code} of {length} bytes: expected {expected}")]
    Option {
        /// Its code.
        code: u16,
        /// Its length.
        length: u16,
        /// What it should be.
        expected: &'static str,
    },
    /// A clock that is too fine for a 64-bit count of its ticks.
    #[error(
        "a timestamp resolution (if_tsresol) of {found:#04x}: expected 10^-19 s or 2^-63 s at the finest"
    )]
    Resolution {
        /// As found.
        found: u8,
    },
    /// More interfaces than a node has.
    #[error("more than {limit} interfaces in a section")]
    Interfaces {
        /// How many are read.
        limit: usize,
    },
    /// A packet of an interface that is not described.
    #[error(
        "a packet of interface {found}: expected one of the {known} that the section describes before it"
    )]
    InterfaceNumber {
        /// As found.
        found: u32,
        /// How many there are.
        known: usize,
    },
    /// A capture that has no interface names is to be matched by them.
    #[error(
        "{format} without interface names: expected --rx PORT=FILE, to say which port received its frames"
    )]
    Unnamed {
        /// What it is.
        format: &'static str,
    },
    /// An interface that is no port.
    #[error("a packet of interface {found}, which is no port of this node: expected one of {}", ports.join(", "))]
    InterfaceName {
        /// Its name.
        found: String,
        /// The node's ports.
        ports: Vec<String>,
    },
    /// Frames of several interfaces are all to be one port's.
    #[error(
        "a packet of interface {found} after packets of {first}, all to be received by one port: \
         expected --rx FILE without a port, to match interfaces to ports by name"
    )]
    SeveralInterfaces {
        /// This packet's.
        found: String,
        /// The first packet's.
        first: String,
    },
    /// All frame buffers are taken.
    #[error("no free buffer for the frame")]
    NoBuffer,
}

/// The first bytes of a file that is no capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// There are none.
    Empty,
    /// Fewer than four.
    Short,
    /// These.
    Bytes([u8; 4]),
}

impl fmt::Display for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty file"),
            Self::Short => f.write_str("a file of less than 4 bytes"),
            Self::Bytes([0x1f, 0x8b, ..]) => f.write_str("a gzip file (unpack it first)"),
            Self::Bytes([0x28, 0xb5, 0x2f, 0xfd]) => f.write_str("a zstd file (unpack it first)"),
            Self::Bytes(bytes) => write!(f, "magic {:08x}", u32::from_be_bytes(*bytes)),
        }
    }
}

/// Link types that captures often have instead, by <https://www.tcpdump.org/linktypes.html>.
fn name_of(link_type: u32) -> &'static str {
    match link_type {
        0 => " (BSD loopback)",
        12 | 14 | 101 => " (raw IP)",
        105 => " (IEEE 802.11)",
        113 | 276 => " (Linux cooked, as `tcpdump -i any` writes it)",
        127 => " (radiotap)",
        228 => " (raw IPv4)",
        253 => " (netlink)",
        _ => "",
    }
}
