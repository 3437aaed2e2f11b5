//! The walk of one frame as data: what `--json` prints, and what the text is made of.
//!
//! Keys and names are an interface: they are added to, never changed. Addresses are text; lengths and MTUs are bytes.

use super::headers::{Header, Ipv4Fields};
use packetwalk_walk::wire::MacAddr;
use serde::{Serialize, Serializer};
use std::net::{IpAddr, Ipv4Addr};

/// The walk of one frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Walk {
    /// Its number among the frames received, from 1.
    pub frame: u64,
    /// When it was received, nanoseconds since 1970.
    pub time: u64,
    /// What happened to it, in order.
    pub stages: Vec<Stage>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// `forwarded`, `answered`, `punted` or `dropped`.
    pub result: &'static str,
    /// The port that it left by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The reason's name, as it is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What the reason means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<&'static str>,
    /// What in this case is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// One stage of a walk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// A frame came in.
    Received {
        /// By this port.
        port: String,
        /// `workload` or `uplink`.
        role: &'static str,
        /// Bytes.
        length: usize,
        /// What is in it.
        headers: Vec<Header>,
    },
    /// Whose frame it is.
    Ethernet {
        /// `us`, `broadcast`, `multicast` or `other`.
        addressed: &'static str,
        /// The port's own MAC address, or its bridge's.
        #[serde(serialize_with = "mac")]
        own: MacAddr,
        /// The bridge that the port is a member of.
        #[serde(skip_serializing_if = "Option::is_none")]
        bridge: Option<String>,
    },
    /// It is switched between two members of a bridge.
    Switched {
        /// The bridge.
        bridge: String,
        /// The member behind which the destination is.
        port: String,
    },
    /// An ARP packet was judged.
    Arp {
        /// `own`, `fake_gateway`, `proxy`, `reply_to_us`, `not_ours` or `malformed`.
        verdict: &'static str,
        /// In words.
        why: String,
    },
    /// An IPv4 header passed its checks.
    Ipv4 {
        /// Whether it is the packet inside a tunnel.
        inner: bool,
        /// The link that it came in by.
        iif: String,
        /// Its header.
        header: Ipv4Fields,
    },
    /// An outer header was taken off.
    Exit(Exit),
    /// The policy rules, up to the one that decided.
    Rules {
        /// What they were asked.
        key: Key,
        /// In the order in which they were tried.
        rules: Vec<Rule>,
    },
    /// A table's longest match.
    Route {
        /// The table.
        table: String,
        /// The route that won.
        #[serde(flatten)]
        route: Candidate,
        /// The next that hold the destination, at most two.
        lost: Vec<Candidate>,
    },
    /// One of several next hops was chosen.
    Ecmp {
        /// Hash of the flow, hexadecimal.
        flow: String,
        /// The bucket that it falls into.
        bucket: usize,
        /// How many there are.
        buckets: usize,
        /// The members.
        members: Vec<Member>,
    },
    /// A directly connected destination was looked up among the neighbours.
    Neighbour {
        /// The link.
        link: String,
        /// The destination.
        address: Ipv4Addr,
        /// Whether there is an entry for it.
        found: bool,
    },
    /// The entries that lead from the route to a port.
    NextHop(Box<NextHop>),
    /// The TTL was looked at.
    Ttl {
        /// As it arrived.
        before: u8,
        /// As it goes on; none where it ends here.
        after: Option<u8>,
    },
    /// The length was compared with the MTU.
    Mtu {
        /// IP packet, bytes.
        length: usize,
        /// The largest that may pass, bytes.
        mtu: u32,
        /// What the MTU is the least of.
        terms: Vec<Term>,
        /// Whether the packet may not be fragmented.
        dont_fragment: bool,
        /// Whether it fits.
        fits: bool,
    },
    /// The packet was cut.
    Fragments {
        /// Into how many.
        count: usize,
    },
    /// What the walk changed of the packet's own header.
    Header {
        /// As it arrived.
        before: Ipv4Fields,
        /// As it was sent.
        after: Ipv4Fields,
        /// The fields that differ.
        changed: Vec<&'static str>,
    },
    /// The headers that were put on.
    Entry {
        /// `ipip` or `vxlan`.
        kind: &'static str,
        /// The tunnel.
        link: String,
        /// Outermost first.
        headers: Vec<Header>,
    },
    /// An ICMP error is due.
    Icmp {
        /// Type (RFC 792).
        kind: u8,
        /// Code.
        code: u8,
        /// In words.
        name: &'static str,
        /// Next hop's MTU of a 3/4.
        #[serde(skip_serializing_if = "Option::is_none")]
        mtu: Option<u16>,
        /// Its source, where it was sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<Ipv4Addr>,
        /// Its destination, where it was sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        destination: Option<Ipv4Addr>,
        /// Why it was not sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        suppressed: Option<&'static str>,
    },
    /// A frame leaves.
    Sent {
        /// `frame`, `fragment`, `icmp_error`, `arp_reply` or `arp_request`.
        what: &'static str,
        /// By this port.
        port: String,
        /// Bytes.
        length: usize,
        /// What is in it.
        headers: Vec<Header>,
    },
}

/// An outer header was taken off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// `ipip` or `vxlan`.
    pub kind: &'static str,
    /// The tunnel.
    pub link: String,
    /// Who sent it.
    pub peer: Ipv4Addr,
    /// VXLAN: the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vni: Option<u32>,
    /// ECN field outside.
    pub outer_ecn: &'static str,
    /// ECN field inside.
    pub inner_ecn: &'static str,
    /// ECN field that the packet goes on with; none where it may not.
    pub ecn: Option<&'static str>,
    /// Whether RFC 6040 calls the combination dangerous.
    pub anomaly: bool,
}

/// What the rules are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// IP source.
    pub from: Ipv4Addr,
    /// IP destination.
    pub to: Ipv4Addr,
    /// The link that it came in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iif: Option<String>,
    /// TOS byte.
    pub tos: u8,
    /// IP protocol.
    pub protocol: u8,
}

/// A policy rule that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its priority.
    pub priority: u32,
    /// As `ip rule` prints it.
    pub rule: String,
    /// `not_selected`, `no_route` or `decides`.
    pub result: &'static str,
}

/// A route that holds the destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its prefix.
    pub prefix: String,
    /// As `ip route` prints it.
    pub route: String,
    /// Why it lost: `shorter_prefix`, `higher_metric`, or `later` where only its place in the table is against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<&'static str>,
}

/// A member of a group of next hops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its next hop in words.
    pub next_hop: String,
    /// Its weight.
    pub weight: u16,
    /// How many buckets are its own.
    pub buckets: usize,
    /// Whether it got the flow.
    pub chosen: bool,
}

/// The entries that lead from the route to a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextHop {
    /// The next hop that the route names; none: the destination itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The link that the route names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The neighbour entry on that link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbour: Option<Neighbour>,
    /// The member of a bridge behind which the neighbour is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The forwarding entry of a VXLAN link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fdb: Option<Vtep>,
    /// What carries a tunnel's packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub underlay: Option<Underlay>,
    /// What is missing, where the way does not lead to a port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// A neighbour entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Neighbour {
    /// Its address.
    pub address: IpAddr,
    /// The link that it is on.
    pub link: String,
    /// Its MAC address.
    #[serde(serialize_with = "mac")]
    pub lladdr: MacAddr,
}

/// A forwarding entry of a VXLAN link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vtep {
    /// The station.
    #[serde(serialize_with = "mac")]
    pub mac: MacAddr,
    /// The VXLAN link.
    pub link: String,
    /// The VTEP behind which it is.
    pub dst: Ipv4Addr,
}

/// What carries a tunnel's packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Underlay {
    /// Outer source.
    pub source: Ipv4Addr,
    /// Outer destination.
    pub peer: Ipv4Addr,
    /// The priority of the rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    /// The table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The prefix that holds the peer; none: the tunnel is bound to the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The next hop; none: the peer itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The link that outer packets leave by.
    pub link: String,
    /// The neighbour entry.
    pub neighbour: Neighbour,
    /// The member of a bridge behind which the neighbour is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// One of the numbers whose least is an MTU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Term {
    /// How it comes about, such as `1500 (ens3) - 20 (IPIP) = 1480`.
    pub text: String,
    /// Bytes.
    pub bytes: u32,
}

/// A MAC address as text.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn mac<S: Serializer>(mac: &MacAddr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(mac)
}
