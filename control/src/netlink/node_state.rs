//! The store as the state of a node: links by name, everything as iproute2 prints it.

use super::family::Family;
use super::netconf;
use super::nexthop::Nexthop;
use super::route::{Hop, Route};
use super::routes::Routes;
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
        NodeState { route: self.all_route_entries().collect(), ..self.node_state_without_routes() }
    }

    /// Everything but the routes: what a node with a million of them can afford to look at as a whole.
    pub fn node_state_without_routes(&self) -> NodeState {
        let [rules4, rules6] = &self.rules;
        NodeState {
            addr: self.links.keys().filter_map(|index| self.link_entry(*index)).collect(),
            route: Vec::new(),
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

    /// The routes of a prefix, in the order in which the kernel prefers them: of those for one TOS before those for all, and
    /// the least metric first.
    pub fn route_entries(&self, table: TableId, destination: IpNet) -> Vec<RouteEntry> {
        let routes = self.routes_of(table, destination).iter();
        routes.map(|route| self.route_entry(table, destination, route)).collect()
    }

    /// All routes of both families, made one after the other; those of a prefix as [`Self::route_entries`] has them.
    pub fn all_route_entries(&self) -> impl Iterator<Item = RouteEntry> {
        let prefixes = self.routes.iter().flat_map(Routes::iter);
        prefixes.flat_map(move |((table, destination), routes)| {
            routes.iter().map(move |route| self.route_entry(table, destination, route))
        })
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
    fn route_entry(&self, table: TableId, prefix: IpNet, route: &Route) -> RouteEntry {
        let is_ipv6 = Family::of(prefix) == Family::Ipv6;
        let mut entry = RouteEntry {
            kind: Some(route.kind),
            dst: Some(destination(prefix)),
            from: route.from.map(|prefix| Destination::Prefix(prefix.into())),
            table: Some(table),
            // IPv6 routes always have one, if only 0.
            metric: Some(route.metric).filter(|metric| is_ipv6 || *metric != 0),
            tos: (route.tos != 0).then_some(Tos::Byte(route.tos)),
            protocol: Some(Protocol::of_kernel(route.protocol)),
            scope: Some(Scope(route.scope)),
            prefsrc: route.prefsrc,
            nhid: route.nhid,
            flags: route.flags,
            metrics: route.metrics,
            pref: route.pref,
            ..RouteEntry::default()
        };
        if route.is_multipath {
            entry.nexthops = route.hops.iter().map(|hop| self.hop_entry(is_ipv6, hop)).collect();
        } else if let Some(hop) = route.hops.first() {
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
