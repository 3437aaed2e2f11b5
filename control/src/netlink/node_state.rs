//! The store as the state of a node: links by name, everything as iproute2 prints it.

use super::family::Family;
use super::netconf;
use super::nexthop::Nexthop;
use super::route::{Hop, RouteBody, RouteKey};
use super::store::Store;
use crate::state::{
    Destination, Encap, GroupMember, LinkEntry, NetconfEntry, NextHopEntry, NexthopEntry, NodeState,
    Protocol, RouteEntry, Scope, TableId, Tos, Via, Weight,
};
use ipnet::IpNet;
use std::net::IpAddr;

impl Store {
    /// Everything, in the types that a state file is parsed into.
    pub fn node_state(&self) -> NodeState {
        let [rules4, rules6] = &self.rules;
        let routes = [Family::Ipv4, Family::Ipv6].into_iter().flat_map(|family| self.routes(family));
        NodeState {
            addr: self.links.keys().filter_map(|index| self.link_entry(*index)).collect(),
            route: routes
                .flat_map(|(key, bodies)| bodies.iter().map(|body| self.route_entry(key, body)))
                .collect(),
            rule: Some(rules4.clone()),
            rule6: Some(rules6.clone()),
            neigh: self
                .neighbours
                .iter()
                .map(|((link, address), neighbour)| neighbour.entry(*address, self.name(*link)))
                .collect(),
            fdb: self.fdb.iter().map(|(key, entry)| entry.entry(key, |link| self.name(link))).collect(),
            nexthop: self.nexthops.iter().map(|(id, nexthop)| self.nexthop_entry(*id, nexthop)).collect(),
            netconf: self.netconf.keys().map(|key| self.netconf_entry(*key)).collect(),
        }
    }

    /// A link's name; what iproute2 says of one that it does not know.
    fn name(&self, index: u32) -> String {
        self.links.get(&index).map_or_else(|| format!("if{index}"), |link| link.entry.ifname.clone())
    }

    fn link_entry(&self, index: u32) -> Option<LinkEntry> {
        let link = self.links.get(&index)?;
        let name = |other: Option<u32>| other.map(|index| self.name(index));
        let mut entry = link.entry.clone();
        entry.link = name(link.below);
        entry.master = name(link.master);
        entry.linkinfo.info_data.link = name(link.underlay);
        entry.addr_info = self.addresses.get(&index).cloned().unwrap_or_default();
        Some(entry)
    }

    /// A route as `ip -j -d route show table all` prints it.
    pub fn route_entry(&self, key: &RouteKey, body: &RouteBody) -> RouteEntry {
        let is_ipv6 = key.family() == Family::Ipv6;
        let mut entry = RouteEntry {
            kind: Some(body.kind),
            dst: Some(destination(key.destination)),
            from: body.from.map(|prefix| Destination::Prefix(prefix.into())),
            table: TableId::new(key.table),
            // IPv6 routes always have one, if only 0.
            metric: Some(key.metric).filter(|metric| is_ipv6 || *metric != 0),
            tos: (key.tos != 0).then_some(Tos::Byte(key.tos)),
            protocol: Some(Protocol::of_kernel(body.protocol)),
            scope: Some(Scope(body.scope)),
            prefsrc: body.prefsrc,
            nhid: body.nhid,
            flags: body.flags,
            metrics: body.metrics,
            pref: body.pref,
            ..RouteEntry::default()
        };
        if body.is_multipath {
            entry.nexthops = body.hops.iter().map(|hop| self.hop_entry(is_ipv6, hop)).collect();
        } else if let Some(hop) = body.hops.first() {
            (entry.gateway, entry.via) = gateway(is_ipv6, hop.gateway);
            entry.dev = hop.link.map(|link| self.name(link));
            entry.encap = hop.encap.map(Encap::of_kernel);
        }
        entry
    }

    fn hop_entry(&self, is_ipv6: bool, hop: &Hop) -> NextHopEntry {
        let (gateway, via) = gateway(is_ipv6, hop.gateway);
        NextHopEntry {
            gateway,
            via,
            dev: hop.link.map(|link| self.name(link)),
            weight: Weight::of_kernel(hop.weight.into()),
            flags: hop.flags,
            encap: hop.encap.map(Encap::of_kernel),
        }
    }

    fn nexthop_entry(&self, id: u32, nexthop: &Nexthop) -> NexthopEntry {
        let group = nexthop.group.iter().map(|(id, weight)| GroupMember {
            id: *id,
            weight: Weight::of_kernel(*weight).filter(|weight| *weight != Weight::ONE),
        });
        NexthopEntry {
            id,
            gateway: nexthop.gateway,
            via: None,
            dev: nexthop.link.map(|link| self.name(link)),
            flags: nexthop.flags,
            group: group.collect(),
            blackhole: nexthop.blackhole,
            encap: nexthop.encap.map(Encap::of_kernel),
        }
    }

    fn netconf_entry(&self, key: (Family, u32)) -> NetconfEntry {
        let switches = self.netconf.get(&key).copied().unwrap_or_default();
        let interface = match key.1 {
            netconf::ALL => "all".to_owned(),
            netconf::DEFAULT => "default".to_owned(),
            link => self.name(link),
        };
        NetconfEntry {
            family: Some(key.0.name().to_owned()),
            interface: Some(interface),
            forwarding: switches.forwarding,
            proxy_neigh: switches.proxy_neigh.unwrap_or_default(),
            ignore_routes_with_linkdown: switches.ignore_routes_with_linkdown.unwrap_or_default(),
        }
    }
}

fn destination(prefix: IpNet) -> Destination {
    if prefix.prefix_len() == 0 { Destination::Default } else { Destination::Prefix(prefix) }
}

/// A gateway of the route's family, or of the other.
fn gateway(is_ipv6: bool, gateway: Option<IpAddr>) -> (Option<IpAddr>, Option<Via>) {
    match gateway {
        Some(host) if host.is_ipv6() != is_ipv6 => (None, Some(Via { host })),
        gateway => (gateway, None),
    }
}
