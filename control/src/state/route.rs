//! Routes: `ip -j -d route show table all`.

use super::Tos;
use super::entries::entries;
use super::scalar::{Scalar, Written, flag, is_false, optional, required};
use super::value::{Destination, Mtu, Protocol, RouteKind, Scope, TableId, Weight};
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::net::IpAddr;

/// A route, of either family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct RouteEntry {
    /// What it does; absent: unicast.
    #[serde(default, rename = "type", with = "optional", skip_serializing_if = "Option::is_none")]
    pub kind: Option<RouteKind>,
    /// Where it leads to.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub dst: Option<Destination>,
    /// Packets from this prefix only; absent: all. IPv6 alone has it.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub from: Option<Destination>,
    /// The table that it is in; absent: main.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub table: Option<TableId>,
    /// The least is preferred; absent: 0.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// Packets of this TOS only.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub tos: Option<Tos>,
    /// Who made it.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// How far the destination is; absent: global.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The source that the node itself uses this way.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub prefsrc: Option<IpAddr>,
    /// The nexthop object that holds its next hops.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub nhid: Option<u32>,
    /// Of its next hop, where it has one.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// A gateway of the other family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// The link of its next hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    /// Of its next hop.
    #[serde(default)]
    pub flags: HopFlags,
    /// Where it has several next hops.
    #[serde(default, deserialize_with = "entries", skip_serializing_if = "Vec::is_empty")]
    pub nexthops: Vec<NextHopEntry>,
    /// A lightweight tunnel (`encap`).
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub encap: Option<Encap>,
    /// Among routers that announced themselves (RFC 4191); iproute2 prints it for every IPv6 route.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub pref: Option<Preference>,
    /// Measures of the way.
    #[serde(default, with = "metrics", skip_serializing_if = "RouteMetrics::is_empty")]
    pub metrics: RouteMetrics,
}

impl RouteEntry {
    /// Where it leads to, if it is an IPv4 route.
    pub fn ipv4(&self) -> Option<Ipv4Net> {
        match self.dst.unwrap_or_default() {
            Destination::Prefix(IpNet::V4(prefix)) => Some(prefix),
            Destination::Prefix(IpNet::V6(_)) => None,
            Destination::Default => (!self.is_ipv6_default()).then(Ipv4Net::default),
        }
    }

    fn is_ipv6_default(&self) -> bool {
        let gateways = self.gateway.iter().chain(self.nexthops.iter().filter_map(|hop| hop.gateway.as_ref()));
        self.pref.is_some() || gateways.into_iter().any(IpAddr::is_ipv6)
    }
}

/// One of several next hops of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct NextHopEntry {
    /// Absent: the destination itself is on the link.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// A gateway of the other family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// Its link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    /// Its share.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// Its flags.
    #[serde(default)]
    pub flags: HopFlags,
    /// A lightweight tunnel.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub encap: Option<Encap>,
}

/// A gateway of another family than the route's (RFC 5549).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Via {
    /// Its address.
    #[serde(with = "required")]
    pub host: IpAddr,
}

/// The flags of a next hop that matter; others are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HopFlags {
    /// Its link is gone or down.
    pub dead: bool,
    /// The gateway is on the link though no subnet says so.
    pub onlink: bool,
    /// Its link has no carrier.
    pub linkdown: bool,
}

impl HopFlags {
    /// The names of those that are set, in iproute2's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [(self.dead, "dead"), (self.onlink, "onlink"), (self.linkdown, "linkdown")]
            .into_iter()
            .filter_map(|(is_set, name)| is_set.then_some(name))
    }
}

impl Serialize for HopFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for HopFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let has = |name: &str| names.iter().any(|flag| flag == name);
        Ok(Self { dead: has("dead"), onlink: has("onlink"), linkdown: has("linkdown") })
    }
}

/// What a route says of its way: the MTU is used, the others are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub struct RouteMetrics {
    /// Largest packet.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Mtu>,
    /// TCP's largest window, bytes.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// TCP's congestion window, segments.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub cwnd: Option<u32>,
    /// TCP's advertised segment size, bytes.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub advmss: Option<u32>,
    /// TTL of the node's own packets.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub hoplimit: Option<u32>,
    /// TCP's first congestion window, segments.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub initcwnd: Option<u32>,
    /// TCP's first receive window, segments.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub initrwnd: Option<u32>,
}

impl RouteMetrics {
    /// Whether none is set.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Those that are set, in iproute2's order.
    pub fn named(self) -> impl Iterator<Item = (&'static str, u32)> {
        [
            ("mtu", self.mtu.map(Mtu::bytes)),
            ("window", self.window),
            ("cwnd", self.cwnd),
            ("advmss", self.advmss),
            ("hoplimit", self.hoplimit),
            ("initcwnd", self.initcwnd),
            ("initrwnd", self.initrwnd),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// iproute2 prints the metrics as a list of one object.
mod metrics {
    use super::{Deserializer, RouteMetrics, Serialize, Serializer, entries};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RouteMetrics, D::Error> {
        Ok(entries(deserializer)?.into_iter().next().unwrap_or_default())
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    pub(super) fn serialize<S: Serializer>(metrics: &RouteMetrics, serializer: S) -> Result<S::Ok, S::Error> {
        [metrics].serialize(serializer)
    }
}

/// The kind of a lightweight tunnel that a route puts on (`encap`), by iproute2's name: `ip`, `mpls`, `seg6`, ...
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Encap(Cow<'static, str>);

impl Encap {
    /// Of the kernel's number.
    pub(crate) fn of_kernel(number: u16) -> Self {
        let known = usize::from(number).checked_sub(1).and_then(|index| ENCAPS.get(index));
        Self(known.map_or_else(|| Cow::Owned(number.to_string()), |name| Cow::Borrowed(*name)))
    }
}

/// In the order of the kernel's numbers, from 1.
const ENCAPS: [&str; 10] = ["mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm"];

impl Scalar for Encap {
    const EXPECTED: &'static str = "the kind of a lightweight tunnel";

    fn from_text(text: &str) -> Option<Self> {
        let known = ENCAPS.iter().find(|name| **name == text);
        Some(Self(known.map_or_else(|| Cow::Owned(text.to_owned()), |name| Cow::Borrowed(*name))))
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.0.clone().into_owned())
    }
}

/// Which of several routers is preferred (RFC 4191).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // iproute2's words
pub enum Preference {
    Low,
    Medium,
    High,
}

impl Scalar for Preference {
    const EXPECTED: &'static str = "`low`, `medium` or `high`";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            _ => None,
        }
    }

    fn to_scalar(&self) -> Written {
        let name = match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        };
        Written::Text(name.to_owned())
    }
}

/// A nexthop object: `ip -j nexthop`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct NexthopEntry {
    /// By which routes and groups name it.
    #[serde(with = "required")]
    pub id: u32,
    /// Absent: the destination itself is on the link.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// A gateway of the other family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// Its link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    /// Its flags.
    #[serde(default)]
    pub flags: HopFlags,
    /// The objects that share its flows, if it is a group.
    #[serde(default, deserialize_with = "entries", skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<GroupMember>,
    /// Whether it drops everything.
    #[serde(default, with = "flag", skip_serializing_if = "is_false")]
    pub blackhole: bool,
    /// A lightweight tunnel.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub encap: Option<Encap>,
}

/// A member of a group of nexthop objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct GroupMember {
    /// Which object.
    #[serde(with = "required")]
    pub id: u32,
    /// Its share.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
}
