//! What a worker reads: built by control, never changed while a worker reads it.
//!
//! Everything that can be worked out once is worked out by control: the walk finds an [`Adjacency`] and copies its
//! rewrite bytes. IPv4 has a part of its own, so that IPv6 comes beside it.

mod adjacency;
mod bridge;
mod flat;
mod group;
mod rule;
mod tunnel;
mod verify;

pub use adjacency::{
    Action, Adjacency, AdjacencyId, Encapsulation, IpipEntry, MAX_REWRITE, Rewrite, UdpChecksum, VxlanEntry,
};
pub use bridge::{Bridge, BridgeId, Membership};
pub use flat::{FlatMap, FlatSet};
pub use group::{BUCKETS, Group, HopId};
pub use rule::{FibId, RouteKey, RuleAction, RuleStep, Selector};
pub use tunnel::{Tunnel, TunnelId, TunnelKind, Tunnels, Vni};
pub use verify::Inconsistent;

use crate::wire::MacAddr;
use core::net::Ipv4Addr;
use packetwalk_fib::Fib4;
use std::sync::Arc;

/// A port: an Ethernet link that frames are taken from and sent by. Index into [`Tables::ports`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u16);

/// A link of the node: port, bridge, tunnel or any other. Index into [`Tables::links`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u16);

impl PortId {
    /// As an index.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl LinkId {
    /// As an index.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The key of `address` on this link, for the tables that hold both.
    #[inline]
    pub fn key(self, address: Ipv4Addr) -> u64 {
        u64::from(self.0) << 32 | u64::from(u32::from(address))
    }
}

/// On which side of the node a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A pod or another guest is behind it: it gets the fake gateway and may not send tunnel packets.
    Workload,
    /// The network is behind it.
    Uplink,
}

/// A port.
#[derive(Clone, Debug)]
pub struct Port {
    /// The link that it is.
    pub link: LinkId,
    /// Its MAC address: source of what it sends, and the only unicast destination that it routes.
    pub mac: MacAddr,
    /// Which side.
    pub role: Role,
    /// Whether it is administratively up.
    pub up: bool,
    /// Largest IP packet, bytes.
    pub mtu: u32,
    /// The bridge that it is a member of.
    pub bridge: Option<Membership>,
    /// VLANs that another link of the node carries on it: their frames are the kernel's.
    pub vlans: Box<[u16]>,
}

/// What routing asks of a link.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// Whether packets that come in by it may be forwarded.
    pub forwarding: bool,
    /// Whether it answers ARP for what lies behind other links.
    pub proxy_arp: bool,
}

/// IPv4 forwarding state.
#[derive(Clone, Debug, Default)]
pub struct Ipv4Tables {
    /// The node's own addresses (host byte order as u64 keys).
    pub own: FlatSet,
    /// Policy rules in order of priority.
    pub rules: Box<[RuleStep]>,
    /// The tables that the rules name.
    pub fibs: Box<[Arc<Fib4>]>,
    /// [`LinkId::key`] of a neighbour -> [`AdjacencyId`].
    pub neighbours: FlatMap,
    /// Source of an ICMP error where neither the route back nor its link has an address.
    pub node_address: Option<Ipv4Addr>,
    /// The link that packets of the node's own come in by (`lo`), for rules that name it.
    pub loopback: Option<LinkId>,
}

/// Everything that the walk reads.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Counts publications.
    pub generation: u64,
    /// By [`LinkId`].
    pub links: Box<[Link]>,
    /// By [`PortId`].
    pub ports: Box<[Port]>,
    /// By [`BridgeId`].
    pub bridges: Box<[Bridge]>,
    /// By [`AdjacencyId`]. The first says what happens where no route is found.
    pub adjacencies: Box<[Adjacency]>,
    /// By group number of a [`HopId`].
    pub groups: Box<[Group]>,
    /// Whether a kernel stands behind the ports, that resolves the next hops which are not known here.
    pub kernel_behind: bool,
    /// Where tunnels end.
    pub tunnels: Tunnels,
    /// IPv4.
    pub ipv4: Ipv4Tables,
}

impl Tables {
    /// Whether `address` is one of the node's own.
    #[inline]
    pub fn is_own(&self, address: u32) -> bool {
        self.ipv4.own.contains(u64::from(address))
    }
}
