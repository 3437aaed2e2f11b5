//! Routes: `ip -j -d route show table all`.

use super::Tos;
use super::entries::entries;
use super::scalar::{optional, required};
use super::value::{Destination, Mtu, Protocol, RouteKind, Scope, TableId, Weight};
use ipnet::{IpNet, Ipv4Net};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use std::net::IpAddr;

/// A route, of either family.
#[derive(Clone, Debug, Deserialize)]
pub struct RouteEntry {
    /// What it does; absent: unicast.
    #[serde(default, rename = "type", deserialize_with = "optional")]
    pub kind: Option<RouteKind>,
    /// Where it leads to.
    #[serde(default, deserialize_with = "optional")]
    pub dst: Option<Destination>,
    /// The table that it is in; absent: main.
    #[serde(default, deserialize_with = "optional")]
    pub table: Option<TableId>,
    /// The least is preferred; absent: 0.
    #[serde(default, deserialize_with = "optional")]
    pub metric: Option<u32>,
    /// Packets of this TOS only.
    #[serde(default, deserialize_with = "optional")]
    pub tos: Option<Tos>,
    /// Who made it.
    #[serde(default, deserialize_with = "optional")]
    pub protocol: Option<Protocol>,
    /// How far the destination is; absent: global.
    #[serde(default, deserialize_with = "optional")]
    pub scope: Option<Scope>,
    /// The source that the node itself uses this way.
    #[serde(default, deserialize_with = "optional")]
    pub prefsrc: Option<IpAddr>,
    /// The nexthop object that holds its next hops.
    #[serde(default, deserialize_with = "optional")]
    pub nhid: Option<u32>,
    /// Of its next hop, where it has one.
    #[serde(default, deserialize_with = "optional")]
    pub gateway: Option<IpAddr>,
    /// A gateway of the other family.
    #[serde(default)]
    pub via: Option<Via>,
    /// The link of its next hop.
    #[serde(default)]
    pub dev: Option<String>,
    /// Of its next hop.
    #[serde(default)]
    pub flags: HopFlags,
    /// Where it has several next hops.
    #[serde(default, deserialize_with = "entries")]
    pub nexthops: Vec<NextHopEntry>,
    /// A lightweight tunnel (`encap`).
    #[serde(default)]
    pub encap: Option<IgnoredAny>,
    /// iproute2 prints it for IPv6 alone.
    #[serde(default)]
    pub pref: Option<IgnoredAny>,
    /// Measures of the way.
    #[serde(default, deserialize_with = "metrics")]
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
#[derive(Clone, Debug, Deserialize)]
pub struct NextHopEntry {
    /// Absent: the destination itself is on the link.
    #[serde(default, deserialize_with = "optional")]
    pub gateway: Option<IpAddr>,
    /// A gateway of the other family.
    #[serde(default)]
    pub via: Option<Via>,
    /// Its link.
    #[serde(default)]
    pub dev: Option<String>,
    /// Its share.
    #[serde(default, deserialize_with = "optional")]
    pub weight: Option<Weight>,
    /// Its flags.
    #[serde(default)]
    pub flags: HopFlags,
    /// A lightweight tunnel.
    #[serde(default)]
    pub encap: Option<IgnoredAny>,
}

/// A gateway of another family than the route's (RFC 5549).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Via {
    /// Its address.
    #[serde(deserialize_with = "required")]
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

impl<'de> Deserialize<'de> for HopFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let has = |name: &str| names.iter().any(|flag| flag == name);
        Ok(Self { dead: has("dead"), onlink: has("onlink"), linkdown: has("linkdown") })
    }
}

/// What a route says of its way: the MTU is used, the others are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct RouteMetrics {
    /// Largest packet.
    #[serde(default, deserialize_with = "optional")]
    pub mtu: Option<Mtu>,
    /// TCP's largest window, bytes.
    #[serde(default, deserialize_with = "optional")]
    pub window: Option<u32>,
    /// TCP's congestion window, segments.
    #[serde(default, deserialize_with = "optional")]
    pub cwnd: Option<u32>,
    /// TCP's advertised segment size, bytes.
    #[serde(default, deserialize_with = "optional")]
    pub advmss: Option<u32>,
    /// TTL of the node's own packets.
    #[serde(default, deserialize_with = "optional")]
    pub hoplimit: Option<u32>,
    /// TCP's first congestion window, segments.
    #[serde(default, deserialize_with = "optional")]
    pub initcwnd: Option<u32>,
    /// TCP's first receive window, segments.
    #[serde(default, deserialize_with = "optional")]
    pub initrwnd: Option<u32>,
}

impl RouteMetrics {
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
fn metrics<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RouteMetrics, D::Error> {
    Ok(entries(deserializer)?.into_iter().next().unwrap_or_default())
}

/// A nexthop object: `ip -j nexthop`.
#[derive(Clone, Debug, Deserialize)]
pub struct NexthopEntry {
    /// By which routes and groups name it.
    #[serde(deserialize_with = "required")]
    pub id: u32,
    /// Absent: the destination itself is on the link.
    #[serde(default, deserialize_with = "optional")]
    pub gateway: Option<IpAddr>,
    /// A gateway of the other family.
    #[serde(default)]
    pub via: Option<Via>,
    /// Its link.
    #[serde(default)]
    pub dev: Option<String>,
    /// Its flags.
    #[serde(default)]
    pub flags: HopFlags,
    /// The objects that share its flows, if it is a group.
    #[serde(default, deserialize_with = "entries")]
    pub group: Vec<GroupMember>,
    /// Whether it drops everything.
    #[serde(default, deserialize_with = "super::scalar::present")]
    pub blackhole: bool,
    /// A lightweight tunnel.
    #[serde(default)]
    pub encap: Option<IgnoredAny>,
}

/// A member of a group of nexthop objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct GroupMember {
    /// Which object.
    #[serde(deserialize_with = "required")]
    pub id: u32,
    /// Its share.
    #[serde(default, deserialize_with = "optional")]
    pub weight: Option<Weight>,
}
