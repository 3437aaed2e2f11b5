//! Capture files, read whole: pcap of either resolution and pcapng.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};

const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Since the epoch of the capture's clock.
    pub(crate) time: Duration,
    pub(crate) bytes: Vec<u8>,
}

/// The frames of a capture in the order of the file, whatever its interface.
pub(crate) fn read(path: &Path) -> Vec<Frame> {
    let content = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if content.starts_with(&PCAPNG_MAGIC) { pcapng(path, &content) } else { pcap(path, &content) }
}

fn pcap(path: &Path, content: &[u8]) -> Vec<Frame> {
    let mut reader = PcapReader::new(content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        frames.push(Frame { time: packet.timestamp, bytes: packet.data.into_owned() });
    }
    frames
}

fn pcapng(path: &Path, content: &[u8]) -> Vec<Frame> {
    let mut reader = PcapNgReader::new(content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
            Block::EnhancedPacket(packet) => {
                frames.push(Frame { time: packet.timestamp, bytes: packet.data.into_owned() });
            }
            Block::SimplePacket(packet) => {
                frames.push(Frame { time: Duration::ZERO, bytes: packet.data.into_owned() });
            }
            _ => {}
        }
    }
    frames
}
