//! What a worker counts. One writer; whoever reads sums over workers.

use crate::outcome::{DropReason, PuntReason};
use crate::tables::PortId;

/// Frames and bytes of one port. Bytes are Ethernet frames without FCS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
}

/// Everything that one worker counts.
///
/// rx = forwarded + answered + punted + dropped, and tx = forwarded + answered + originated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Frames walked.
    pub rx: u64,
    /// Frames sent on, a fragmented one once.
    pub forwarded: u64,
    /// ARP requests answered.
    pub answered: u64,
    /// Frames handed to the kernel, by reason.
    pub punt: [u64; PuntReason::COUNT],
    /// Frames lost, by reason.
    pub drop: [u64; DropReason::COUNT],
    /// ICMP errors sent.
    pub icmp_errors: u64,
    /// Fragments sent beyond the first of each packet.
    pub fragments: u64,
    /// ARP requests sent.
    pub arp_requests: u64,
    /// Packets that left a tunnel with a combination of ECN fields that RFC 6040 4.2 calls dangerous.
    pub ecn_anomalies: u64,
    /// ICMP errors that were due and not sent: over the rate, without a way back, or without a spare frame.
    pub icmp_suppressed: u64,
    /// By [`PortId`].
    pub ports: Box<[PortCounters]>,
}

impl Counters {
    /// All zero, for a node of `ports` ports.
    pub fn new(ports: usize) -> Self {
        Self {
            rx: 0,
            forwarded: 0,
            answered: 0,
            punt: [0; PuntReason::COUNT],
            drop: [0; DropReason::COUNT],
            icmp_errors: 0,
            fragments: 0,
            arp_requests: 0,
            ecn_anomalies: 0,
            icmp_suppressed: 0,
            ports: vec![PortCounters::default(); ports].into_boxed_slice(),
        }
    }

    /// Frames lost.
    pub fn dropped(&self) -> u64 {
        self.drop.iter().sum()
    }

    /// Frames handed to the kernel.
    pub fn punted(&self) -> u64 {
        self.punt.iter().sum()
    }

    /// Frames sent beyond one for each received.
    pub fn originated(&self) -> u64 {
        self.icmp_errors + self.fragments + self.arp_requests
    }

    /// Frames sent.
    pub fn tx(&self) -> u64 {
        self.ports.iter().map(|port| port.tx_packets).sum()
    }

    /// Whether every frame is accounted for.
    pub fn balance(&self) -> bool {
        self.rx == self.forwarded + self.answered + self.punted() + self.dropped()
            && self.tx() == self.forwarded + self.answered + self.originated()
            && self.rx == self.ports.iter().map(|port| port.rx_packets).sum()
    }

    #[inline]
    pub(crate) fn received(&mut self, port: PortId, length: usize) {
        self.rx += 1;
        if let Some(port) = self.ports.get_mut(port.index()) {
            port.rx_packets += 1;
            port.rx_bytes += length as u64;
        }
    }

    #[inline]
    pub(crate) fn sent(&mut self, port: PortId, length: usize) {
        if let Some(port) = self.ports.get_mut(port.index()) {
            port.tx_packets += 1;
            port.tx_bytes += length as u64;
        }
    }
}
