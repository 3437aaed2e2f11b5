//! A list that was just read becomes what is known: the difference is applied, and what stayed the same is not touched.

use super::by_link::Ambiguous;
use super::changes::Changes;
use super::doubt::Doubts;
use super::family::Family;
use super::link::Link;
use super::object::Object;
use super::store::Store;
use super::update::Update;
use crate::state::TableId;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

impl Store {
    /// Takes the objects of one kind over from `fresh`, a list that was just read and holds nothing else, and notes what
    /// that changes, and what is doubtful because of it.
    pub(super) fn adopt(
        &mut self,
        object: Object,
        mut fresh: Self,
        changes: &mut Changes,
        doubts: &mut Doubts,
    ) {
        match object {
            Object::Links => self.adopt_links(fresh.links, changes, doubts),
            Object::Addresses => {
                fresh.addresses.retain(|_, addresses| !addresses.is_empty());
                self.addresses.retain(|_, addresses| !addresses.is_empty());
                replace(&mut self.addresses, &mut fresh.addresses, &mut changes.addresses);
            }
            Object::Netconf4 | Object::Netconf6 => {
                let family = if object == Object::Netconf4 { Family::Ipv4 } else { Family::Ipv6 };
                // Both families share a map: those of the other stay.
                fresh.netconf.extend(self.netconf.iter().filter(|((of, _), _)| *of != family));
                replace(&mut self.netconf, &mut fresh.netconf, &mut changes.netconf);
            }
            Object::Rules4 => self.adopt_rules(Family::Ipv4, &mut fresh, changes),
            Object::Rules6 => self.adopt_rules(Family::Ipv6, &mut fresh, changes),
            Object::Neighbours => {
                for key in difference(self.neighbours.iter(), fresh.neighbours.iter(), PartialEq::eq) {
                    changes.neighbour(*key, self.neighbours.get(key), fresh.neighbours.get(key));
                }
                self.neighbours = fresh.neighbours;
            }
            Object::Fdb => replace(&mut self.fdb, &mut fresh.fdb, &mut changes.fdb),
            Object::Nexthops => replace(&mut self.nexthops, &mut fresh.nexthops, &mut changes.nexthops),
            Object::Routes4 => self.adopt_routes(Family::Ipv4, &mut fresh, changes),
            Object::Routes6 => self.adopt_routes(Family::Ipv6, &mut fresh, changes),
        }
    }

    /// The same for the first list of a kind, without notes of what it changes: those about a million routes would take as much
    /// memory as the routes.
    pub(super) fn begin(&mut self, object: Object, mut fresh: Self, doubts: &mut Doubts) {
        for family in [Family::Ipv4, Family::Ipv6] {
            if object == Object::routes(family) {
                self.routes[family as usize] = std::mem::take(&mut fresh.routes[family as usize]);
                self.routes[family as usize].forget_unused();
                return;
            }
        }
        self.adopt(object, fresh, &mut Changes::default(), doubts);
    }

    /// A link that is other than it was does to routes what it does where a message says so.
    fn adopt_links(&mut self, mut fresh: BTreeMap<u32, Link>, changes: &mut Changes, doubts: &mut Doubts) {
        let changed: Vec<_> = difference(self.links.iter(), fresh.iter(), PartialEq::eq).copied().collect();
        for index in changed {
            let update = match fresh.remove(&index) {
                Some(link) => Update::Link(index, Box::new(link)),
                None => Update::LinkGone(index),
            };
            doubts.note(&update, self);
            self.apply(update, changes);
        }
    }

    /// Takes over which routes lead by a link, but for prefixes that were spoken of meanwhile; all routes are doubtful where
    /// the list does not say enough.
    pub(super) fn adopt_routes_by(
        &mut self,
        (family, link): (Family, u32),
        fresh: &Self,
        spoken_of: &BTreeSet<(TableId, IpNet)>,
        changes: &mut Changes,
        doubts: &mut Doubts,
    ) {
        let fresh = &fresh.routes[family as usize];
        match self.routes[family as usize].adopt_by(family, link, fresh, spoken_of) {
            Ok(changed) => changes.routes.extend(changed),
            Err(Ambiguous) => doubts.kind(Object::routes(family)),
        }
    }

    fn adopt_rules(&mut self, family: Family, fresh: &mut Self, changes: &mut Changes) {
        let (rules, fresh) = (&mut self.rules[family as usize], &mut fresh.rules[family as usize]);
        if rules != fresh {
            *rules = std::mem::take(fresh);
            changes.rules.insert(family);
        }
    }

    fn adopt_routes(&mut self, family: Family, fresh: &mut Self, changes: &mut Changes) {
        let (routes, fresh) = (&mut self.routes[family as usize], &mut fresh.routes[family as usize]);
        changes.routes.extend(routes.difference(fresh));
        *routes = std::mem::take(fresh);
        routes.forget_unused();
    }
}

fn replace<K: Ord + Clone, V: PartialEq>(
    map: &mut BTreeMap<K, V>,
    fresh: &mut BTreeMap<K, V>,
    changed: &mut BTreeSet<K>,
) {
    changed.extend(difference(map.iter(), fresh.iter(), PartialEq::eq).cloned());
    *map = std::mem::take(fresh);
}

/// The keys that only one of two lists has, or with another value; both in the order of their keys.
pub(super) fn difference<K: Ord, V>(
    one: impl Iterator<Item = (K, V)>,
    other: impl Iterator<Item = (K, V)>,
    is_equal: impl Fn(&V, &V) -> bool,
) -> impl Iterator<Item = K> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || {
        loop {
            match (one.peek(), other.peek()) {
                (Some((a, x)), Some((b, y))) if a == b => {
                    let is_equal = is_equal(x, y);
                    let key = one.next().map(|(key, _)| key);
                    other.next();
                    if !is_equal {
                        return key;
                    }
                }
                (Some((a, _)), Some((b, _))) if a < b => return one.next().map(|(key, _)| key),
                (Some(_), None) => return one.next().map(|(key, _)| key),
                (_, Some(_)) => return other.next().map(|(key, _)| key),
                (None, None) => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::netconf::Netconf;
    use crate::netlink::store::tests::{link, store};

    #[test]
    fn the_difference_has_what_came_what_went_and_what_changed() {
        let one = BTreeMap::from([(1, 'a'), (2, 'b'), (4, 'd'), (6, 'f')]);
        let other = BTreeMap::from([(0, 'z'), (2, 'b'), (4, 'x'), (5, 'e'), (7, 'g')]);
        assert_eq!(
            difference(one.iter(), other.iter(), PartialEq::eq).copied().collect::<Vec<_>>(),
            [0, 1, 4, 5, 6, 7]
        );
        assert_eq!(difference(one.iter(), one.iter(), PartialEq::eq).next(), None);
        assert_eq!(difference(one.iter(), BTreeMap::new().iter(), PartialEq::eq).count(), 4);
    }

    #[test]
    fn an_equal_list_changes_nothing() {
        let updates = || {
            vec![
                Update::Link(1, Box::new(link("eth0"))),
                Update::Netconf((Family::Ipv4, 1), Netconf::default()),
                Update::Netconf((Family::Ipv6, 1), Netconf::default()),
            ]
        };
        let mut known = store(updates());
        let mut changes = Changes::default();
        for (object, update) in [Object::Links, Object::Netconf4, Object::Netconf6].into_iter().zip(updates())
        {
            known.adopt(object, store(vec![update]), &mut changes, &mut Doubts::default());
        }
        assert!(changes.is_empty(), "{changes:?}");
        assert_eq!((known.links.len(), known.netconf.len()), (1, 2));
    }

    #[test]
    fn a_list_is_taken_over_and_says_what_it_changed() {
        let mut known =
            store(vec![Update::Link(1, Box::new(link("eth0"))), Update::Link(2, Box::new(link("eth1")))]);
        let fresh =
            store(vec![Update::Link(2, Box::new(link("eth7"))), Update::Link(3, Box::new(link("eth2")))]);
        let mut changes = Changes::default();
        known.adopt(Object::Links, fresh, &mut changes, &mut Doubts::default());
        assert_eq!(changes.links, BTreeSet::from([1, 2, 3]));
        assert_eq!(known.links.keys().copied().collect::<Vec<_>>(), [2, 3]);
        known.adopt(Object::Netconf4, Store::default(), &mut changes, &mut Doubts::default());
        assert_eq!(known.links.len(), 2);
    }
}
