//! What all these tests stand on: a node made by hand, frames made by etherparse, a sink that keeps everything, and a
//! judge of what is sent.
//!
//! [`Node::burst`] checks on every walk of every test what must always hold: each frame has one outcome, the counters
//! balance, no buffer is lost, what is punted is what was received, and what is sent is well-formed.

pub mod node;
pub mod packets;
pub mod sink;
pub mod tables;
pub mod traffic;
pub mod wellformed;

use node::PORTS;
use packetwalk_walk::counters::Counters;
use packetwalk_walk::tables::{PortId, Tables};
use packetwalk_walk::{
    Batch, DropReason, Frame, HEADROOM, Instant, Observer, PuntReason, Settings, Unobserved, Worker,
    walk_observed,
};
use sink::Recorder;
use std::sync::OnceLock;

/// A port and a frame that it received or sent.
pub type OnPort = (PortId, Vec<u8>);

/// The node's tables take longer to make than to copy.
static MADE: OnceLock<Tables> = OnceLock::new();

/// Bytes of a spare frame's buffer.
const SPARE: usize = 2048 + HEADROOM;

/// The node of [`node`] with one worker.
pub struct Node {
    pub tables: Tables,
    pub worker: Worker,
    /// Frames that a port's ring takes within one walk.
    pub ring: usize,
    /// Frames that find the ring full in each walk, before it has room again.
    pub refusals: usize,
    /// Ports that are gone when frames shall leave by them.
    pub gone: Vec<PortId>,
    /// Sum over all walks.
    pub total: Counters,
    spares: Vec<Vec<u8>>,
}

impl Node {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        let mut node = Self {
            tables: MADE.get_or_init(tables::tables).clone(),
            worker: Worker::new(PORTS, settings),
            ring: usize::MAX,
            refusals: 0,
            gone: Vec::new(),
            total: Counters::new(PORTS),
            spares: Vec::new(),
        };
        node.set_spares(64);
        node
    }

    /// How many spare frames the sink has.
    pub fn set_spares(&mut self, count: usize) {
        self.set_spares_of(count, SPARE);
    }

    /// And how large their buffers are.
    pub fn set_spares_of(&mut self, count: usize, size: usize) {
        self.spares = vec![vec![0xa5; size]; count];
    }

    /// Walks one frame at time 0.
    #[track_caller]
    pub fn receive(&mut self, port: PortId, frame: Vec<u8>) -> Walked {
        self.receive_at(Instant(0), port, frame)
    }

    #[track_caller]
    pub fn receive_at(&mut self, now: Instant, port: PortId, frame: Vec<u8>) -> Walked {
        self.burst(now, &[(port, frame)])
    }

    /// Walks frames in one batch.
    #[track_caller]
    pub fn burst(&mut self, now: Instant, frames: &[OnPort]) -> Walked {
        self.burst_observed(now, frames, &mut Unobserved)
    }

    #[track_caller]
    pub fn burst_observed<O: Observer>(
        &mut self,
        now: Instant,
        frames: &[OnPort],
        observer: &mut O,
    ) -> Walked {
        self.worker.counters = Counters::new(PORTS);
        // No room behind the frame: whoever writes there is found out.
        let mut buffers: Vec<Vec<u8>> = frames.iter().map(|(_, frame)| buffer(frame)).collect();
        let places: Vec<*const u8> = buffers.iter().map(Vec::as_ptr).collect();
        let mut batch = Batch::new();
        for (buffer, (port, frame)) in buffers.iter_mut().zip(frames) {
            batch.push(Frame::new(buffer, HEADROOM, frame.len(), *port).expect("it fits"));
        }
        let total = frames.len() + self.spares.len();
        let spares = self.spares.iter_mut().map(Vec::as_mut_slice).collect();
        let mut sink = Recorder::new(PORTS, frames.len(), spares);
        sink.ring = self.ring;
        sink.refusals = self.refusals;
        sink.gone.clone_from(&self.gone);

        walk_observed(&self.tables, &mut self.worker, now, &mut batch, &mut sink, observer);

        assert!(batch.is_empty(), "the batch is handed over whole");
        assert_eq!(sink.buffers(), total, "every buffer came back");
        let counters = self.worker.counters.clone();
        check_counters(&counters, frames, &sink);
        for (reason, frame) in &sink.punted {
            // The frame's place in the batch is known by its buffer.
            let start = frame.bytes().as_ptr().wrapping_sub(frame.start());
            let slot = places.iter().position(|place| *place == start).expect("a received frame");
            assert_eq!(frame.bytes(), frames[slot].1, "punted {reason} as it was received");
        }
        for (port, frame) in &sink.sent {
            if let Err(fault) = wellformed::judge(*port, frame.bytes(), frames) {
                panic!("{fault}\nsent by {port:?}: {:02x?}\nreceived: {frames:02x?}", frame.bytes());
            }
        }
        add(&mut self.total, &counters);
        Walked {
            received: frames.to_vec(),
            sent: sink.sent.iter().map(|(port, frame)| (*port, frame.bytes().to_vec())).collect(),
            punted: sink.punted.iter().map(|(reason, _)| *reason).collect(),
            dropped: sink.recycled.iter().map(|(reason, _)| *reason).collect(),
            counters,
        }
    }
}

/// The buffer of a received frame, filled around it with what must never show.
fn buffer(frame: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0xa5; HEADROOM];
    buffer.extend_from_slice(frame);
    buffer
}

/// One outcome per frame, and every frame and byte in the counters of its port.
#[track_caller]
fn check_counters(counters: &Counters, frames: &[OnPort], sink: &Recorder<'_>) {
    assert_eq!(counters.rx, frames.len() as u64);
    assert!(counters.balance(), "{counters:?}");
    for (number, port) in counters.ports.iter().enumerate() {
        let rx = frames.iter().filter(|(port, _)| port.index() == number);
        let tx = sink.sent.iter().filter(|(port, _)| port.index() == number);
        assert_eq!(port.rx_packets, rx.clone().count() as u64);
        assert_eq!(port.rx_bytes, rx.map(|(_, frame)| frame.len() as u64).sum::<u64>());
        assert_eq!(port.tx_packets, tx.clone().count() as u64);
        assert_eq!(port.tx_bytes, tx.map(|(_, frame)| frame.length() as u64).sum::<u64>());
    }
    for reason in PuntReason::ALL {
        let punted = sink.punted.iter().filter(|(punted, _)| punted == reason).count();
        assert_eq!(counters.punt[*reason as usize], punted as u64, "{reason}");
    }
    for reason in DropReason::ALL {
        let recycled = sink.recycled.iter().filter(|(dropped, _)| dropped == reason).count();
        let counted = counters.drop[*reason as usize];
        match reason {
            // The sink itself took these back.
            DropReason::TxRingFull | DropReason::PortGone => assert!(counted >= recycled as u64),
            _ => assert_eq!(counted, recycled as u64, "{reason}"),
        }
    }
}

/// Adds `more` to `sum`.
fn add(sum: &mut Counters, more: &Counters) {
    sum.rx += more.rx;
    sum.forwarded += more.forwarded;
    sum.answered += more.answered;
    sum.icmp_errors += more.icmp_errors;
    sum.fragments += more.fragments;
    sum.arp_requests += more.arp_requests;
    sum.ecn_anomalies += more.ecn_anomalies;
    sum.icmp_suppressed += more.icmp_suppressed;
    sum.punt.iter_mut().zip(more.punt).for_each(|(sum, more)| *sum += more);
    sum.drop.iter_mut().zip(more.drop).for_each(|(sum, more)| *sum += more);
    for (sum, more) in sum.ports.iter_mut().zip(&more.ports) {
        sum.rx_packets += more.rx_packets;
        sum.rx_bytes += more.rx_bytes;
        sum.tx_packets += more.tx_packets;
        sum.tx_bytes += more.tx_bytes;
    }
}

/// What became of the frames of one batch.
pub struct Walked {
    pub received: Vec<OnPort>,
    pub sent: Vec<OnPort>,
    pub punted: Vec<PuntReason>,
    pub dropped: Vec<DropReason>,
    /// Of this batch alone.
    pub counters: Counters,
}

impl Walked {
    /// The identification of the outermost IPv4 header sent: a free field.
    #[track_caller]
    pub fn id(&self) -> u16 {
        self.id_of(0)
    }

    #[track_caller]
    pub fn id_of(&self, sent: usize) -> u16 {
        let Some((_, frame)) = self.sent.get(sent) else { panic!("frame {sent} was not sent: {self}") };
        u16::from_be_bytes([frame[18], frame[19]])
    }

    /// The one frame was forwarded as `expected`, and nothing else happened.
    #[track_caller]
    pub fn is_forwarded(&self, port: PortId, expected: &[u8]) {
        self.sent_exactly(&[(port, expected.to_vec())]);
        assert_eq!(self.counters.forwarded, 1, "{self}");
    }

    /// The one frame was forwarded in these fragments.
    #[track_caller]
    pub fn is_fragmented(&self, expected: &[OnPort]) {
        self.sent_exactly(expected);
        assert_eq!(self.counters.forwarded, 1, "{self}");
        assert_eq!(self.counters.fragments, expected.len() as u64 - 1, "{self}");
    }

    /// The one frame was an ARP request, and this is its reply.
    #[track_caller]
    pub fn is_answered(&self, port: PortId, expected: &[u8]) {
        self.sent_exactly(&[(port, expected.to_vec())]);
        assert_eq!(self.counters.answered, 1, "{self}");
    }

    /// The one frame was dropped without a word.
    #[track_caller]
    pub fn is_dropped(&self, reason: DropReason) {
        assert_eq!(self.counters.drop[reason as usize], 1, "expected a drop {reason}: {self}");
        self.sent_exactly(&[]);
    }

    /// The one frame was dropped, and its sender was told by this frame.
    #[track_caller]
    pub fn is_refused(&self, reason: DropReason, port: PortId, error: &[u8]) {
        assert_eq!(self.counters.drop[reason as usize], 1, "expected a drop {reason}: {self}");
        self.sent_exactly(&[(port, error.to_vec())]);
        assert_eq!(self.counters.icmp_errors, 1, "{self}");
    }

    /// The one frame was handed to the kernel. (That it was as received is checked for all.)
    #[track_caller]
    pub fn is_punted(&self, reason: PuntReason) {
        assert_eq!(self.punted, [reason], "{self}");
        self.sent_exactly(&[]);
    }

    #[track_caller]
    fn sent_exactly(&self, expected: &[OnPort]) {
        assert_eq!(self.received.len(), 1, "one frame at a time");
        assert!(self.sent == expected, "{self}expected {}", Hex(expected));
    }
}

impl std::fmt::Display for Walked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "received {}sent {}", Hex(&self.received), Hex(&self.sent))?;
        writeln!(f, "punted {:?}, dropped {:?}, {:?}", self.punted, self.dropped, self.counters)
    }
}

/// Frames, readable.
struct Hex<'a>(&'a [OnPort]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} frames", self.0.len())?;
        for (port, frame) in self.0 {
            writeln!(f, "  {port:?}, {} bytes", frame.len())?;
            for (row, bytes) in frame.chunks(16).take(8).enumerate() {
                writeln!(f, "    {:04x} {bytes:02x?}", row * 16)?;
            }
        }
        Ok(())
    }
}
