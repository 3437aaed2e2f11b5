//! The routes of one table, by prefix.
//!
//! A table may have a million routes that lead to a handful of next hops. So equal routes are one, shared by all prefixes
//! that have it, and a prefix costs its bits and a pointer.

use super::Route;
use crate::state::RouteKind;
use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The routes of one table.
#[derive(Clone, Debug)]
pub struct Table {
    /// In order of address, a prefix before those that it holds.
    routes: BTreeMap<Ipv4Net, Preference>,
    /// How many prefixes there are of each length.
    lengths: [u32; 33],
    /// How many of its preferred routes are of type throw.
    throws: usize,
}

/// The routes of one prefix: the preferred one, and those that would come after it.
#[derive(Clone, Debug)]
struct Preference {
    first: Arc<Route>,
    others: Option<Box<Preference>>,
}

impl Default for Table {
    fn default() -> Self {
        Self { routes: BTreeMap::new(), lengths: [0; 33], throws: 0 }
    }
}

impl Table {
    /// Gives `prefix` these routes, the preferred one first, and returns its preferred route until now.
    pub(super) fn set(&mut self, prefix: Ipv4Net, routes: Vec<Arc<Route>>) -> Option<Arc<Route>> {
        let is_throw = |route: &Option<Arc<Route>>| {
            usize::from(route.as_ref().is_some_and(|route| route.kind == RouteKind::Throw))
        };
        let new = routes.first().cloned();
        let old = match Preference::of(routes) {
            Some(preference) => self.routes.insert(prefix, preference),
            None => self.routes.remove(&prefix),
        };
        let old = old.map(|old| old.first);
        let length = &mut self.lengths[usize::from(prefix.prefix_len())];
        *length = *length + u32::from(new.is_some()) - u32::from(old.is_some());
        self.throws = self.throws + is_throw(&new) - is_throw(&old);
        old
    }

    /// The preferred route of exactly this prefix.
    pub fn preferred(&self, prefix: Ipv4Net) -> Option<&Arc<Route>> {
        Some(&self.routes.get(&prefix)?.first)
    }

    /// The preferred route of every prefix; a prefix comes before those that it holds.
    pub fn iter(&self) -> impl Iterator<Item = (Ipv4Net, &Arc<Route>)> {
        self.routes.iter().map(|(prefix, preference)| (*prefix, &preference.first))
    }

    /// How many prefixes it has.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether it has no route.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Whether some of its routes hand the packet on to the next rule.
    pub fn throws(&self) -> bool {
        self.throws > 0
    }

    /// The preferred routes of the prefixes that hold all of `prefix`, the longest first: it itself, if it is there, and
    /// shorter ones.
    pub fn holding(&self, prefix: Ipv4Net) -> impl Iterator<Item = (Ipv4Net, &Arc<Route>)> {
        self.covering(prefix).map(|(prefix, preference)| (prefix, &preference.first))
    }

    /// All routes that hold `host`: longest prefix first, and of one prefix the preferred first.
    pub(super) fn candidates(&self, host: Ipv4Addr) -> impl Iterator<Item = (Ipv4Net, &Route)> {
        self.covering(host.into())
            .flat_map(|(prefix, preference)| preference.iter().map(move |route| (prefix, route)))
    }

    /// Whether a prefix lies within `prefix` and is longer.
    pub fn divides(&self, prefix: Ipv4Net) -> bool {
        let mut from = self.routes.range(prefix..).map(|(within, _)| within);
        from.find(|within| **within != prefix).is_some_and(|next| prefix.contains(next))
    }

    fn covering(&self, prefix: Ipv4Net) -> impl Iterator<Item = (Ipv4Net, &Preference)> {
        let lengths = (0..=prefix.prefix_len()).rev().filter(|length| self.lengths[usize::from(*length)] > 0);
        lengths.filter_map(move |length| {
            let shorter = Ipv4Net::new(prefix.addr(), length).ok()?.trunc();
            Some((shorter, self.routes.get(&shorter)?))
        })
    }
}

impl Preference {
    fn of(routes: Vec<Arc<Route>>) -> Option<Self> {
        let before = |others: Option<Self>, first| Some(Self { first, others: others.map(Box::new) });
        routes.into_iter().rev().fold(None, before)
    }

    fn iter(&self) -> impl Iterator<Item = &Route> {
        std::iter::successors(Some(self), |preference| preference.others.as_deref())
            .map(|preference| &*preference.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::RouteKind;
    use packetwalk_walk::tables::LinkId;
    use proptest::prelude::*;

    fn route(metric: u32) -> Arc<Route> {
        let kind = if metric == 9 { RouteKind::Throw } else { RouteKind::Unicast };
        Arc::new(Route { metric, ..Route::own(kind, LinkId(0), Ipv4Addr::LOCALHOST) })
    }

    fn metrics<'a>(routes: impl Iterator<Item = (Ipv4Net, &'a Route)>) -> Vec<(Ipv4Net, u32)> {
        routes.map(|(prefix, route)| (prefix, route.metric)).collect()
    }

    /// Prefixes of few bits, so that they nest.
    fn prefix() -> impl Strategy<Value = Ipv4Net> {
        (0u32..256, 24u8..=32).prop_map(|(address, length)| {
            Ipv4Net::new(Ipv4Addr::from(address), length).expect("a length").trunc()
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(
            changes in prop::collection::vec((prefix(), prop::collection::vec(0u32..10, 0..4)), 0..60),
        ) {
            let mut table = Table::default();
            let mut list: Vec<(Ipv4Net, Vec<u32>)> = Vec::new();
            for (prefix, mut numbers) in changes {
                numbers.sort_unstable();
                let old = list.iter().position(|(own, _)| *own == prefix).map(|place| list.remove(place).1[0]);
                let replaced = table.set(prefix, numbers.iter().map(|metric| route(*metric)).collect());
                prop_assert_eq!(replaced.map(|route| route.metric), old);
                if !numbers.is_empty() {
                    list.push((prefix, numbers));
                }
            }
            list.sort_unstable();
            prop_assert_eq!(table.len(), list.len());
            prop_assert_eq!(table.throws(), list.iter().any(|(_, numbers)| numbers[0] == 9));
            for address in 0..=256 {
                let host = Ipv4Addr::from(address);
                let mut expected: Vec<_> = list.iter().filter(|(prefix, _)| prefix.contains(&host)).collect();
                expected.reverse();
                let expected: Vec<_> = expected
                    .into_iter()
                    .flat_map(|(prefix, numbers)| numbers.iter().map(move |metric| (*prefix, *metric)))
                    .collect();
                prop_assert_eq!(metrics(table.candidates(host)), expected);
            }
            for length in 24..=32 {
                let prefix = Ipv4Net::new(Ipv4Addr::UNSPECIFIED, length).expect("a length");
                let inside = list.iter().any(|(other, _)| *other != prefix && prefix.contains(other));
                prop_assert_eq!(table.divides(prefix), inside);
            }
        }
    }
}
