//! Routes of both families, from `RTM_NEWROUTE` and `RTM_DELROUTE`.

use super::attribute::{Attribute, Attributes, Malformed, split, word};
use super::family::Family;
use super::message::{Message, NLM_F_APPEND, NLM_F_CREATE, NLM_F_MULTI, NLM_F_REPLACE};
use crate::state::{HopFlags, Mtu, Preference, RouteKind, RouteMetrics, TableId};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::cmp::Reverse;
use std::net::IpAddr;

const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_PREF: u16 = 20;
const RTA_ENCAP_TYPE: u16 = 21;
const RTA_NH_ID: u16 = 30;

/// A copy that the kernel made for one destination, no route.
const RTM_F_CLONED: u32 = 0x200;

/// A route: all but its prefix and table. Most routes of a node say one of a few things.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Packets of this TOS only; 0: all.
    pub tos: u8,
    /// The least is preferred.
    pub metric: u32,
    /// What it does.
    pub kind: RouteKind,
    /// Who made it, by the kernel's number.
    pub protocol: u8,
    /// How far the destination is.
    pub scope: u8,
    /// The source that the node itself uses this way.
    pub prefsrc: Option<IpAddr>,
    /// Packets from this prefix only.
    pub from: Option<Ipv6Net>,
    /// The nexthop object that holds its next hops.
    pub nhid: Option<u32>,
    /// Of the route; its only next hop's, where it has one.
    pub flags: HopFlags,
    /// Its next hops: none, or one, or several.
    pub hops: Vec<Hop>,
    /// Whether its next hops came as a list, though it be of one.
    pub is_multipath: bool,
    /// Measures of the way.
    pub metrics: RouteMetrics,
    /// Among routers that announced themselves.
    pub pref: Option<Preference>,
}

/// A next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hop {
    /// None: the destination itself is on the link.
    pub gateway: Option<IpAddr>,
    /// Its link.
    pub link: Option<u32>,
    /// Its share, from 1.
    pub weight: u16,
    /// Its flags.
    pub flags: HopFlags,
    /// The kind of its lightweight tunnel, by the kernel's number.
    pub encap: Option<u16>,
}

/// A route, and how a message about it relates to others of its prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RouteMessage {
    pub(super) table: TableId,
    /// Where it leads to; 0/0 is the default.
    pub(super) destination: IpNet,
    pub(super) route: Route,
    pub(super) placement: Placement,
}

/// Where a new route goes among those of its prefix, TOS and metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// Behind them, whatever they are: a list names each once.
    Listed,
    /// Behind them, as `append` has it.
    Last,
    /// Before them.
    First,
    /// In the place of one of them.
    Replace,
}

impl RouteMessage {
    /// None for what is no route of a family that is followed.
    pub(super) fn decode(message: &Message<'_>) -> Result<Option<Self>, Malformed> {
        let (header, attributes) = split::<12>(message.payload)?;
        let Some(family) = Family::of_kernel(header[0]) else { return Ok(None) };
        let (length, source_length, tos) = (header[1], header[2], header[3]);
        let flags = word(header, 8);
        let Some(kind) = route_kind(header[7]).filter(|_| flags & RTM_F_CLONED == 0) else { return Ok(None) };
        let mut table = u32::from(header[4]);
        let mut route = Route {
            tos,
            metric: 0,
            kind,
            protocol: header[5],
            scope: header[6],
            prefsrc: None,
            from: None,
            nhid: None,
            flags: hop_flags(flags),
            hops: Vec::new(),
            is_multipath: false,
            metrics: RouteMetrics::default(),
            pref: None,
        };
        let mut hop = Hop { gateway: None, link: None, weight: 1, flags: route.flags, encap: None };
        let mut destination = None;
        for attribute in attributes {
            let attribute = attribute?;
            match attribute.kind {
                RTA_DST => destination = Some(attribute),
                RTA_SRC => route.from = source(attribute, source_length)?,
                RTA_PRIORITY => route.metric = attribute.u32()?,
                RTA_TABLE => table = attribute.u32()?,
                RTA_PREFSRC => route.prefsrc = Some(attribute.address()?),
                RTA_METRICS => route.metrics = metrics(attribute.nested())?,
                RTA_NH_ID => route.nhid = Some(attribute.u32()?),
                RTA_PREF => route.pref = Some(preference(attribute.u8()?)),
                RTA_MULTIPATH => {
                    route.hops = multipath(attribute.value)?;
                    route.is_multipath = true;
                }
                _ => hop.read(attribute)?,
            }
        }
        let destination = match destination {
            Some(attribute) => IpNet::new(attribute.address()?, length)
                .map_err(|_| Malformed::Range { kind: RTA_DST, value: length.into() })?
                .trunc(),
            None if length != 0 => return Err(Malformed::Missing(RTA_DST)),
            None => any(family),
        };
        let table = TableId::new(table).ok_or(Malformed::Range { kind: RTA_TABLE, value: table })?;
        if !route.is_multipath && (hop.link.is_some() || hop.gateway.is_some() || hop.encap.is_some()) {
            route.hops.push(hop);
        }
        let placement = match message.flags {
            flags if flags & NLM_F_MULTI != 0 => Placement::Listed,
            flags if flags & NLM_F_REPLACE != 0 => Placement::Replace,
            flags if flags & NLM_F_APPEND == 0 && flags & NLM_F_CREATE != 0 && family == Family::Ipv4 => {
                Placement::First
            }
            _ => Placement::Last,
        };
        Ok(Some(Self { table, destination, route, placement }))
    }
}

impl RouteMessage {
    /// The prefix, in its table.
    pub(super) fn prefix(&self) -> (TableId, IpNet) {
        (self.table, self.destination)
    }

    /// That of the destination.
    pub(super) fn family(&self) -> Family {
        Family::of(self.destination)
    }
}

impl Route {
    /// The place among the routes of a prefix: those for one TOS before those for all, and the least metric first.
    pub(super) fn rank(&self) -> (Reverse<u8>, u32) {
        (Reverse(self.tos), self.metric)
    }

    /// Whether it is the same route, whatever the state of its links.
    pub(super) fn is_same_route(&self, other: &Self) -> bool {
        self.rank() == other.rank()
            && self.kind == other.kind
            && self.protocol == other.protocol
            && self.scope == other.scope
            && self.prefsrc == other.prefsrc
            && self.from == other.from
            && self.nhid == other.nhid
            && self.metrics == other.metrics
            && self.flags.onlink == other.flags.onlink
            && self.hops.len() == other.hops.len()
            && self
                .hops
                .iter()
                .zip(&other.hops)
                .all(|(one, other)| one.is_same_hop(other) && one.weight == other.weight)
    }

    /// Whether it has a next hop by this link.
    pub(super) fn leads_by(&self, link: u32) -> bool {
        self.hops.iter().any(|hop| hop.link == Some(link))
    }

    /// Whether all its next hops are by this link.
    pub(super) fn leads_only_by(&self, link: u32) -> bool {
        self.leads_by(link) && self.hops.iter().all(|hop| hop.link == Some(link))
    }

    /// Whether all next hops of `other` are among these, so that this is `other` with next hops added.
    pub(super) fn extends(&self, other: &Self) -> bool {
        self.rank() == other.rank()
            && self.kind == other.kind
            && self.from == other.from
            && self.nhid == other.nhid
            && !other.hops.is_empty()
            && other.hops.iter().all(|hop| self.hops.iter().any(|own| own.is_same_hop(hop)))
    }
}

impl Hop {
    /// Whether it leads the same way, whatever the state of its link and its share.
    pub(super) fn is_same_hop(&self, other: &Self) -> bool {
        self.gateway == other.gateway && self.link == other.link && self.encap == other.encap
    }

    fn read(&mut self, attribute: Attribute<'_>) -> Result<(), Malformed> {
        match attribute.kind {
            RTA_OIF => self.link = Some(attribute.u32()?),
            RTA_GATEWAY => self.gateway = Some(attribute.address()?),
            RTA_VIA => self.gateway = Some(via(attribute)?),
            RTA_ENCAP_TYPE => self.encap = Some(attribute.u16()?).filter(|kind| *kind != 0),
            _ => {}
        }
        Ok(())
    }
}

/// A gateway of the other family: its family, and its address.
fn via(attribute: Attribute<'_>) -> Result<IpAddr, Malformed> {
    let address = Attribute { value: attribute.value.get(2..).unwrap_or_default(), ..attribute };
    address.address()
}

fn any(family: Family) -> IpNet {
    match family {
        Family::Ipv4 => Ipv4Net::default().into(),
        Family::Ipv6 => Ipv6Net::default().into(),
    }
}

fn source(attribute: Attribute<'_>, length: u8) -> Result<Option<Ipv6Net>, Malformed> {
    let malformed = Malformed::Range { kind: attribute.kind, value: length.into() };
    match attribute.address()? {
        IpAddr::V6(address) if length > 0 => {
            Ipv6Net::new(address, length).map(|prefix| Some(prefix.trunc())).map_err(|_| malformed)
        }
        _ => Ok(None),
    }
}

/// `struct rtnexthop` with its attributes, one after the other.
fn multipath(mut bytes: &[u8]) -> Result<Vec<Hop>, Malformed> {
    const HEADER: usize = 8;
    let mut hops = Vec::new();
    while !bytes.is_empty() {
        let available = bytes.len();
        let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(Malformed::Length { length: HEADER, available });
        };
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let Some(attributes) = bytes.get(HEADER..length) else {
            return Err(Malformed::Length { length, available });
        };
        let mut hop = Hop {
            gateway: None,
            link: Some(word(header, 4)).filter(|link| *link != 0),
            // One less than the weight.
            weight: u16::from(header[3]) + 1,
            flags: hop_flags(header[2].into()),
            encap: None,
        };
        for attribute in Attributes::new(attributes) {
            hop.read(attribute?)?;
        }
        hops.push(hop);
        bytes = bytes.get(super::attribute::aligned(length)..).unwrap_or_default();
    }
    Ok(hops)
}

/// `RTAX_*`.
fn metrics(attributes: Attributes<'_>) -> Result<RouteMetrics, Malformed> {
    let mut metrics = RouteMetrics::default();
    for attribute in attributes {
        let attribute = attribute?;
        let place = match attribute.kind {
            2 => {
                metrics.mtu = Mtu::new(attribute.u32()?);
                continue;
            }
            3 => &mut metrics.window,
            7 => &mut metrics.cwnd,
            8 => &mut metrics.advmss,
            10 => &mut metrics.hoplimit,
            11 => &mut metrics.initcwnd,
            14 => &mut metrics.initrwnd,
            _ => continue,
        };
        *place = Some(attribute.u32()?);
    }
    // "As the link has it", which iproute2 prints as 0.
    metrics.hoplimit = metrics.hoplimit.map(|limit| if limit == u32::MAX { 0 } else { limit });
    Ok(metrics)
}

/// `RTNH_F_*`.
pub(super) fn hop_flags(flags: u32) -> HopFlags {
    HopFlags { dead: flags & 1 != 0, onlink: flags & 4 != 0, linkdown: flags & 16 != 0 }
}

/// `ICMPV6_ROUTER_PREF_*`.
fn preference(number: u8) -> Preference {
    match number {
        1 => Preference::High,
        3 => Preference::Low,
        _ => Preference::Medium,
    }
}

/// `RTN_*`.
fn route_kind(number: u8) -> Option<RouteKind> {
    const KINDS: [RouteKind; 11] = [
        RouteKind::Unicast,
        RouteKind::Local,
        RouteKind::Broadcast,
        RouteKind::Anycast,
        RouteKind::Multicast,
        RouteKind::Blackhole,
        RouteKind::Unreachable,
        RouteKind::Prohibit,
        RouteKind::Throw,
        RouteKind::Nat,
        RouteKind::Xresolve,
    ];
    KINDS.get(usize::from(number).checked_sub(1)?).copied()
}
