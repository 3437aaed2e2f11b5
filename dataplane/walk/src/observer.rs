//! Watching a walk: what `explain`, traces and tests learn of it.
//!
//! An observer is a type parameter of the walk. [`Unobserved`] is the one of production: its events are never built, and
//! without the feature `observe` the calls are not compiled at all.

use crate::outcome::Outcome;
use crate::tables::{AdjacencyId, HopId, LinkId, PortId, RouteKey, RuleAction, TunnelId};
use crate::wire::MacAddr;
use core::net::Ipv4Addr;

/// Learns what happens to each frame of a batch.
pub trait Observer {
    /// Whether it wants to know. A constant, so that what is not wanted is not compiled.
    const ON: bool = true;

    /// One step of the walk of the frame in place `slot` of its batch. Steps of one frame come in the order of the
    /// walk; those of different frames may alternate.
    fn event(&mut self, slot: usize, event: Event<'_>);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    const ON: bool = false;

    fn event(&mut self, _: usize, _: Event<'_>) {}
}

/// How a frame's Ethernet destination relates to the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressed {
    /// The port's own MAC address, or its bridge's.
    Us,
    /// ff:ff:ff:ff:ff:ff.
    Broadcast,
    /// A group address.
    Multicast,
    /// Somebody else's.
    Other,
}

/// What became of an ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpVerdict {
    /// The target is one of the node's own addresses.
    Own,
    /// The target is the fake gateway 169.254.1.1 and the port is a workload's.
    FakeGateway,
    /// The target lies behind another link, and this one proxies.
    Proxy,
    /// A reply to this node.
    ReplyToUs,
    /// It is none of this node's business.
    NotOurs,
    /// Types, lengths or sender are wrong.
    Malformed,
}

/// Why an ICMP error was not sent though a frame was dropped for which there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppressed {
    /// RFC 1812 4.3.2.7: about an ICMP error, a later fragment, a broadcast or a source that is no unicast address.
    NotDue,
    /// Over the rate limit.
    Rate,
    /// No way back to the sender, or no address to send from.
    NoWayBack,
    /// No spare frame, or no room in the transmit ring.
    NoFrame,
}

/// One step of a frame's walk.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A frame came in.
    Received {
        /// By this port.
        port: PortId,
        /// The frame.
        frame: &'a [u8],
    },
    /// Its Ethernet header was read.
    Ethernet {
        /// Destination.
        destination: MacAddr,
        /// Source.
        source: MacAddr,
        /// EtherType behind a VLAN tag if there is one; below 0x600 an 802.3 length.
        ethertype: u16,
        /// VLAN identifier of a tag (0: a priority tag).
        vlan: Option<u16>,
        /// Whose frame it is.
        addressed: Addressed,
    },
    /// It is switched between two members of a bridge.
    Switched {
        /// The bridge's link.
        bridge: LinkId,
        /// The member that it leaves by.
        port: PortId,
    },
    /// An ARP packet was read.
    Arp {
        /// 1 request, 2 reply, and 0 where it was not read that far.
        operation: u16,
        /// Sender's protocol address.
        sender: Ipv4Addr,
        /// Target's protocol address.
        target: Ipv4Addr,
        /// What becomes of it.
        verdict: ArpVerdict,
    },
    /// An IPv4 header passed its checks.
    Ipv4 {
        /// The packet from its IP header, cut to its total length. Inside a tunnel, the inner packet.
        packet: &'a [u8],
        /// Whether it is the packet inside a tunnel.
        inner: bool,
        /// The link that it came in by: the port's, the bridge's or the tunnel's.
        iif: LinkId,
    },
    /// A rule was tried.
    Rule {
        /// Place among the steps of the tables' rules.
        step: usize,
        /// Its priority.
        priority: u32,
        /// Whether it is for this packet.
        selected: bool,
        /// What it says.
        action: RuleAction,
        /// What a lookup found.
        hop: HopId,
    },
    /// The rules ended with this.
    Routed {
        /// What was looked up.
        key: RouteKey,
        /// What was found.
        hop: HopId,
    },
    /// A group shared its flows.
    Group {
        /// The group.
        hop: HopId,
        /// The flow's hash.
        flow: u64,
        /// The bucket that it falls into.
        bucket: usize,
        /// The member that it got.
        adjacency: AdjacencyId,
    },
    /// A directly connected destination was looked up among the neighbours.
    Neighbour {
        /// The link.
        link: LinkId,
        /// The destination.
        address: Ipv4Addr,
        /// What was found.
        adjacency: Option<AdjacencyId>,
    },
    /// An outer header was taken off.
    Exit {
        /// By this tunnel.
        tunnel: TunnelId,
        /// The peer that sent it.
        peer: Ipv4Addr,
        /// VXLAN: the network.
        vni: Option<u32>,
        /// Outer TOS byte.
        outer_tos: u8,
        /// Inner TOS byte as it arrived.
        inner_tos: u8,
        /// Inner TOS byte as it goes on.
        tos: u8,
        /// RFC 6040 calls the combination dangerous.
        anomaly: bool,
    },
    /// TTL and MTU were compared with the adjacency.
    Forward {
        /// The adjacency.
        adjacency: AdjacencyId,
        /// TTL as it arrived.
        ttl: u8,
        /// IP packet length, bytes.
        length: usize,
        /// The largest that may pass, bytes.
        mtu: u32,
        /// Whether it may not be fragmented.
        dont_fragment: bool,
    },
    /// The packet was cut into this many fragments.
    Fragmented {
        /// How many, the first included.
        count: usize,
    },
    /// An ICMP error is sent to the sender.
    IcmpError {
        /// Type (RFC 792).
        kind: u8,
        /// Code.
        code: u8,
        /// Next hop's MTU of a 3/4, else 0.
        mtu: u16,
        /// Its source.
        source: Ipv4Addr,
        /// Its destination.
        destination: Ipv4Addr,
    },
    /// An ICMP error is not sent.
    IcmpSuppressed {
        /// Type (RFC 792).
        kind: u8,
        /// Code.
        code: u8,
        /// Why.
        why: Suppressed,
    },
    /// A frame leaves: the frame itself, a fragment, an ARP reply or an ICMP error.
    Sent {
        /// By this port.
        port: PortId,
        /// The frame as sent.
        frame: &'a [u8],
    },
    /// The walk of this frame ended.
    Ended(Outcome),
}

/// Whether calls to observers are compiled in.
pub(crate) const COMPILED: bool = cfg!(feature = "observe");

/// Tells `$observer` of an event, if anybody watches: builds it only then.
macro_rules! observe {
    ($observer:expr, $slot:expr, $event:expr) => {
        if crate::observer::COMPILED && O::ON {
            $observer.event($slot, $event);
        }
    };
}
pub(crate) use observe;
