//! The routes and rules of a node as control sees them: what the kernel would answer, and why.
//!
//! IPv4 now. A table is generic over its prefix, so IPv6 has the same tables with other rules.

mod route;
mod rules;

pub use route::{NextHop, Route};
pub use rules::{Rule, RuleAction};

use crate::finding::Finding;
use crate::links::Links;
use crate::state::{NodeState, RouteKind, TableId};
use ipnet::Ipv4Net;
use packetwalk_walk::tables::{LinkId, RouteKey};
use prefix_trie::{Prefix, PrefixMap};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Rules and the tables that they name.
#[derive(Clone, Debug, Default)]
pub struct Rib {
    /// In order of priority.
    pub rules: Vec<Rule>,
    tables: BTreeMap<TableId, Table<Ipv4Net>>,
}

/// The routes of one table.
#[derive(Clone, Debug)]
pub struct Table<P: Prefix> {
    /// Of each prefix, in order of preference: ascending metric, of equal metrics as printed.
    routes: PrefixMap<P, Vec<Route>>,
}

impl<P: Prefix> Default for Table<P> {
    fn default() -> Self {
        Self { routes: PrefixMap::new() }
    }
}

/// What the rules say of a packet.
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// A route.
    Match(Match<'a>),
    /// A rule decides by itself.
    Rule(&'a Rule),
    /// Nothing.
    NoRoute,
}

/// A route that was found, and how.
#[derive(Clone, Debug)]
pub struct Match<'a> {
    /// The rule that named the table.
    pub rule: &'a Rule,
    /// The table.
    pub table: TableId,
    /// The longest prefix of it that holds the destination.
    pub prefix: Ipv4Net,
    /// The preferred route of the prefix.
    pub route: &'a Route,
    /// The routes of the same table that hold the destination and lost to it, the longest first.
    pub shorter: Vec<(Ipv4Net, &'a Route)>,
}

impl Rib {
    /// The rules and IPv4 routes of `state`.
    pub fn build(state: &NodeState, links: &Links, findings: &mut Vec<Finding>) -> Self {
        let mut rib = Self { rules: rules::compile(state, links, findings), tables: BTreeMap::new() };
        let objects = state.nexthop.iter().map(|object| (object.id, object)).collect();
        for entry in &state.route {
            let Some(prefix) = entry.ipv4() else { continue };
            if let Some(route) = Route::read(prefix, entry, &objects, links, findings) {
                rib.tables.entry(entry.table.unwrap_or_default()).or_default().add(prefix, route);
            }
        }
        let is_local = |(_, route): (Ipv4Net, &Route)| route.kind == RouteKind::Local;
        if !rib.table(TableId::LOCAL).is_some_and(|table| table.iter().any(is_local)) {
            rib.add_local(links);
        }
        rib
    }

    /// A table's routes.
    pub fn table(&self, id: TableId) -> Option<&Table<Ipv4Net>> {
        self.tables.get(&id)
    }

    /// All tables, in order of their numbers.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &Table<Ipv4Net>)> {
        self.tables.iter().map(|(id, table)| (*id, table))
    }

    /// What the rules say of a packet.
    pub fn lookup(&self, key: &RouteKey) -> Answer<'_> {
        self.lookup_by(key, |_| true)
    }

    /// The same for a packet of the node's own that is bound to a link: only routes by it count.
    pub fn lookup_bound(&self, key: &RouteKey, link: LinkId) -> Answer<'_> {
        self.lookup_by(key, |route| {
            route.kind != RouteKind::Unicast || route.usable_hops().any(|hop| hop.link == Some(link))
        })
    }

    fn lookup_by(&self, key: &RouteKey, counts: impl Fn(&Route) -> bool) -> Answer<'_> {
        let destination = Ipv4Addr::from(key.destination);
        for rule in self.rules.iter().filter(|rule| rule.selector.selects(key)) {
            let RuleAction::Lookup(id) = rule.action else { return Answer::Rule(rule) };
            let Some(table) = self.tables.get(&id) else { continue };
            let mut candidates = table.covering(Ipv4Net::from(destination));
            candidates.retain(|(_, route)| counts(route));
            let Some((prefix, route)) = candidates.first().copied() else { continue };
            // The table has no say after all: the next rule.
            if route.kind == RouteKind::Throw {
                continue;
            }
            candidates.remove(0);
            return Answer::Match(Match { rule, table: id, prefix, route, shorter: candidates });
        }
        Answer::NoRoute
    }

    /// What the kernel puts into table local for each address (`fib_add_ifaddr`), for a state that leaves it out.
    fn add_local(&mut self, links: &Links) {
        let table = self.tables.entry(TableId::LOCAL).or_default();
        let loopback = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        let lo = links.loopback();
        let home = links.link(lo).addresses.first().map_or(Ipv4Addr::LOCALHOST, |address| address.local);
        table.add(loopback, Route::own(RouteKind::Local, lo, home));
        let addresses =
            || links.iter().flat_map(|link| link.addresses.iter().map(|address| (link.id, address)));
        for (link, address) in addresses() {
            table.add(address.local.into(), Route::own(RouteKind::Local, link, address.local));
        }
        for (link, address) in addresses() {
            let computed = (address.subnet.prefix_len() <= 30).then(|| address.subnet.broadcast());
            for broadcast in address.broadcast.into_iter().chain(computed) {
                // A host address may be its own broadcast address, and is local first.
                if table.preferred(broadcast.into()).is_none() {
                    table.add(broadcast.into(), Route::own(RouteKind::Broadcast, link, address.local));
                }
            }
        }
    }
}

impl<P: Prefix + Copy> Table<P> {
    /// Adds a route behind those of its prefix with the same or a lower metric.
    fn add(&mut self, prefix: P, route: Route) {
        let routes = self.routes.entry(prefix).or_default();
        let place = routes.partition_point(|other| other.metric <= route.metric);
        routes.insert(place, route);
    }

    /// The preferred route of exactly this prefix.
    pub fn preferred(&self, prefix: P) -> Option<&Route> {
        self.routes.get(&prefix)?.first()
    }

    /// The preferred route of every prefix; a prefix comes before those that it holds.
    pub fn iter(&self) -> impl Iterator<Item = (P, &Route)> {
        self.routes.iter().filter_map(|(prefix, routes)| Some((prefix, routes.first()?)))
    }

    /// All routes that hold `host`: longest prefix first, and of one prefix the preferred first.
    fn covering(&self, host: P) -> Vec<(P, &Route)> {
        let by_length: Vec<_> = self.routes.cover(&host).collect();
        let longest_first = by_length.into_iter().rev();
        longest_first.flat_map(|(prefix, routes)| routes.iter().map(move |route| (prefix, route))).collect()
    }
}

#[cfg(test)]
mod tests;
