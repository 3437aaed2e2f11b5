//! What the kernel holds, kept by key: links by number, routes by table and destination, and so on.
//!
//! Nothing here asks the kernel. An [`Update`] is one message, decoded; the store takes it in and says what changed and
//! what it can no longer be sure of. Links are named only when a [`NodeState`] is made, so a link may be renamed under its
//! routes.

use super::changes::Changes;
use super::family::Family;
use super::link::Link;
use super::neighbour::{Fdb, FdbKey, FdbTable, Neighbour};
use super::netconf::Netconf;
use super::nexthop::Nexthop;
use super::object::Object;
use super::route::{RouteBody, RouteKey};
use super::routes::{Applied, Routes};
use super::update::Update;
use crate::state::{AddressEntry, RuleEntry};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The state of the kernel.
#[derive(Clone, Debug, Default)]
pub struct Store {
    pub(super) links: BTreeMap<u32, Link>,
    /// Of each link in the order of the kernel.
    pub(super) addresses: BTreeMap<u32, Vec<AddressEntry>>,
    pub(super) netconf: BTreeMap<(Family, u32), Netconf>,
    /// In the order in which they are tried.
    pub(super) rules: [Vec<RuleEntry>; 2],
    pub(super) neighbours: BTreeMap<(u32, IpAddr), Neighbour>,
    pub(super) fdb: BTreeMap<FdbKey, Fdb>,
    pub(super) nexthops: BTreeMap<u32, Nexthop>,
    pub(super) routes: [Routes; 2],
}

impl Store {
    /// Links by number.
    pub fn links(&self) -> &BTreeMap<u32, Link> {
        &self.links
    }

    /// Routes of a family: those of one key in the order in which the kernel prefers them.
    pub fn routes(&self, family: Family) -> impl Iterator<Item = (&RouteKey, &[RouteBody])> {
        self.routes[family as usize].iter()
    }

    /// How many routes a family has, several of one key counted as one.
    pub fn route_count(&self, family: Family) -> usize {
        self.routes[family as usize].len()
    }

    /// Takes one message in. The routes of a family are [`Applied::Unknown`] where it does not fit them.
    pub(super) fn apply(&mut self, update: Update, changes: &mut Changes) -> Applied {
        match update {
            Update::Link(index, link) => {
                let is_new = self.links.get(&index) != Some(&*link);
                if is_new {
                    self.links.insert(index, *link);
                    changes.links.insert(index);
                }
                Applied::of(is_new)
            }
            Update::LinkGone(index) => self.remove_link(index, changes),
            Update::Address(index, address) => {
                let addresses = self.addresses.entry(index).or_default();
                let is_same = |own: &AddressEntry| own.local == address.local && own.subnet == address.subnet;
                match addresses.iter_mut().find(|own| is_same(own)) {
                    Some(own) if *own == address => return Applied::Nothing,
                    Some(own) => *own = address,
                    None => addresses.push(address),
                }
                changes.addresses.insert(index);
                Applied::Changed
            }
            Update::AddressGone(index, address) => {
                let Some(addresses) = self.addresses.get_mut(&index) else { return Applied::Nothing };
                addresses.retain(|own| own.local != address.local || own.subnet != address.subnet);
                changes.addresses.insert(index);
                Applied::Changed
            }
            Update::Netconf(key, news) => {
                let known = self.netconf.get(&key).copied().unwrap_or_default();
                let updated = known.updated(news);
                let is_new = self.netconf.insert(key, updated) != Some(updated);
                if is_new {
                    changes.netconf.insert(key);
                }
                Applied::of(is_new)
            }
            Update::NetconfGone(key) => remove(&mut self.netconf, &key, &mut changes.netconf),
            Update::Rule(family, rule) => {
                let rules = &mut self.rules[family as usize];
                let place = rules.partition_point(|other| other.priority <= rule.priority);
                rules.insert(place, rule);
                changes.rules.insert(family);
                Applied::Changed
            }
            Update::RuleGone(family, rule) => {
                let rules = &mut self.rules[family as usize];
                let Some(place) = rules.iter().position(|other| *other == rule) else {
                    return Applied::Unknown;
                };
                rules.remove(place);
                changes.rules.insert(family);
                Applied::Changed
            }
            Update::Neighbour(key, neighbour) => {
                put(&mut self.neighbours, key, neighbour, &mut changes.neighbours)
            }
            Update::NeighbourGone(key) => remove(&mut self.neighbours, &key, &mut changes.neighbours),
            Update::Fdb(key, entry) => put(&mut self.fdb, key, entry, &mut changes.fdb),
            Update::FdbGone(key) => remove(&mut self.fdb, &key, &mut changes.fdb),
            Update::Nexthop(id, nexthop) => put(&mut self.nexthops, id, nexthop, &mut changes.nexthops),
            Update::NexthopGone(id) => remove(&mut self.nexthops, &id, &mut changes.nexthops),
            Update::Route(message) => {
                let (key, routes) = (message.key, &mut self.routes[message.key.family() as usize]);
                let applied = routes.add(message);
                if applied == Applied::Changed {
                    changes.routes.insert(key);
                }
                applied
            }
            Update::RouteGone(message) => {
                let applied = self.routes[message.key.family() as usize].remove(&message);
                if applied == Applied::Changed {
                    changes.routes.insert(message.key);
                }
                applied
            }
        }
    }

    /// What a link takes with it when it goes.
    fn remove_link(&mut self, index: u32, changes: &mut Changes) -> Applied {
        let applied = remove(&mut self.links, &index, &mut changes.links);
        if self.addresses.remove(&index).is_some() {
            changes.addresses.insert(index);
        }
        let gone =
            |table: &FdbTable| matches!(table, FdbTable::Bridge(of) | FdbTable::Link(of) if *of == index);
        self.neighbours.retain(|key, _| key.0 != index || !changes.neighbours.insert(*key));
        self.fdb.retain(|key, entry| {
            let is_gone = gone(&key.table) || entry.link == index;
            if is_gone {
                changes.fdb.insert(key.clone());
            }
            !is_gone
        });
        applied
    }

    /// Forgets the objects of one kind.
    pub(super) fn clear(&mut self, object: Object) {
        match object {
            Object::Links => self.links.clear(),
            Object::Addresses => self.addresses.clear(),
            Object::Netconf4 => self.netconf.retain(|(family, _), _| *family != Family::Ipv4),
            Object::Netconf6 => self.netconf.retain(|(family, _), _| *family != Family::Ipv6),
            Object::Rules4 => self.rules[Family::Ipv4 as usize].clear(),
            Object::Rules6 => self.rules[Family::Ipv6 as usize].clear(),
            Object::Neighbours => self.neighbours.clear(),
            Object::Fdb => self.fdb.clear(),
            Object::Nexthops => self.nexthops.clear(),
            Object::Routes4 => self.routes[Family::Ipv4 as usize] = Routes::default(),
            Object::Routes6 => self.routes[Family::Ipv6 as usize] = Routes::default(),
        }
    }
}

impl Applied {
    fn of(is_changed: bool) -> Self {
        if is_changed { Self::Changed } else { Self::Nothing }
    }
}

type Set<K> = std::collections::BTreeSet<K>;

fn put<K: Ord + Clone, V: PartialEq>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: V,
    changed: &mut Set<K>,
) -> Applied {
    if map.get(&key) == Some(&value) {
        return Applied::Nothing;
    }
    changed.insert(key.clone());
    map.insert(key, value);
    Applied::Changed
}

fn remove<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, key: &K, changed: &mut Set<K>) -> Applied {
    if map.remove(key).is_none() {
        return Applied::Nothing;
    }
    changed.insert(key.clone());
    Applied::Changed
}
