//! A route, its next hops named by links and its nexthop objects looked up.

use crate::finding::Finding;
use crate::links::Links;
use crate::state::{
    HopFlags, NexthopEntry, NodeState, Protocol, RouteEntry, RouteKind, RouteMetrics, Scope, Tos, Via, Weight,
};
use ipnet::Ipv4Net;
use packetwalk_walk::tables::LinkId;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

/// Nexthop objects by number.
pub type Objects = HashMap<u32, NexthopEntry>;

/// The nexthop objects of a state.
pub(crate) fn objects(state: &NodeState) -> Objects {
    state.nexthop.iter().map(|object| (object.id, object.clone())).collect()
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// What it does.
    pub kind: RouteKind,
    /// Its next hops, usable or not.
    pub hops: Vec<NextHop>,
    /// The least is preferred.
    pub metric: u32,
    /// Who made it.
    pub protocol: Protocol,
    /// How far the destination is.
    pub scope: Scope,
    /// The source that the node itself uses this way.
    pub prefsrc: Option<Ipv4Addr>,
    /// The nexthop object that holds its next hops.
    pub nhid: Option<u32>,
    /// Measures of the way.
    pub metrics: RouteMetrics,
}

/// A next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// Its address; None: the destination itself.
    pub gateway: Option<IpAddr>,
    /// Its link.
    pub link: Option<LinkId>,
    /// Its share among its group's.
    pub weight: Weight,
    /// Its flags.
    pub flags: HopFlags,
    /// Whether a lightweight tunnel is put on (`encap`), which is not walked.
    pub encap: bool,
    /// Whether it may be used: it is not dead, and has carrier where its link asks for that.
    pub usable: bool,
}

impl NextHop {
    /// Its link and its gateway, where that is an IPv4 address.
    pub fn ipv4_gateway(&self) -> Option<(LinkId, Ipv4Addr)> {
        match self.gateway {
            Some(IpAddr::V4(gateway)) => Some((self.link?, gateway)),
            _ => None,
        }
    }
}

impl Route {
    /// Its next hops that may be used.
    pub fn usable_hops(&self) -> impl Iterator<Item = &NextHop> {
        self.hops.iter().filter(|hop| hop.usable)
    }

    /// What the kernel makes for an address of its own.
    pub(super) fn own(kind: RouteKind, link: LinkId, source: Ipv4Addr) -> Self {
        let hop = NextHop {
            gateway: None,
            link: Some(link),
            weight: Weight::ONE,
            flags: HopFlags::default(),
            encap: false,
            usable: true,
        };
        Self {
            kind,
            hops: vec![hop],
            metric: 0,
            protocol: Protocol::KERNEL,
            scope: if kind == RouteKind::Local { Scope::HOST } else { Scope::LINK },
            prefsrc: Some(source),
            nhid: None,
            metrics: RouteMetrics::default(),
        }
    }

    /// The routes of these entries of one prefix, without those that no packet can take: they become findings.
    pub(crate) fn read_all<'e>(
        prefix: Ipv4Net,
        entries: impl IntoIterator<Item = &'e RouteEntry>,
        objects: &Objects,
        links: &Links,
        findings: &mut Vec<Finding>,
    ) -> Vec<Self> {
        entries.into_iter().filter_map(|entry| Self::read(prefix, entry, objects, links, findings)).collect()
    }

    /// The route of an entry; None, with a finding, for one that no packet can take.
    fn read(
        prefix: Ipv4Net,
        entry: &RouteEntry,
        objects: &Objects,
        links: &Links,
        findings: &mut Vec<Finding>,
    ) -> Option<Self> {
        let table = entry.table.unwrap_or_default();
        if entry.tos.as_ref().is_some_and(|tos| *tos != Tos::Byte(0)) {
            let text =
                format!("route {prefix} table {table}: routes for one TOS are not walked, it is left out");
            findings.push(Finding::warning(text));
            return None;
        }
        let mut kind = entry.kind.unwrap_or_default();
        if matches!(kind, RouteKind::Nat | RouteKind::Xresolve) {
            let text =
                format!("route {prefix} table {table}: type {} is not walked, it is left out", kind.name());
            findings.push(Finding::warning(text));
            return None;
        }
        let object = entry.nhid.and_then(|id| objects.get(&id));
        // The object is the truth; what the route prints of it is a copy.
        let drafts =
            object.map_or_else(|| Draft::of_route(entry), |object| Draft::of_object(object, objects));
        if object.is_some_and(|object| object.blackhole) {
            kind = RouteKind::Blackhole;
        }
        let hops: Vec<_> = drafts.into_iter().map(|draft| draft.finish(links)).collect();
        let refuses = matches!(
            kind,
            RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw
        );
        if !refuses && !hops.iter().any(|hop| hop.usable) {
            // The kernel looks on at the next route, too: a broadcast address is none on a link without carrier that ignores its routes.
            let text =
                format!("route {prefix} table {table}: none of its next hops is usable, it is left out");
            findings.push(Finding::info(text));
            return None;
        }
        Some(Self {
            kind,
            hops,
            metric: entry.metric.unwrap_or_default(),
            protocol: entry.protocol.clone().unwrap_or_default(),
            scope: entry.scope.unwrap_or_default(),
            prefsrc: match entry.prefsrc {
                Some(IpAddr::V4(address)) => Some(address),
                _ => None,
            },
            nhid: entry.nhid,
            metrics: entry.metrics,
        })
    }
}

/// A next hop as the state has it.
struct Draft<'a> {
    gateway: Option<IpAddr>,
    via: Option<Via>,
    dev: Option<&'a str>,
    weight: Weight,
    flags: HopFlags,
    encap: bool,
}

impl<'a> Draft<'a> {
    fn of_route(entry: &'a RouteEntry) -> Vec<Self> {
        if entry.nexthops.is_empty() {
            return vec![Self {
                gateway: entry.gateway,
                via: entry.via,
                dev: entry.dev.as_deref(),
                weight: Weight::ONE,
                flags: entry.flags,
                encap: entry.encap.is_some(),
            }];
        }
        let hops = entry.nexthops.iter().map(|hop| Self {
            gateway: hop.gateway,
            via: hop.via,
            dev: hop.dev.as_deref(),
            weight: hop.weight.unwrap_or_default(),
            flags: hop.flags,
            encap: hop.encap.is_some() || entry.encap.is_some(),
        });
        hops.collect()
    }

    fn of_object(object: &'a NexthopEntry, objects: &'a Objects) -> Vec<Self> {
        let single = |object: &'a NexthopEntry, weight| Self {
            gateway: object.gateway,
            via: object.via,
            dev: object.dev.as_deref(),
            weight,
            flags: object.flags,
            encap: object.encap.is_some(),
        };
        if object.group.is_empty() {
            return vec![single(object, Weight::ONE)];
        }
        let members = object.group.iter().filter_map(|member| {
            let object = objects.get(&member.id).filter(|object| !object.blackhole)?;
            Some(single(object, member.weight.unwrap_or_default()))
        });
        members.collect()
    }

    fn finish(self, links: &Links) -> NextHop {
        let gateway =
            self.gateway.or(self.via.map(|via| via.host)).filter(|gateway| !gateway.is_unspecified());
        let link = match (self.dev, gateway) {
            (Some(name), _) => links.id(name),
            // As the kernel does when a route is added without a device.
            (None, Some(IpAddr::V4(gateway))) => links.onlink(gateway),
            (None, _) => None,
        };
        let ignores_linkdown = link.is_some_and(|id| links.link(id).ignore_linkdown);
        NextHop {
            gateway,
            link,
            weight: self.weight,
            flags: self.flags,
            encap: self.encap,
            usable: !(self.flags.dead || self.flags.linkdown && ignores_linkdown),
        }
    }
}
