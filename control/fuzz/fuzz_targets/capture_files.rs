//! Any bytes as a capture, pcap or pcapng: no panic, no more memory than a frame takes (scripts/fuzz limits each
//! allocation), the same frames however the file comes in pieces, and an error that says where.

#![no_main]

use libfuzzer_sys::fuzz_target;
use packetwalk_port::pcap::{Capture, Ingress, Merge};
use packetwalk_port::{BUFFER, Buffers, MAX_FRAME};
use packetwalk_walk::Batch;
use packetwalk_walk::tables::PortId;
use std::cell::RefCell;
use std::io::Read;
use std::path::Path;

/// A reader that hands out a few bytes at a time, as a pipe may.
struct Pieces<'a> {
    rest: &'a [u8],
    next: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.next = self.next % 7 + 1;
        let count = self.next.min(buffer.len()).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(count);
        buffer[..count].copy_from_slice(piece);
        self.rest = rest;
        Ok(count)
    }
}

/// Each frame's time, port and bytes; then the error that ended the capture, if one did.
type Contents = (Vec<(u64, PortId, Vec<u8>)>, Option<String>);

/// Everything that `reader` holds.
fn contents(reader: impl Read, ingress: Ingress, size: usize, frame: &mut [u8]) -> Contents {
    let mut frames = Vec::new();
    let mut capture = match Capture::new(Path::new("capture"), reader, ingress) {
        Ok(capture) => capture,
        Err(error) => return (frames, Some(error.to_string())),
    };
    let end = loop {
        match capture.read(frame) {
            Ok(Some(packet)) => {
                assert!(packet.length <= MAX_FRAME);
                frames.push((packet.time, packet.port, frame[..packet.length].to_vec()));
                // A frame has a header of 16 bytes at least, so there cannot be more of them.
                assert!(frames.len() <= size / 16);
            }
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    assert!(capture.position() <= size as u64);
    for remark in capture.remarks() {
        assert!(!remark.to_string().is_empty());
    }
    (frames, end)
}

/// What a merge of one capture yields, as replay reads it.
fn merged(input: &[u8], ingress: Ingress, buffers: &mut Buffers) -> Contents {
    let mut frames = Vec::new();
    let merge =
        Capture::new(Path::new("capture"), input, ingress).and_then(|capture| Merge::new(vec![capture]));
    let mut merge = match merge {
        Ok(merge) => merge,
        Err(error) => return (frames, Some(error.to_string())),
    };
    let mut pool = buffers.pool();
    let mut batch = Batch::new();
    loop {
        let filled = merge.fill(&mut pool, &mut batch);
        let time = match filled {
            Ok(Some(burst)) => burst.now.0,
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error.to_string())),
        };
        for frame in batch.drain(..) {
            frames.push((time, frame.ingress(), frame.bytes().to_vec()));
            pool.give(frame.into_buffer());
        }
    }
}

thread_local! {
    static MEMORY: RefCell<(Vec<u8>, Buffers)> = RefCell::new((vec![0; MAX_FRAME], Buffers::new(64, BUFFER)));
}

fuzz_target!(|input: &[u8]| {
    MEMORY.with_borrow_mut(|(frame, buffers)| {
        let names = ["eth0", "cali1", "veth1"].map(String::from).to_vec();
        for ingress in [Ingress::Port(PortId(3)), Ingress::ByName(names)] {
            let whole = contents(input, ingress.clone(), input.len(), frame);
            let pieces = contents(Pieces { rest: input, next: 0 }, ingress.clone(), input.len(), frame);
            assert_eq!(whole, pieces);
            let (frames, end) = merged(input, ingress, buffers);
            // A merge reads one header ahead, and gives up a burst in which a frame is broken.
            assert_eq!(end, whole.1);
            assert!(whole.0.starts_with(&frames));
        }
    });
});
