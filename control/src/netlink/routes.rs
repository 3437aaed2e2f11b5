//! The routes of one family, kept in step with what the kernel says of them.
//!
//! A prefix may have several routes; of equal TOS and metric the kernel prefers them in an order that messages tell only
//! by their flags: a new one goes last, first, or in the place of another.

use super::family::Family;
use super::prefixes::Prefixes;
use super::route::{Placement, Route, RouteMessage};
use crate::state::TableId;
use ipnet::IpNet;
use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

/// The routes of one prefix, the preferred first. Equal lists are one: a million prefixes share a few.
pub(super) type Aliases = Arc<Vec<Route>>;

/// The routes of one family.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes {
    tables: BTreeMap<TableId, Prefixes<Aliases>>,
    lists: HashSet<Aliases>,
    /// Prefixes of all tables.
    count: usize,
}

/// What a message did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// Nothing is other than before.
    Nothing,
    /// The routes of its prefix are.
    Changed,
    /// It does not fit what is known, so something was missed: the routes must be listed anew.
    Unknown,
}

impl Routes {
    /// The routes of a prefix, the preferred first.
    pub(super) fn of_prefix(&self, table: TableId, destination: IpNet) -> &[Route] {
        self.get(table, destination).map_or(&[], |aliases| aliases.as_slice())
    }

    /// All prefixes with their routes, by table.
    pub(super) fn iter(&self) -> impl Iterator<Item = ((TableId, IpNet), &[Route])> {
        self.tables.iter().flat_map(|(table, prefixes)| {
            prefixes.iter().map(|(destination, aliases)| ((*table, destination), aliases.as_slice()))
        })
    }

    /// Those behind a prefix of a table, which need not be there.
    pub(super) fn after(
        &self,
        table: TableId,
        destination: IpNet,
    ) -> impl Iterator<Item = ((TableId, IpNet), &[Route])> {
        let rest = self.tables.get(&table).into_iter().flat_map(move |prefixes| {
            prefixes
                .after(destination)
                .map(move |(destination, aliases)| ((table, destination), aliases.as_slice()))
        });
        let tables = self.tables.range((Bound::Excluded(table), Bound::Unbounded));
        rest.chain(tables.flat_map(|(table, prefixes)| {
            prefixes.iter().map(|(destination, aliases)| ((*table, destination), aliases.as_slice()))
        }))
    }

    /// How many prefixes there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The same with the lists that are shared.
    pub(super) fn iter_shared(&self) -> impl Iterator<Item = ((TableId, IpNet), &Aliases)> {
        self.tables.iter().flat_map(|(table, prefixes)| {
            prefixes.iter().map(|(destination, aliases)| ((*table, destination), aliases))
        })
    }

    /// The lists that prefixes have.
    pub(super) fn lists(&self) -> impl Iterator<Item = &Aliases> {
        self.lists.iter()
    }

    /// No routes, but the lists of these, so that equal ones are the same, in memory and to the comparison.
    pub(super) fn emptied(&self) -> Self {
        Self { lists: self.lists.clone(), ..Self::default() }
    }

    /// Lets go of lists that no prefix has any more, once those that share them are gone.
    pub(super) fn forget_unused(&mut self) {
        self.lists.retain(|list| Arc::strong_count(list) > 1);
    }

    /// The prefixes whose routes differ between the two.
    pub(super) fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (TableId, IpNet)> + 'a {
        super::adopt::difference(self.iter_shared(), other.iter_shared(), |one, other| {
            Arc::ptr_eq(one, other) || one == other
        })
    }

    /// A route that is there now.
    pub(super) fn add(&mut self, message: RouteMessage) -> Applied {
        let ((table, destination), family) = (message.prefix(), message.family());
        let RouteMessage { route, placement, .. } = message;
        let mut aliases = self.of_prefix(table, destination).to_vec();
        // Those of its TOS and metric.
        let start = aliases.partition_point(|alias| alias.rank() < route.rank());
        let end = aliases.partition_point(|alias| alias.rank() <= route.rank());
        if placement == Placement::Listed {
            // IPv6 may have two that are equal; an IPv4 route that is listed twice is one.
            if family == Family::Ipv4 && aliases.contains(&route) {
                return Applied::Nothing;
            }
            aliases.insert(end, route);
            self.set(table, destination, aliases);
            return Applied::Changed;
        }
        let old = &aliases[start..end];
        let place = old.iter().position(|alias| alias.is_same_route(&route));
        // A message that names all next hops of a route to which some were added.
        let place = place.or_else(|| match family {
            Family::Ipv6 => old.iter().position(|alias| route.extends(alias)),
            Family::Ipv4 => None,
        });
        // The routes of a nexthop object are told anew when it is replaced.
        let replaces = placement == Placement::Replace;
        let place = place.or_else(|| {
            let nhid = route.nhid.filter(|_| replaces)?;
            old.iter().position(|alias| alias.nhid == Some(nhid))
        });
        let replaced = if replaces { replaced(old, &route, family) } else { None };
        // The kernel replaces one of several, and tells the routes of an object anew, with the same flag.
        if place.is_some() && replaced.is_some() && place != replaced {
            return Applied::Unknown;
        }
        match (place.or(replaced), placement) {
            (Some(place), _) if old.get(place) == Some(&route) => return Applied::Nothing,
            (Some(place), _) => aliases[start + place] = route,
            (None, Placement::First) => aliases.insert(start, route),
            (None, Placement::Listed | Placement::Last | Placement::Replace) => aliases.insert(end, route),
        }
        self.set(table, destination, aliases);
        Applied::Changed
    }

    /// A route that is gone.
    pub(super) fn remove(&mut self, message: &RouteMessage) -> Applied {
        let ((table, destination), route) = (message.prefix(), &message.route);
        let mut aliases = self.of_prefix(table, destination).to_vec();
        let mut of_rank = (0..aliases.len()).filter(|place| aliases[*place].rank() == route.rank());
        if let Some(place) = aliases.iter().position(|alias| alias.is_same_route(route)) {
            aliases.remove(place);
        } else if let Some(place) = aliases.iter().position(|alias| alias.extends(route)) {
            // Some of its next hops, of IPv6.
            let alias = &mut aliases[place];
            alias.hops.retain(|hop| !route.hops.iter().any(|gone| gone.is_same_hop(hop)));
            match alias.hops.as_mut_slice() {
                [] => drop(aliases.remove(place)),
                [hop] => {
                    // A single next hop is told without a list and a share.
                    hop.weight = 1;
                    alias.flags = hop.flags;
                    alias.is_multipath = false;
                }
                _ => {}
            }
        } else if let (Some(place), None, None) = (of_rank.next(), of_rank.next(), route.from) {
            // The kernel may tell a dying route otherwise than it told the living one.
            aliases.remove(place);
        } else if aliases.iter().any(|alias| alias.rank() == route.rank()) {
            return Applied::Unknown;
        } else {
            // It is known to be gone: with its link, or by a list.
            return Applied::Nothing;
        }
        self.set(table, destination, aliases);
        Applied::Changed
    }

    fn get(&self, table: TableId, destination: IpNet) -> Option<&Aliases> {
        self.tables.get(&table)?.get(destination)
    }

    /// Puts these in the place of the routes of a prefix.
    pub(super) fn set(&mut self, table: TableId, destination: IpNet, aliases: Vec<Route>) {
        let old = if aliases.is_empty() {
            let Some(prefixes) = self.tables.get_mut(&table) else { return };
            let old = prefixes.remove(destination);
            if prefixes.is_empty() {
                self.tables.remove(&table);
            }
            self.count -= usize::from(old.is_some());
            old
        } else {
            let shared = self.lists.get(&aliases).map_or_else(|| Arc::new(aliases), Arc::clone);
            self.lists.insert(Arc::clone(&shared));
            let old = self.tables.entry(table).or_default().insert(destination, shared);
            self.count += usize::from(old.is_none());
            old
        };
        // The last prefix with these routes is gone: one count is ours, the other the set's.
        if let Some(old) = old.filter(|old| Arc::strong_count(old) == 2) {
            self.lists.remove(&old);
        }
    }
}

/// Which of several the kernel replaces: the first; of IPv6 the first for the same sources, with a gateway where the new
/// one has a gateway (those share their flows), else any.
fn replaced(aliases: &[Route], route: &Route, family: Family) -> Option<usize> {
    if family == Family::Ipv4 {
        return (!aliases.is_empty()).then_some(0);
    }
    let shares = |route: &Route| route.nhid.is_none() && route.hops.iter().any(|hop| hop.gateway.is_some());
    let is_alike = |alias: &Route| alias.from == route.from && shares(alias) == shares(route);
    let alike = aliases.iter().position(is_alike);
    alike.or_else(|| aliases.iter().position(|alias| alias.from == route.from))
}
