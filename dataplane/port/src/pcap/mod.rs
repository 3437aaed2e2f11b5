//! Capture files: read as what ports receive, written as what ports send.
//!
//! Read are classic pcap (microseconds and nanoseconds, both byte orders) and pcapng (several sections and interfaces,
//! any timestamp resolution). A capture is read as a stream, in memory that does not depend on its size: a length
//! that a file states is compared with [`crate::MAX_FRAME`] before it is believed, and nothing is allocated by it.
//! The reader is small because it reads little of what pcapng can hold: frames, and the name, link type and clock of
//! their interfaces.
//!
//! - [`Capture`]: one file.
//! - [`Merge`]: several files, in the order of time.
//! - [`Recorder`]: the sink that writes a file a port.

mod capture;
mod classic;
mod error;
mod input;
mod merge;
mod pcapng;
mod record;
mod write;

pub use capture::{Backwards, Capture, Ingress, Packet, Remark, Snapped};
pub use error::{Beginning, CaptureError, Fault, Place};
pub use merge::{Burst, Merge};
pub use record::{Recorder, port_file};
pub use write::{WriteError, Writer};
