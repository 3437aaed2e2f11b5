//! A node, compiled: the tables that the walk reads, and what is needed to say how they came about.
//!
//! [`Node::build`] does it once, for a replay. A running process keeps its node and tells it what changed:
//!
//! 1. [`Node::set_surroundings`] and [`Node::set_routes`] take the changes;
//! 2. [`Node::prepare`] says which tables have to be published, if any;
//! 3. once they are, and every worker has been quiescent since: [`Node::grace_passed`];
//! 4. [`Node::write`] then has the routes lead where they should, in place.
//!
//! So no worker meets a route that leads to an adjacency which its tables do not have, and no node of a FIB is used again
//! while a worker may be in it. A route that changes costs its own
//! entries and no more, unless something else depends on it.

mod depends;
mod devices;
mod remarks;
mod steps;

use crate::config::Config;
use crate::finding::Finding;
use crate::links::{Links, Numbering};
use crate::resolve::{Behind, Entries, Hops, Resolver, RouteHop, Surroundings, Way};
use crate::rib::{self, Objects, Rib, Route, Table};
use crate::state::{NodeState, RouteEntry, RouteKind, TableId};
use ipnet::Ipv4Net;
use packetwalk_walk::Tables;
use packetwalk_walk::tables::{AdjacencyId, FibId, FlatMap, HopId, Ipv4Tables, Link, LinkId, PortId};
use remarks::Remarks;
use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use steps::Steps;

/// What is not in use any more is only looked for once there may be this much of it, and as much as is in use.
const GARBAGE: usize = 4096;

/// What is made of a state.
#[derive(Debug)]
pub struct Node {
    /// What the walk reads.
    pub tables: Tables,
    /// The links, numbered as in the tables.
    pub links: Links,
    /// Names of ports, by [`PortId`]; empty for a number that is not in use.
    pub port_names: Vec<String>,
    /// Names of links, by [`LinkId`]; empty for a number that is not in use.
    pub link_names: Vec<String>,
    /// The rules and routes that the tables were made of.
    pub rib: Rib,
    /// What could not be resolved or is not walked.
    pub findings: Vec<Finding>,
    config: Config,
    behind: Behind,
    numbering: Numbering,
    objects: Objects,
    entries: Entries,
    hops: Hops,
    steps: Steps,
    /// The far ends of tunnels: their routes matter to more than themselves.
    peers: BTreeSet<Ipv4Addr>,
    remarks: Remarks,
    pending: Pending,
    /// Adjacencies and different routes, when the ones that are not in use were last looked for.
    in_use: usize,
}

/// What was changed, and workers do not see yet.
#[derive(Debug, Default)]
struct Pending {
    /// Everything must be resolved anew.
    all: bool,
    /// The preferred routes of these prefixes are others now.
    prefixes: Vec<(TableId, Ipv4Net)>,
}

impl Node {
    /// The tables of a state file under `config`. What cannot be resolved becomes a finding and an adjacency that says so;
    /// the rest is kept.
    pub fn build(state: &NodeState, config: &Config, behind: Behind) -> Self {
        let mut node = Self::new(state, config, behind);
        for ((table, prefix), entries) in rib::by_prefix(&state.route) {
            node.set_routes(table, prefix, entries);
        }
        node.rib.complete_local(&node.links);
        node.prepare();
        node.write();
        node
    }

    /// The same without its routes. Nothing can be looked up before it is prepared.
    pub fn new(state: &NodeState, config: &Config, behind: Behind) -> Self {
        let mut numbering = Numbering::default();
        let links = Links::number(state, config, &mut numbering, &mut Vec::new());
        let mut node = Self {
            tables: Tables::default(),
            port_names: Vec::new(),
            link_names: Vec::new(),
            rib: Rib::default(),
            findings: Vec::new(),
            config: config.clone(),
            behind,
            numbering,
            objects: Objects::default(),
            entries: Entries::default(),
            hops: Hops::default(),
            steps: Steps::default(),
            peers: BTreeSet::new(),
            remarks: Remarks::default(),
            pending: Pending::default(),
            in_use: 0,
            links,
        };
        node.set_surroundings(state, &[]);
        node
    }

    /// Takes all of `state` but its routes: links, addresses, rules, neighbours, forwarding entries, nexthop objects, netconf.
    /// `renamed`: links that have another name than before (from, to).
    ///
    /// Routes by nexthop objects that differ, and those whose next hops have no carrier where that begins or ceases to matter,
    /// have to be set again.
    pub fn set_surroundings(&mut self, state: &NodeState, renamed: &[(String, String)]) {
        self.numbering.rename(renamed);
        let remarks = &mut self.remarks;
        self.links =
            Links::number(state, &self.config, &mut self.numbering, Remarks::anew(&mut remarks.links));
        self.rib.set_rules(state, &self.links, Remarks::anew(&mut remarks.rules));
        self.objects = rib::objects(state);
        self.entries = Entries::index(state, &self.links);
        self.pending.all = true;
    }

    /// Gives a prefix of a table these routes in place of those that it has; of equal metric the first is preferred.
    pub fn set_routes<'e>(
        &mut self,
        table: TableId,
        prefix: Ipv4Net,
        entries: impl IntoIterator<Item = &'e RouteEntry>,
    ) {
        let mut remarks = Vec::new();
        let routes = Route::read_all(prefix, entries, &self.objects, &self.links, &mut remarks);
        self.remarks.set_route(table, prefix, remarks);
        let replaced = self.rib.set(table, prefix, routes);
        if !replaced.is_change() {
            return;
        }
        self.pending.all |= self.depends_on(table, prefix, &replaced);
        self.pending.prefixes.push((table, prefix));
    }

    /// Whether something was changed that workers do not see yet.
    pub fn is_pending(&self) -> bool {
        self.pending.all || !self.pending.prefixes.is_empty()
    }

    /// Works out what was changed. Returns whether [`Node::tables`] must be published before [`Node::write`].
    pub fn prepare(&mut self) -> bool {
        let in_use = self.hops.adjacency_count() + self.rib.distinct_count();
        if self.pending.all || in_use > 2 * self.in_use + GARBAGE {
            self.resolve_all();
        } else {
            self.resolve_pending();
        }
        let mut is_changed = std::mem::take(&mut self.pending.all);
        if let Some(adjacencies) = self.hops.changed_adjacencies() {
            self.tables.adjacencies = adjacencies;
            is_changed = true;
        }
        if let Some(groups) = self.hops.changed_groups() {
            self.tables.groups = groups;
            is_changed = true;
        }
        is_changed |= self.steps.fit(&self.rib, &self.hops);
        self.publish(is_changed)
    }

    /// Every worker has been quiescent since what [`Node::prepare`] asked for was published.
    pub fn grace_passed(&mut self) {
        self.steps.grace_passed();
    }

    /// Has the routes lead where they should. Returns whether [`Node::tables`] must be published again, because a FIB
    /// could not be changed in place.
    pub fn write(&mut self) -> bool {
        let prefixes = std::mem::take(&mut self.pending.prefixes);
        let rebuilt = self.steps.write(&self.rib, &self.hops, &prefixes);
        self.hops.routes_written();
        self.publish(rebuilt)
    }

    fn publish(&mut self, is_changed: bool) -> bool {
        if is_changed {
            self.tables.ipv4.fibs = self.steps.fibs();
            self.tables.generation += 1;
        }
        is_changed
    }

    /// Resolves the routes that were changed, and no others.
    fn resolve_pending(&mut self) {
        let compiled = self.steps.tables();
        self.pending.prefixes.retain(|(table, _)| compiled.contains(table));
        let around = Surroundings {
            links: &self.links,
            rib: &self.rib,
            entries: &self.entries,
            config: &self.config,
            behind: self.behind,
        };
        let mut resolver = Resolver::new(around, &mut self.hops, &mut self.remarks.next_hops);
        for (table, prefix) in &self.pending.prefixes {
            if let Some(route) = self.rib.table(*table).and_then(|table| table.preferred(*prefix)) {
                resolver.hop(*table, *prefix, route);
            }
        }
        if let Some(findings) = self.remarks.take_changed() {
            self.findings = findings;
        }
    }

    fn resolve_all(&mut self) {
        let around = Surroundings {
            links: &self.links,
            rib: &self.rib,
            entries: &self.entries,
            config: &self.config,
            behind: self.behind,
        };
        let mut resolver = Resolver::new(around, &mut self.hops, Remarks::anew(&mut self.remarks.next_hops));
        let compiled_before = self.steps.tables();
        let moved = resolver.begin_pass(&compiled_before);
        self.steps.compile(&self.rib, &mut resolver);
        let compiled = self.steps.tables();
        self.pending.prefixes.retain(|(table, _)| compiled.contains(table));
        for (table, prefix) in &self.pending.prefixes {
            if let Some(route) = self.rib.table(*table).and_then(|table| table.preferred(*prefix)) {
                resolver.hop(*table, *prefix, route);
            }
        }
        let neighbours = resolver.neighbours();
        if !compiled_before.is_subset(&compiled) {
            let tables = self.rib.tables().filter(|(id, _)| compiled.contains(id));
            let routes = tables.flat_map(|(_, table)| table.iter());
            self.hops.keep(&routes.map(|(prefix, route)| RouteHop::new(prefix, route)).collect());
        }
        self.hops.end_pass();
        self.rib.forget_unused();
        self.in_use = self.hops.adjacency_count() + self.rib.distinct_count();

        if !moved.is_empty() {
            for (id, table) in self.rib.tables().filter(|(id, _)| compiled.contains(id)) {
                let moved =
                    table.iter().filter(|(prefix, route)| moved.contains(&RouteHop::new(*prefix, route)));
                self.pending.prefixes.extend(moved.map(|(prefix, _)| (id, prefix)));
            }
        }
        self.pending.all = true;
        self.findings = self.remarks.all();
        let neighbours = FlatMap::from_entries(neighbours.into_iter().map(|(key, id)| (key, id.0)));
        self.lay_out(neighbours);
    }

    /// The small tables, but for adjacencies and groups.
    fn lay_out(&mut self, neighbours: FlatMap) {
        let links = &self.links;
        let peers = devices::peers(links, &self.rib, &self.hops, &self.entries);
        self.peers = peers.iter().map(|(_, peer)| *peer).collect();
        self.port_names = devices::port_names(links);
        self.link_names = links.by_number().iter().map(|link| link.name.clone()).collect();
        let switches =
            |link: &crate::links::Link| Link { forwarding: link.forwarding, proxy_arp: link.proxy_arp };
        self.tables = Tables {
            generation: self.tables.generation,
            links: links.by_number().iter().map(switches).collect(),
            ports: devices::ports(links),
            bridges: devices::bridges(links, &self.entries),
            adjacencies: std::mem::take(&mut self.tables.adjacencies),
            groups: std::mem::take(&mut self.tables.groups),
            tunnels: devices::tunnels(links, &self.config, peers),
            kernel_behind: self.behind == Behind::Kernel,
            ipv4: Ipv4Tables {
                own: own(links, &self.rib).map(u64::from).collect(),
                rules: self.steps.rules(),
                fibs: self.steps.fibs(),
                neighbours,
                node_address: links.node_address(),
                loopback: Some(links.loopback()),
            },
        };
    }

    /// The port of this name.
    pub fn port(&self, name: &str) -> Option<PortId> {
        self.port_names.iter().position(|port| port == name).map(|index| PortId(index as u16))
    }

    /// The link of this name.
    pub fn link(&self, name: &str) -> Option<LinkId> {
        self.links.id(name)
    }

    /// The tables that some rule names and that have routes.
    pub(crate) fn looked_up(&self) -> HashSet<TableId> {
        self.steps.tables()
    }

    /// Where the route of a prefix leads; it must be in one of [`Node::looked_up`].
    pub(crate) fn hop(&self, prefix: Ipv4Net, route: &Arc<Route>) -> HopId {
        self.hops.known(prefix, route)
    }

    /// How an adjacency came about.
    pub fn way(&self, adjacency: AdjacencyId) -> Option<&Way> {
        self.hops.way(adjacency)
    }

    /// Weight and adjacency of each member of a group; none for a hop that is no group.
    pub fn members(&self, hop: HopId) -> &[(u16, AdjacencyId)] {
        self.hops.members(hop)
    }

    /// The neighbours that next hops need, known or not.
    pub fn wanted_neighbours(&self) -> &BTreeSet<(LinkId, IpAddr)> {
        self.hops.wanted()
    }

    /// The tables that a FIB holds, the one that is asked first before the others.
    pub fn fib_tables(&self, fib: FibId) -> &[TableId] {
        self.steps.fib_tables(fib)
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
