//! What happens to a packet whose next hop is known: prepared by control, copied by the walk.

use super::{LinkId, PortId};
use crate::outcome::{DropReason, PuntReason};
use arrayvec::ArrayVec;
use core::net::Ipv4Addr;

/// Index into [`super::Tables::adjacencies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdjacencyId(pub u32);

impl AdjacencyId {
    /// What a lookup that finds nothing means.
    pub const NO_ROUTE: Self = Self(0);

    /// As an index.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Room for the longest rewrite: Ethernet 14, IPv6 40, UDP 8, VXLAN 8, Ethernet 14.
pub const MAX_REWRITE: usize = 84;

/// Header bytes that are put before an IP packet.
pub type Rewrite = ArrayVec<u8, MAX_REWRITE>;

/// A next hop, ready to be used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adjacency {
    /// What to do.
    pub action: Action,
    /// The link that the packet leaves by as routing sees it: a tunnel's own link for a tunnel.
    pub link: LinkId,
    /// The largest IP packet that may use it, bytes: of the link, of the route where it says less, and for a tunnel
    /// what the underlay leaves.
    pub mtu: u32,
    /// The source of what the node itself sends this way: the route's preferred source, else an address of the link.
    pub source: Option<Ipv4Addr>,
}

/// What an [`Adjacency`] does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Put `rewrite` before the packet and send it by `port`.
    Send {
        /// An Ethernet header; for a tunnel the outer headers too, complete but for lengths, ids and checksums.
        rewrite: Rewrite,
        /// The port that the frame leaves by.
        port: PortId,
        /// What else a tunnel wants.
        encapsulation: Encapsulation,
    },
    /// The next hop is the destination itself: look it up among the neighbours of the link.
    Connected,
    /// For this node: its own address, or a broadcast address that it listens to.
    Local,
    /// The route says no. Checked before the TTL.
    Refuse {
        /// The drop's name.
        reason: DropReason,
        /// The code of the ICMP destination unreachable message; None: silently.
        code: Option<u8>,
    },
    /// Only the kernel can. Decided before the TTL.
    Punt(PuntReason),
    /// The next hop cannot be reached now. Comes after TTL and MTU, as on Linux.
    Fail(DropReason),
}

/// What a tunnel does to a packet beyond having its rewrite put before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Encapsulation {
    /// No tunnel: the rewrite is the Ethernet header.
    None,
    /// IP in IP (RFC 2003): the rewrite is Ethernet and IPv4.
    Ipip(IpipEntry),
    /// VXLAN (RFC 7348): the rewrite is Ethernet, IPv4, UDP, VXLAN and the inner Ethernet header.
    Vxlan(VxlanEntry),
}

/// How packets enter an IPIP tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IpipEntry {
    /// The outer destination.
    pub remote: Ipv4Addr,
    /// Whether the outer TTL is the inner one after its decrement; else the rewrite holds it.
    pub inherit_ttl: bool,
    /// DF is set outside even where it is clear inside (`pmtudisc`).
    pub set_df: bool,
}

/// How packets enter a VXLAN tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VxlanEntry {
    /// The outer destination.
    pub remote: Ipv4Addr,
    /// Whether DF is copied from the inner packet (`df inherit`); the rewrite holds what `df set` and `df unset` say.
    pub inherit_df: bool,
    /// Whether the outer TTL is the inner one (`ttl inherit`).
    pub inherit_ttl: bool,
    /// The UDP checksum.
    pub checksum: UdpChecksum,
    /// First UDP source port.
    pub port_low: u16,
    /// How many there are, 1 or more.
    pub port_count: u16,
}

/// The UDP checksum over IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UdpChecksum {
    /// Zero: none (RFC 768, RFC 7348 5).
    Zero,
    /// Computed over the whole datagram.
    Full,
}
