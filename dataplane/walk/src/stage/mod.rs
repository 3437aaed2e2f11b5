//! The stages of the walk, a file each, in the order in which a frame passes them.
//!
//! Those that a forwarded packet passes are `inline(always)`. Behind a call, the packet and the frame would be handed over in
//! memory, written field by field and read back whole, for which the processor has to wait; and whether the compiler makes
//! a call changes with what else is in the binary.

pub(crate) mod arp;
pub(crate) mod bridge;
pub(crate) mod entry;
pub(crate) mod ethernet;
pub(crate) mod exit;
pub(crate) mod forward;
pub(crate) mod fragment;
pub(crate) mod icmp;
pub(crate) mod ipv4;
pub(crate) mod route;
pub(crate) mod send;

use crate::outcome::{DropReason, PuntReason};
use crate::tables::{AdjacencyId, HopId, LinkId, PortId, RouteKey, TunnelId};
use crate::wire::MacAddr;
use crate::wire::ipv4::Ipv4;

/// What the stages have found out about a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    /// What shall become of it.
    pub(crate) verdict: Verdict,
    /// The link that it came in by as routing sees it: of the port, the bridge or the tunnel.
    pub(crate) iif: LinkId,
    /// Where in the frame the packet begins that is walked: behind the Ethernet header, or behind the tunnel's.
    pub(crate) offset: u16,
    /// The TOS byte that it goes on with: its own, but for ECN after a tunnel.
    pub(crate) tos: u8,
    /// IP protocol.
    pub(crate) protocol: u8,
    /// It came in a broadcast or multicast Ethernet frame.
    pub(crate) group_frame: bool,
    /// The tunnel that it came out of.
    pub(crate) tunnel: Option<TunnelId>,
    /// IP source, host byte order.
    pub(crate) source: u32,
    /// IP destination, host byte order.
    pub(crate) destination: u32,
    /// Where the rules and tables lead.
    pub(crate) hop: HopId,
    /// The next hop chosen.
    pub(crate) adjacency: AdjacencyId,
    /// The adjacency of the route, where the next hop is a neighbour of a connected subnet; else the same.
    pub(crate) via: AdjacencyId,
}

/// What shall become of a frame: first which stage it is for, at last how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// An ARP packet, not yet judged.
    Arp,
    /// An IPv4 packet, still walked.
    Ipv4,
    /// Send the ARP reply, from this MAC address.
    Answer(MacAddr),
    /// Switch it to another member of its bridge.
    Switch(PortId),
    /// Send it by its adjacency.
    Forward,
    /// Cut it, and send the fragments by its adjacency.
    Fragment,
    /// Drop it and tell the sender: ICMP type, code, and the MTU of a 3/4.
    Refuse(DropReason, u8, u8, u16),
    /// Drop it.
    Drop(DropReason),
    /// Hand it to the kernel.
    Punt(PuntReason),
}

impl From<DropReason> for Verdict {
    #[inline]
    fn from(reason: DropReason) -> Self {
        Self::Drop(reason)
    }
}

impl From<PuntReason> for Verdict {
    #[inline]
    fn from(reason: PuntReason) -> Self {
        Self::Punt(reason)
    }
}

impl Packet {
    /// A frame of which nothing is known but its verdict and the link that it came in by.
    #[inline]
    pub(crate) fn new(verdict: Verdict, iif: LinkId, offset: usize, group_frame: bool) -> Self {
        Self {
            verdict,
            iif,
            offset: offset as u16,
            tos: 0,
            protocol: 0,
            group_frame,
            tunnel: None,
            source: 0,
            destination: 0,
            hop: HopId::NONE,
            adjacency: AdjacencyId::NO_ROUTE,
            via: AdjacencyId::NO_ROUTE,
        }
    }

    /// Whether it is IPv4 and still walked.
    #[inline]
    pub(crate) fn is_walked(&self) -> bool {
        self.verdict == Verdict::Ipv4
    }

    /// The IPv4 packet in its frame. Only once it passed [`ipv4::check`].
    #[inline]
    pub(crate) fn ip<'a>(&self, frame: &'a [u8]) -> Ipv4<'a> {
        Ipv4::parsed(&frame[usize::from(self.offset)..])
    }

    /// What the policy rules look at.
    #[inline]
    pub(crate) fn key(&self) -> RouteKey {
        RouteKey {
            source: self.source,
            destination: self.destination,
            iif: Some(self.iif),
            tos: self.tos,
            protocol: self.protocol,
        }
    }
}
