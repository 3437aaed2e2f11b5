//! What a worker remembers from one batch to the next. All of it is made at start.

use crate::counters::Counters;
use crate::time::TokenBucket;

/// How many ICMP errors a worker may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpRate {
    /// A second, on average.
    pub rate: u32,
    /// At once.
    pub burst: u32,
}

/// What can be set of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// ICMP errors.
    pub icmp: IcmpRate,
    /// Key of the flow hash: chooses among equal next hops, and VXLAN source ports.
    pub flow_key: u64,
    /// The first IP identification that is given out.
    pub first_id: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { icmp: IcmpRate { rate: 1000, burst: 50 }, flow_key: 0x5bd1_e995_9d1b_c6a7, first_id: 1 }
    }
}

/// A worker's state.
#[derive(Debug)]
pub struct Worker {
    /// What it counted.
    pub counters: Counters,
    pub(crate) flow_key: u64,
    pub(crate) icmp: TokenBucket,
    next_id: u16,
}

impl Worker {
    /// A worker of a node with `ports` ports.
    pub fn new(ports: usize, settings: Settings) -> Self {
        Self {
            counters: Counters::new(ports),
            flow_key: settings.flow_key,
            icmp: TokenBucket::new(settings.icmp.rate, settings.icmp.burst),
            next_id: settings.first_id,
        }
    }

    /// An IP identification for a packet that this node originates: one counter a worker.
    #[inline]
    pub(crate) fn identification(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }
}
