//! Frames for people: one line a frame, and two frames side by side where they differ.

use std::fmt::Write as _;
use std::ops::Range;

use super::layers::{self, Layer, address, be16, fragment_offset};

/// The headers of a frame in one line.
pub(crate) fn one_line(frame: &[u8]) -> String {
    let mut line = format!("{} bytes", frame.len());
    for (layer, at) in layers::layers(frame) {
        line.push_str(" | ");
        line.push_str(&header(frame, layer, at));
    }
    line
}

fn header(frame: &[u8], layer: Layer, at: usize) -> String {
    match layer {
        Layer::Ethernet => {
            format!("{} > {} type {:04x}", mac(frame, at + 6), mac(frame, at), be16(frame, at + 12))
        }
        Layer::Arp => {
            let operation = if be16(frame, at + 6) == 1 { "who-has" } else { "is-at" };
            let (sender, target) = (address(frame, at + 14), address(frame, at + 24));
            format!("ARP {operation} sender {sender} {} target {target}", mac(frame, at + 8))
        }
        Layer::Ipv4 => ipv4(frame, at),
        Layer::Icmp => {
            format!("ICMP {}/{} rest {:08x}", frame[at], frame[at + 1], be32(frame, at + 4))
        }
        Layer::Tcp => {
            format!("TCP {} > {} flags {:02x}", be16(frame, at), be16(frame, at + 2), frame[at + 13])
        }
        Layer::Udp => {
            let (source, destination) = (be16(frame, at), be16(frame, at + 2));
            format!(
                "UDP {source} > {destination} length {} sum {:04x}",
                be16(frame, at + 4),
                be16(frame, at + 6)
            )
        }
        Layer::Vxlan => format!("VXLAN flags {:02x} VNI {}", frame[at], be32(frame, at + 4) >> 8),
    }
}

fn ipv4(frame: &[u8], at: usize) -> String {
    let mut line = format!(
        "IPv4 {} > {} proto {} ttl {} tos {:02x} length {} id {:04x} sum {:04x}",
        address(frame, at + 12),
        address(frame, at + 16),
        frame[at + 9],
        frame[at + 8],
        frame[at + 1],
        be16(frame, at + 2),
        be16(frame, at + 4),
        be16(frame, at + 10),
    );
    if frame[at + 6] & 0x40 != 0 {
        line.push_str(" DF");
    }
    if layers::is_fragment(frame, at) {
        let more = if frame[at + 6] & 0x20 == 0 { "" } else { "+" };
        let _ = write!(line, " fragment {}{more}", fragment_offset(frame, at) * 8);
    }
    line
}

/// Both frames in rows of 16 bytes: every row that differs, and the headers. Differing bytes are
/// marked `^^`, free ones `~~`.
pub(crate) fn side_by_side(expected: &[u8], actual: &[u8], free: &[Range<usize>]) -> String {
    const ROW: usize = 16;
    const HEADERS: usize = 64;
    let mut text = String::new();
    let mut skipped = false;
    for start in (0..expected.len().max(actual.len())).step_by(ROW) {
        let mark = |at: usize| {
            if free.iter().any(|range| range.contains(&at)) {
                "~~"
            } else if expected.get(at) == actual.get(at) {
                "  "
            } else {
                "^^"
            }
        };
        let marks: Vec<&str> = (start..start + ROW).map(mark).collect();
        let differs = marks.contains(&"^^");
        if !differs && start >= HEADERS {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            text.push_str("          ...\n");
        }
        let _ = writeln!(text, "  {start:04x} expected {}", hex(expected, start, ROW));
        let _ = writeln!(text, "       sent     {}", hex(actual, start, ROW));
        if marks.iter().any(|mark| *mark != "  ") {
            let _ = writeln!(text, "                {}", marks.join(" ").trim_end());
        }
    }
    text
}

fn hex(frame: &[u8], start: usize, length: usize) -> String {
    let bytes: Vec<String> = (start..start + length)
        .map(|at| frame.get(at).map_or_else(|| "--".to_owned(), |byte| format!("{byte:02x}")))
        .collect();
    bytes.join(" ")
}

fn mac(frame: &[u8], at: usize) -> String {
    let bytes: Vec<String> = frame[at..at + 6].iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}

fn be32(frame: &[u8], at: usize) -> u32 {
    u32::from(be16(frame, at)) << 16 | u32::from(be16(frame, at + 2))
}
