//! What the kernel changed, told to the node.

use crate::config::Config;
use crate::netlink::{Changes, Family, Route, Store};
use crate::node::Node;
use crate::resolve::Behind;
use crate::state::TableId;
use ipnet::{IpNet, Ipv4Net};
use std::collections::{BTreeMap, BTreeSet};

/// Tells a node what changed in a store.
#[derive(Debug)]
pub(super) struct Teller {
    /// Names of links by the kernel's number, as the node knows them.
    names: BTreeMap<u32, String>,
    /// Members of groups of nexthop objects, as the node knows them.
    groups: BTreeMap<u32, Vec<u32>>,
}

impl Teller {
    /// The node of a store, not yet prepared, and who keeps telling it what changes.
    pub(super) fn begin(store: &Store, config: &Config) -> (Self, Node) {
        let mut node = Node::new(&store.node_state_without_routes(), config, Behind::Kernel);
        for ((table, destination), _) in store.routes(Family::Ipv4) {
            set_routes(&mut node, store, table, destination);
        }
        (Self { names: names(store), groups: groups(store) }, node)
    }

    /// Tells `node` what differs now.
    pub(super) fn tell(&mut self, node: &mut Node, store: &Store, changes: &Changes) {
        let mut dependent = BTreeSet::new();
        if has_changed(changes) {
            let names = names(store);
            let renamed: Vec<_> = self
                .names
                .iter()
                .filter_map(|(number, from)| Some((from, names.get(number)?)))
                .filter(|(from, to)| from != to)
                .map(|(from, to)| (from.clone(), to.clone()))
                .collect();
            self.names = names;
            node.set_surroundings(&store.node_state_without_routes(), &renamed);
            dependent = self.dependent_routes(store, changes);
        }
        for (table, destination) in dependent.union(&changes.routes) {
            set_routes(node, store, *table, *destination);
        }
    }

    /// The routes that say something else because of what else changed.
    fn dependent_routes(&mut self, store: &Store, changes: &Changes) -> BTreeSet<(TableId, IpNet)> {
        let objects = self.objects(store, &changes.nexthops);
        // Whether a next hop without carrier counts is a switch of its link.
        let carrier = changes.netconf.iter().any(|(family, _)| *family == Family::Ipv4);
        if objects.is_empty() && !carrier {
            return BTreeSet::new();
        }
        let is_dependent = |route: &Route| {
            route.nhid.is_some_and(|id| objects.contains(&id))
                || carrier && (route.flags.linkdown || route.hops.iter().any(|hop| hop.flags.linkdown))
        };
        let routes = store.routes(Family::Ipv4).filter(|(_, routes)| routes.iter().any(is_dependent));
        routes.map(|(key, _)| key).collect()
    }

    /// These nexthop objects, and the groups that had or have one of them.
    fn objects(&mut self, store: &Store, changed: &BTreeSet<u32>) -> BTreeSet<u32> {
        if changed.is_empty() {
            return BTreeSet::new();
        }
        let groups = groups(store);
        let holding =
            |(id, members): (&u32, &Vec<u32>)| members.iter().any(|id| changed.contains(id)).then_some(*id);
        let holding = self.groups.iter().chain(&groups).filter_map(holding);
        let objects = holding.chain(changed.iter().copied()).collect();
        self.groups = groups;
        objects
    }
}

/// Whether anything but routes changed that matters to the walk.
fn has_changed(changes: &Changes) -> bool {
    let Changes {
        links,
        addresses,
        netconf,
        rules,
        neighbours,
        fdb,
        nexthops,
        neighbour_states: _,
        routes: _,
    } = changes;
    !(links.is_empty()
        && addresses.is_empty()
        && neighbours.is_empty()
        && fdb.is_empty()
        && nexthops.is_empty())
        || netconf.iter().any(|(family, _)| *family == Family::Ipv4)
        || rules.contains(&Family::Ipv4)
}

fn set_routes(node: &mut Node, store: &Store, table: TableId, destination: IpNet) {
    if let Some(prefix) = ipv4(destination) {
        node.set_routes(table, prefix, &store.route_entries(table, destination));
    }
}

fn ipv4(destination: IpNet) -> Option<Ipv4Net> {
    match destination {
        IpNet::V4(prefix) => Some(prefix),
        IpNet::V6(_) => None,
    }
}

fn names(store: &Store) -> BTreeMap<u32, String> {
    store.links().iter().map(|(number, link)| (*number, link.entry.ifname.clone())).collect()
}

fn groups(store: &Store) -> BTreeMap<u32, Vec<u32>> {
    let groups = store.nexthops().iter().filter(|(_, object)| !object.group.is_empty());
    groups.map(|(id, object)| (*id, object.group.iter().map(|(member, _)| *member).collect())).collect()
}
