//! A node, compiled: the tables that the walk reads, and what is needed to say how they came about.

mod devices;
mod steps;

use crate::config::Config;
use crate::finding::Finding;
use crate::links::Links;
use crate::resolve::{Behind, Entries, Resolved, Resolver, Way};
use crate::rib::{Rib, Table};
use crate::state::{NodeState, RouteKind, TableId};
use packetwalk_walk::Tables;
use packetwalk_walk::tables::{AdjacencyId, FibId, FlatMap, HopId, Ipv4Tables, Link, LinkId, PortId};
use std::sync::Arc;

/// What [`Node::build`] makes of a state.
#[derive(Clone, Debug)]
pub struct Node {
    /// What the walk reads.
    pub tables: Tables,
    /// The links, numbered as in the tables.
    pub links: Links,
    /// Names of ports, by [`PortId`].
    pub port_names: Vec<String>,
    /// Names of links, by [`LinkId`].
    pub link_names: Vec<String>,
    /// The rules and routes that the tables were made of.
    pub rib: Rib,
    /// What could not be resolved or is not walked.
    pub findings: Vec<Finding>,
    /// How each adjacency came about, by [`AdjacencyId`].
    ways: Vec<Way>,
    /// Weight and adjacency of each member, by group.
    members: Vec<Vec<(u16, AdjacencyId)>>,
    /// The tables that each [`FibId`] holds, the one that is asked first before the others.
    fib_tables: Vec<Vec<TableId>>,
}

impl Node {
    /// The tables of `state` under `config`. What cannot be resolved becomes a finding and an adjacency that says so;
    /// the rest is kept.
    pub fn build(state: &NodeState, config: &Config, behind: Behind) -> Self {
        let mut findings = Vec::new();
        let links = Links::number(state, config, &mut findings);
        let rib = Rib::build(state, &links, &mut findings);
        let entries = Entries::index(state, &links);

        let mut resolver = Resolver::new(&links, &rib, &entries, config, behind, &mut findings);
        let steps::Steps { rules, fibs, fib_tables } = steps::compile(&rib, &mut resolver);
        let neighbours = resolver.neighbours();
        let Resolved { adjacencies, ways, groups, members } = resolver.finish();

        let bridges = devices::bridges(&links, &entries);
        let tables = Tables {
            links: links
                .iter()
                .map(|link| Link { forwarding: link.forwarding, proxy_arp: link.proxy_arp })
                .collect(),
            ports: devices::ports(&links),
            bridges,
            adjacencies: adjacencies.into(),
            groups: groups.into(),
            tunnels: devices::tunnels(&links, &rib, &entries, config),
            ipv4: Ipv4Tables {
                own: own(&links, &rib).map(u64::from).collect(),
                rules: rules.into(),
                fibs: fibs.iter().map(|writer| Arc::clone(writer.fib())).collect(),
                neighbours: FlatMap::from_entries(neighbours.into_iter().map(|(key, id)| (key, id.0))),
                node_address: links.node_address(),
                loopback: Some(links.loopback()),
            },
            ..Tables::default()
        };
        Self {
            tables,
            port_names: devices::port_names(&links),
            link_names: links.iter().map(|link| link.name.clone()).collect(),
            rib,
            findings,
            ways,
            members,
            fib_tables,
            links,
        }
    }

    /// The port of this name.
    pub fn port(&self, name: &str) -> Option<PortId> {
        self.port_names.iter().position(|port| port == name).map(|index| PortId(index as u16))
    }

    /// The link of this name.
    pub fn link(&self, name: &str) -> Option<LinkId> {
        self.links.id(name)
    }

    /// How an adjacency came about.
    pub fn way(&self, adjacency: AdjacencyId) -> Option<&Way> {
        self.ways.get(adjacency.index())
    }

    /// Weight and adjacency of each member of a group; none for a hop that is no group.
    pub fn members(&self, hop: HopId) -> &[(u16, AdjacencyId)] {
        hop.resolve().err().and_then(|number| self.members.get(number)).map_or(&[], Vec::as_slice)
    }

    /// The tables that a FIB holds, the one that is asked first before the others.
    pub fn fib_tables(&self, fib: FibId) -> &[TableId] {
        self.fib_tables.get(usize::from(fib.0)).map_or(&[], Vec::as_slice)
    }
}

/// The node's own addresses: those of its links, and the hosts that table local adds to them.
fn own(links: &Links, rib: &Rib) -> impl Iterator<Item = u32> {
    let addresses = links.iter().flat_map(|link| &link.addresses).map(|address| u32::from(address.local));
    let hosts = rib.table(TableId::LOCAL).into_iter().flat_map(Table::iter);
    let hosts = hosts.filter(|(prefix, route)| prefix.prefix_len() == 32 && route.kind == RouteKind::Local);
    addresses.chain(hosts.map(|(prefix, _)| u32::from(prefix.addr())))
}

#[cfg(test)]
mod tests;
