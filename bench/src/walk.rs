//! Walks the frames of a case, as a worker would, and measures nothing but the walk.
//!
//! A round walks every frame of the stream once. The walk rewrites frames where they lie, so before it they are written into
//! their buffers anew, and batched; after it they are compared with the first round's. Neither is timed: a round's ticks are
//! those from the first batch's handing over to the last frame's reaching the sink. What is not in it is a
//! driver's: reading receive descriptors, refilling and completing rings.

use crate::cases::{Case, Stimulus};
use crate::clock;
use crate::internet::Internet;
use crate::node::Layout;
use crate::random::Random;
use packetwalk_control::config::Config;
use packetwalk_control::state::{NodeState, StateError};
use packetwalk_control::{Behind, Finding, Node};
use packetwalk_walk::tables::{PortId, Tables};
use packetwalk_walk::{
    BATCH, Batch, DropReason, Frame, Instant, PuntReason, Settings, Sink, Transmitted, Worker, walk,
};
use thiserror::Error;

/// Bytes of a buffer: AF_XDP's usual chunk.
pub(crate) const BUFFER: usize = 2048;
/// Where a received frame begins in it: `XDP_PACKET_HEADROOM`.
const START: usize = 256;
/// Frames in the buffers of a ring, walked between two readings of the clock.
pub(crate) const RING: usize = 4 * BATCH;

/// What the caches know of a frame when its walk begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caches {
    /// The frame was just written into one of [`RING`] buffers, as by a NIC that writes into the cache.
    Warm,
    /// Each frame of the stream has a buffer of its own, and all of them were evicted: the frame comes from memory.
    Cold,
}

/// Why there is no measurement.
#[derive(Debug, Error)]
pub(crate) enum WalkError {
    /// The node of the case is no node.
    #[error(transparent)]
    State(#[from] StateError),
    /// Or a route of a full table is no route.
    #[error("a route of the full table: {0}")]
    Route(#[from] serde_json::Error),
    /// Or has a fault.
    #[error("the state of the node: {0}")]
    Finding(Finding),
    /// The node has no such port.
    #[error("the node has no port {0}")]
    Port(String),
    /// Not every frame was sent.
    #[error("{case}: {sent} of {frames} frames were sent: {counters}")]
    Lost {
        /// The case.
        case: &'static str,
        /// Frames sent.
        sent: usize,
        /// Frames received.
        frames: usize,
        /// What became of them.
        counters: String,
    },
    /// A frame that is not what it must be.
    #[error(
        "{case}: frame {number} left by port {port} as {found}, expected by {expected_port} as {expected}"
    )]
    Differs {
        /// The case.
        case: &'static str,
        /// The frame, from 0.
        number: usize,
        /// The port that it left by.
        port: String,
        /// The frame in hexadecimal.
        found: String,
        /// The port that it should have left by.
        expected_port: String,
        /// The frame that it should have been.
        expected: String,
    },
}

/// A buffer as a NIC wants it: it begins with a cache line, and crosses no page.
#[repr(align(2048))]
#[derive(Clone)]
pub(crate) struct Buffer([u8; BUFFER]);

/// The buffers for a stream of `frames` frames.
pub(crate) fn buffers(caches: Caches, frames: usize) -> Vec<Buffer> {
    // Written, so that the kernel has mapped every page.
    vec![Buffer([0xa5; BUFFER]); if caches == Caches::Warm { RING } else { frames }]
}

/// Frames of one length, with the ports that they came in or went out by.
#[derive(Default)]
struct Frames {
    length: usize,
    bytes: Vec<u8>,
    ports: Vec<PortId>,
}

impl Frames {
    fn push(&mut self, port: PortId, frame: &[u8]) {
        debug_assert!(
            self.ports.is_empty() || frame.len() == self.length,
            "frames of a case are equally long"
        );
        self.length = frame.len();
        self.bytes.extend(frame);
        self.ports.push(port);
    }

    fn frame(&self, number: usize) -> &[u8] {
        &self.bytes[number * self.length..(number + 1) * self.length]
    }
}

/// A case, ready to be walked.
pub(crate) struct Stream {
    case: Case,
    node: Node,
    received: Frames,
    /// What the first round sent, which was as it must be.
    reference: Frames,
    /// The transmit ring.
    sent: Sent,
}

impl Stream {
    /// The stream of `frames` frames of a case. It has been walked once, in `buffers`, and what came out is right.
    pub(crate) fn new(
        case: Case,
        frames: usize,
        caches: Caches,
        buffers: &mut [Buffer],
    ) -> Result<Self, WalkError> {
        let layout = Layout::new();
        let internet = case.internet(frames);
        let mut state = NodeState::parse(&layout.state(case.way()), "node.json")?;
        for entry in internet.iter().flat_map(Internet::entries) {
            state.route.push(entry?);
        }
        let node = Node::build(&state, &Config::default(), Behind::Nothing);
        if let Some(finding) = node.findings.first() {
            return Err(WalkError::Finding(finding.clone()));
        }
        let mut random = Random::new(1);
        let mut stream = Self {
            case,
            node,
            received: Frames::default(),
            reference: Frames::default(),
            sent: Sent::new(frames),
        };
        let mut stimuli = Vec::with_capacity(frames);
        for number in 0..frames {
            let stimulus = case.stimulus(&layout, internet.as_ref(), number, &mut random);
            stream.received.push(stream.port(&stimulus.port)?, &stimulus.frame);
            stimuli.push(stimulus);
        }
        let mut reference = Frames::default();
        stream.walk(caches, buffers, |stream, number, port, frame| {
            reference.push(port, frame);
            stream.verify(&stimuli[number], number, port, frame)
        })?;
        stream.reference = reference;
        Ok(stream)
    }

    /// Walks the stream once, compares what came out with the first time, and returns the ticks that the walk took.
    pub(crate) fn round(&mut self, caches: Caches, buffers: &mut [Buffer]) -> Result<u64, WalkError> {
        self.walk(caches, buffers, |stream, number, port, frame| {
            let reference = &stream.reference;
            if port == reference.ports[number] && frame == reference.frame(number) {
                return Ok(());
            }
            let expected_port = stream.port_name(reference.ports[number]);
            Err(stream.differs(number, (port, frame), (expected_port, reference.frame(number))))
        })
    }

    fn walk(
        &mut self,
        caches: Caches,
        buffers: &mut [Buffer],
        mut check: impl FnMut(&Self, usize, PortId, &[u8]) -> Result<(), WalkError>,
    ) -> Result<u64, WalkError> {
        // The same identifications in every round.
        let mut worker = Worker::new(self.node.tables.ports.len(), Settings::default());
        let frames = self.received.ports.len();
        let mut ticks = 0;
        for first in (0..frames).step_by(buffers.len()) {
            let group = first..frames.min(first + buffers.len());
            for (buffer, number) in buffers.iter_mut().zip(group.clone()) {
                buffer.0[START..START + self.received.length].copy_from_slice(self.received.frame(number));
            }
            if caches == Caches::Cold {
                evict(buffers);
            }
            self.sent.descriptors.clear();
            for (ring, numbers) in buffers.chunks_mut(RING).zip(group.clone().step_by(RING)) {
                let mut batches = self.batches(ring, numbers);
                let before = clock::ticks();
                walk_batches(&self.node.tables, &mut worker, &mut batches, &mut self.sent);
                ticks += clock::ticks() - before;
            }
            if self.sent.descriptors.len() != group.len() {
                return Err(self.lost(group.len(), &worker));
            }
            for ((number, buffer), sent) in group.zip(buffers.iter()).zip(&self.sent.descriptors) {
                let frame = &buffer.0[sent.start as usize..][..sent.length as usize];
                check(self, number, sent.port, frame)?;
            }
        }
        Ok(ticks)
    }

    /// The frames from number `first` on, which lie in `ring`, as a driver hands them over.
    fn batches<'b>(&self, ring: &'b mut [Buffer], first: usize) -> Vec<Batch<'b>> {
        let length = self.received.length;
        let ports = &self.received.ports[first..];
        let fill = |(buffers, ports): (&'b mut [Buffer], &[PortId])| {
            let frames = buffers.iter_mut().zip(ports);
            frames.filter_map(|(buffer, port)| Frame::new(&mut buffer.0, START, length, *port)).collect()
        };
        ring.chunks_mut(BATCH).zip(ports.chunks(BATCH)).map(fill).collect()
    }

    /// Whether a frame of the first round is what must become of its stimulus.
    fn verify(
        &self,
        stimulus: &Stimulus,
        number: usize,
        port: PortId,
        frame: &[u8],
    ) -> Result<(), WalkError> {
        let expected = self.case.expected(stimulus, frame);
        if port == self.port(&expected.port)? && frame == expected.frame {
            return Ok(());
        }
        Err(self.differs(number, (port, frame), (expected.port, &expected.frame)))
    }

    fn differs(&self, number: usize, found: (PortId, &[u8]), expected: (String, &[u8])) -> WalkError {
        WalkError::Differs {
            case: self.case.name(),
            number,
            port: self.port_name(found.0),
            found: hexadecimal(found.1),
            expected_port: expected.0,
            expected: hexadecimal(expected.1),
        }
    }

    fn port(&self, name: &str) -> Result<PortId, WalkError> {
        self.node.port(name).ok_or_else(|| WalkError::Port(name.to_owned()))
    }

    fn port_name(&self, port: PortId) -> String {
        self.node.port_names[port.index()].clone()
    }

    fn lost(&self, frames: usize, worker: &Worker) -> WalkError {
        let counters = format!("{:?}", worker.counters);
        WalkError::Lost { case: self.case.name(), sent: self.sent.descriptors.len(), frames, counters }
    }
}

/// All that is timed, and all whose instructions are counted: a function of its own, so that callgrind finds it.
#[inline(never)]
fn walk_batches(tables: &Tables, worker: &mut Worker, batches: &mut [Batch<'_>], sent: &mut Sent) {
    for batch in batches {
        walk(tables, worker, Instant(0), batch, sent);
    }
}

/// What a transmit ring holds of a frame.
struct Descriptor {
    start: u32,
    length: u32,
    port: PortId,
}

/// A transmit ring with room for all: it stores a descriptor, and the buffer is the ring's again.
struct Sent {
    descriptors: Vec<Descriptor>,
}

impl Sent {
    fn new(frames: usize) -> Self {
        // Written once, so that the kernel has mapped every page.
        let mut descriptors = Vec::with_capacity(frames);
        descriptors.extend((0..frames).map(|_| Descriptor { start: 0, length: 0, port: PortId(0) }));
        Self { descriptors }
    }
}

impl<'b> Sink<'b> for Sent {
    #[inline]
    fn transmit(&mut self, port: PortId, frame: Frame<'b>) -> Transmitted {
        if self.descriptors.len() == self.descriptors.capacity() {
            return Transmitted::RingFull;
        }
        let (start, length) = (frame.start() as u32, frame.length() as u32);
        self.descriptors.push(Descriptor { start, length, port });
        Transmitted::Queued
    }

    fn punt(&mut self, _: Frame<'b>, _: PuntReason) {}

    fn recycle(&mut self, _: Frame<'b>, _: DropReason) {}

    fn spare(&mut self) -> Option<Frame<'b>> {
        None
    }

    fn restore(&mut self, _: Frame<'b>) {}
}

/// Reads what lies behind the frames, which is several times what the caches hold, line by line.
fn evict(buffers: &[Buffer]) {
    let mut sum = 0u64;
    for buffer in buffers {
        for line in buffer.0[BUFFER / 4..].chunks(64) {
            sum += u64::from(line[0]);
        }
    }
    std::hint::black_box(sum);
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            digits.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_walked_as_it_must_be_warm_and_cold() {
        for caches in [Caches::Warm, Caches::Cold] {
            let mut buffers = buffers(caches, 2 * RING);
            for case in Case::ALL {
                let stream = Stream::new(*case, 2 * RING, caches, &mut buffers);
                let ticks = stream.and_then(|mut stream| stream.round(caches, &mut buffers));
                assert!(ticks.is_ok_and(|ticks| ticks > 0), "{case:?} {caches:?}");
            }
        }
    }

    #[test]
    fn a_frame_that_differs_from_the_first_round_is_noticed() {
        let mut buffers = buffers(Caches::Warm, RING);
        let mut stream =
            Stream::new(Case::IpipEntry, RING, Caches::Warm, &mut buffers).expect("it is walked");
        stream.reference.bytes[100] ^= 1;
        let error = stream.round(Caches::Warm, &mut buffers).expect_err("it differs");
        assert!(error.to_string().starts_with("ipip-entry/node: frame 1 left by port eth0 as "), "{error}");
    }

    #[test]
    fn bytes_are_shown_in_hexadecimal() {
        assert_eq!(hexadecimal(&[0x0a, 0xf5]), "0af5");
    }
}
