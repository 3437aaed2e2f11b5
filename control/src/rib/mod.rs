//! The routes and rules of a node as control sees them: what the kernel would answer, and why.
//!
//! IPv4 now.

mod route;
mod rules;
mod table;

pub(crate) use route::objects;
pub use route::{NextHop, Objects, Route};
pub use rules::{Rule, RuleAction};
pub use table::Table;

use crate::finding::Finding;
use crate::links::Links;
use crate::state::{NodeState, RouteEntry, RouteKind, TableId};
use ipnet::Ipv4Net;
use packetwalk_walk::tables::{LinkId, RouteKey};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Rules and the tables that they name.
#[derive(Clone, Debug, Default)]
pub struct Rib {
    /// In order of priority.
    pub rules: Vec<Rule>,
    /// None of them is empty.
    tables: BTreeMap<TableId, Table>,
    /// Each of the routes once, however many prefixes have it.
    distinct: HashSet<Arc<Route>>,
    /// How many prefixes prefer a way by this gateway on this link.
    gateways: HashMap<(LinkId, Ipv4Addr), usize>,
}

/// The preferred routes of a prefix before and after a change.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// Before.
    pub old: Option<Arc<Route>>,
    /// Now.
    pub new: Option<Arc<Route>>,
}

impl Replaced {
    /// Whether they differ.
    pub fn is_change(&self) -> bool {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => !Arc::ptr_eq(old, new),
            (None, None) => false,
            _ => true,
        }
    }

    /// The one before, and the one now.
    pub fn both(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.old.iter().chain(&self.new)
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
    /// The rules and IPv4 routes of a state file.
    pub fn build(state: &NodeState, links: &Links, findings: &mut Vec<Finding>) -> Self {
        let mut rib = Self::default();
        rib.set_rules(state, links, findings);
        let objects = objects(state);
        for ((table, prefix), entries) in by_prefix(&state.route) {
            rib.set(table, prefix, Route::read_all(prefix, entries, &objects, links, findings));
        }
        rib.complete_local(links);
        rib
    }

    /// Takes the rules of `state`.
    pub fn set_rules(&mut self, state: &NodeState, links: &Links, findings: &mut Vec<Finding>) {
        self.rules = rules::compile(state, links, findings);
    }

    /// Gives a prefix of a table these routes, in place of those that it has. Those of equal metric stay in the order given.
    pub fn set(&mut self, table: TableId, prefix: Ipv4Net, mut routes: Vec<Route>) -> Replaced {
        routes.sort_by_key(|route| route.metric);
        let routes: Vec<_> = routes.into_iter().map(|route| self.share(route)).collect();
        let new = routes.first().cloned();
        let old = self.tables.entry(table).or_default().set(prefix, routes);
        if self.table(table).is_some_and(Table::is_empty) {
            self.tables.remove(&table);
        }
        let replaced = Replaced { old, new };
        if replaced.is_change() {
            self.count_gateways(&replaced);
        }
        replaced
    }

    fn count_gateways(&mut self, replaced: &Replaced) {
        let gateways = |route: &Option<Arc<Route>>| -> Vec<_> {
            let unicast = route.iter().filter(|route| route.kind == RouteKind::Unicast);
            let hops = unicast.flat_map(|route| route.usable_hops());
            hops.filter_map(NextHop::ipv4_gateway).collect()
        };
        for gateway in gateways(&replaced.new) {
            *self.gateways.entry(gateway).or_default() += 1;
        }
        for gateway in gateways(&replaced.old) {
            if let Some(count) = self.gateways.get_mut(&gateway) {
                *count -= 1;
                if *count == 0 {
                    self.gateways.remove(&gateway);
                }
            }
        }
    }

    /// The gateways of preferred routes, with their links, each once.
    pub fn gateways(&self) -> impl Iterator<Item = (LinkId, Ipv4Addr)> {
        self.gateways.keys().copied()
    }

    fn share(&mut self, route: Route) -> Arc<Route> {
        if let Some(known) = self.distinct.get(&route) {
            return Arc::clone(known);
        }
        let route = Arc::new(route);
        self.distinct.insert(Arc::clone(&route));
        route
    }

    /// How many different routes there are.
    pub fn distinct_count(&self) -> usize {
        self.distinct.len()
    }

    /// Forgets the routes that no prefix has any more, and nobody else holds.
    pub fn forget_unused(&mut self) {
        self.distinct.retain(|route| Arc::strong_count(route) > 1);
    }

    /// A table's routes; None: it has none.
    pub fn table(&self, id: TableId) -> Option<&Table> {
        self.tables.get(&id)
    }

    /// All tables, in order of their numbers.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &Table)> {
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
            let mut candidates = table.candidates(destination).filter(|(_, route)| counts(route));
            let Some((prefix, route)) = candidates.next() else { continue };
            // The table has no say after all: the next rule.
            if route.kind == RouteKind::Throw {
                continue;
            }
            return Answer::Match(Match { rule, table: id, prefix, route, shorter: candidates.collect() });
        }
        Answer::NoRoute
    }

    /// What the kernel puts into table local for each address (`fib_add_ifaddr`), for a state file that leaves it out.
    pub fn complete_local(&mut self, links: &Links) {
        let is_local = |(_, route): (Ipv4Net, &Arc<Route>)| route.kind == RouteKind::Local;
        if self.table(TableId::LOCAL).is_some_and(|table| table.iter().any(is_local)) {
            return;
        }
        let loopback = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        let lo = links.loopback();
        let home = links.link(lo).addresses.first().map_or(Ipv4Addr::LOCALHOST, |address| address.local);
        self.add_local(loopback, Route::own(RouteKind::Local, lo, home));
        let addresses =
            || links.iter().flat_map(|link| link.addresses.iter().map(|address| (link.id, address)));
        for (link, address) in addresses() {
            self.add_local(address.local.into(), Route::own(RouteKind::Local, link, address.local));
        }
        for (link, address) in addresses() {
            let computed = (address.subnet.prefix_len() <= 30).then(|| address.subnet.broadcast());
            for broadcast in address.broadcast.into_iter().chain(computed) {
                self.add_local(broadcast.into(), Route::own(RouteKind::Broadcast, link, address.local));
            }
        }
    }

    /// Where the prefix has no route yet: a host address may be its own broadcast address, and is local first.
    fn add_local(&mut self, prefix: Ipv4Net, route: Route) {
        if self.table(TableId::LOCAL).is_none_or(|table| table.preferred(prefix).is_none()) {
            self.set(TableId::LOCAL, prefix, vec![route]);
        }
    }
}

/// The IPv4 routes of each prefix of each table, in the order of the file.
pub(crate) fn by_prefix(routes: &[RouteEntry]) -> BTreeMap<(TableId, Ipv4Net), Vec<&RouteEntry>> {
    let mut by_prefix = BTreeMap::<_, Vec<_>>::new();
    for entry in routes {
        if let Some(prefix) = entry.ipv4() {
            by_prefix.entry((entry.table.unwrap_or_default(), prefix)).or_default().push(entry);
        }
    }
    by_prefix
}

#[cfg(test)]
mod tests;
