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
use super::route::Route;
use super::routes::{Applied, Routes};
use super::update::Update;
use crate::state::{AddressEntry, RuleEntry, TableId};
use ipnet::IpNet;
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

    /// The number of the link of this name.
    pub fn link_number(&self, name: &str) -> Option<u32> {
        self.links.iter().find(|(_, link)| link.entry.ifname == name).map(|(number, _)| *number)
    }

    /// Neighbours by link and address.
    pub fn neighbours(&self) -> &BTreeMap<(u32, IpAddr), Neighbour> {
        &self.neighbours
    }

    /// Nexthop objects by number.
    pub fn nexthops(&self) -> &BTreeMap<u32, Nexthop> {
        &self.nexthops
    }

    /// The routes of a prefix, in the order in which the kernel prefers them: those for one TOS before those for all, and
    /// the least metric first.
    pub fn routes_of(&self, table: TableId, destination: IpNet) -> &[Route] {
        self.routes[Family::of(destination) as usize].of_prefix(table, destination)
    }

    /// All prefixes of a family that have routes, by table, with those routes.
    pub fn routes(&self, family: Family) -> impl Iterator<Item = ((TableId, IpNet), &[Route])> {
        self.routes[family as usize].iter()
    }

    /// All prefixes that have routes, IPv4 first, by table; behind a prefix of a table only those that come after it, whether
    /// it is there or not. Costs what is taken, however many come before.
    pub fn routes_after(
        &self,
        after: Option<(TableId, IpNet)>,
    ) -> impl Iterator<Item = ((TableId, IpNet), &[Route])> {
        let [ipv4, ipv6] = &self.routes;
        let of = |family| after.filter(|(_, prefix)| Family::of(*prefix) == family);
        let (in_ipv4, in_ipv6) = (of(Family::Ipv4), of(Family::Ipv6));
        let all4 = after.is_none().then(|| ipv4.iter());
        let rest4 = in_ipv4.map(|(table, prefix)| ipv4.after(table, prefix));
        let all6 = in_ipv6.is_none().then(|| ipv6.iter());
        let rest6 = in_ipv6.map(|(table, prefix)| ipv6.after(table, prefix));
        all4.into_iter()
            .flatten()
            .chain(rest4.into_iter().flatten())
            .chain(all6.into_iter().flatten())
            .chain(rest6.into_iter().flatten())
    }

    /// How many prefixes of a family have routes, those of each table counted.
    pub fn prefix_count(&self, family: Family) -> usize {
        self.routes[family as usize].len()
    }

    /// Takes one message in. The routes of a family are [`Applied::Unknown`] where it does not fit them.
    pub(super) fn apply(&mut self, update: Update, changes: &mut Changes) -> Applied {
        match update {
            Update::Link(index, link) => {
                if !link.is_up() {
                    self.drop_routes_by(index, false, changes);
                }
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
                if self.neighbours.get(&key) == Some(&neighbour) {
                    return Applied::Nothing;
                }
                changes.neighbour(key, self.neighbours.get(&key), Some(&neighbour));
                self.neighbours.insert(key, neighbour);
                Applied::Changed
            }
            Update::NeighbourGone(key) => {
                let gone = self.neighbours.remove(&key);
                if gone.is_some() {
                    changes.neighbour(key, gone.as_ref(), None);
                }
                Applied::of(gone.is_some())
            }
            Update::Fdb(key, entry) => put(&mut self.fdb, key, entry, &mut changes.fdb),
            Update::FdbGone(key) => remove(&mut self.fdb, &key, &mut changes.fdb),
            Update::Nexthop(id, nexthop) => put(&mut self.nexthops, id, nexthop, &mut changes.nexthops),
            Update::NexthopGone(id) => remove(&mut self.nexthops, &id, &mut changes.nexthops),
            Update::Route(message) => {
                let (prefix, family) = (message.prefix(), message.family());
                let applied = self.routes[family as usize].add(message);
                if applied == Applied::Changed {
                    changes.routes.insert(prefix);
                }
                applied
            }
            Update::RouteGone(message) => {
                let applied = self.routes[message.family() as usize].remove(&message);
                if applied == Applied::Changed {
                    changes.routes.insert(message.prefix());
                }
                applied
            }
        }
    }

    /// What a link takes with it when it goes.
    fn remove_link(&mut self, index: u32, changes: &mut Changes) -> Applied {
        self.drop_routes_by(index, true, changes);
        let applied = remove(&mut self.links, &index, &mut changes.links);
        if self.addresses.remove(&index).is_some() {
            changes.addresses.insert(index);
        }
        let gone =
            |table: &FdbTable| matches!(table, FdbTable::Bridge(of) | FdbTable::Link(of) if *of == index);
        self.neighbours.retain(|key, neighbour| {
            let is_gone = key.0 == index;
            if is_gone {
                changes.neighbour(*key, Some(neighbour), None);
            }
            !is_gone
        });
        self.fdb.retain(|key, entry| {
            let is_gone = gone(&key.table) || entry.link == index;
            if is_gone {
                changes.fdb.insert(key.clone());
            }
            !is_gone
        });
        applied
    }

    /// IPv4 routes that a link takes with it without a word; of IPv6 routes the kernel tells.
    fn drop_routes_by(&mut self, link: u32, is_gone: bool, changes: &mut Changes) {
        changes.routes.extend(self.routes[Family::Ipv4 as usize].drop_by(link, is_gone));
    }

    /// Nothing, for a list of the routes of a family: what is equal to something here will be the same.
    pub(super) fn emptied(&self, family: Family) -> Self {
        let mut emptied = Self::default();
        emptied.routes[family as usize] = self.routes[family as usize].emptied();
        emptied
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::netlink::message::{Message, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE};
    use crate::netlink::neighbour::Remote;
    use crate::netlink::route::{Hop, Placement, RouteMessage};
    use crate::netlink::update::Decoded;
    use crate::state::{HopFlags, LinkEntry, LinkFlags, LinkInfo, Mtu, RouteKind, RouteMetrics};
    use packetwalk_walk::wire::MacAddr;

    /// An Ethernet link that is up and has carrier.
    pub(in crate::netlink) fn link(name: &str) -> Link {
        Link {
            entry: LinkEntry {
                ifname: name.to_owned(),
                link: None,
                flags: Some(LinkFlags { up: true, loopback: false }),
                mtu: Some(Mtu::ETHERNET),
                master: None,
                link_type: Some("ether".to_owned()),
                address: None,
                linkinfo: LinkInfo::default(),
                addr_info: Vec::new(),
            },
            below: None,
            master: None,
            underlay: None,
            carrier: true,
            running: true,
        }
    }

    /// A store that has taken these in.
    pub(in crate::netlink) fn store(updates: Vec<Update>) -> Store {
        let mut store = Store::default();
        for update in updates {
            store.apply(update, &mut Changes::default());
        }
        store
    }

    /// A route of table main by link 1.
    pub(in crate::netlink) fn route(
        destination: &str,
        gateways: &[&str],
        placement: Placement,
    ) -> RouteMessage {
        let hops = gateways.iter().map(|gateway| Hop {
            gateway: Some(gateway.parse().expect("a gateway")),
            link: Some(1),
            weight: 1,
            flags: HopFlags::default(),
            encap: None,
        });
        let hops: Vec<_> = hops.collect();
        RouteMessage {
            table: TableId::MAIN,
            destination: destination.parse().expect("a prefix"),
            route: Route {
                tos: 0,
                metric: 0,
                kind: RouteKind::Unicast,
                protocol: 3,
                scope: 0,
                prefsrc: None,
                from: None,
                nhid: None,
                flags: HopFlags::default(),
                is_multipath: hops.len() > 1,
                hops,
                metrics: RouteMetrics::default(),
                pref: None,
            },
            placement,
        }
    }

    #[test]
    fn routes_go_on_behind_a_prefix_that_may_have_gone() {
        let mut store = Store::default();
        let all = ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"];
        for destination in all {
            add(&mut store, destination, &["1.1.1.1"], Placement::Last);
        }
        let behind = |after: Option<&str>| {
            let after = after.map(|prefix| (TableId::MAIN, prefix.parse().expect("a prefix")));
            store.routes_after(after).map(|((_, prefix), _)| prefix.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(behind(None), all);
        assert_eq!(behind(Some("10.1.0.0/16")), all[1..]);
        assert_eq!(behind(Some("10.1.7.0/24")), all[1..]);
        assert_eq!(behind(Some("10.3.0.0/16")), all[3..]);
        assert_eq!(behind(Some("2001:db8::/32")), all[3..]);
    }

    fn add(store: &mut Store, destination: &str, gateways: &[&str], placement: Placement) -> Applied {
        store.apply(Update::Route(route(destination, gateways, placement)), &mut Changes::default())
    }

    fn remove(store: &mut Store, destination: &str, gateways: &[&str]) -> Applied {
        store.apply(Update::RouteGone(route(destination, gateways, Placement::Last)), &mut Changes::default())
    }

    /// The gateways of a family's routes: next hops of one route joined, routes in order of preference.
    fn gateways(store: &Store, family: Family) -> Vec<String> {
        let text = |route: &Route| {
            let gateways = route.hops.iter().filter_map(|hop| hop.gateway).map(|gateway| gateway.to_string());
            gateways.collect::<Vec<_>>().join("+")
        };
        store.routes(family).flat_map(|(_, routes)| routes.iter().map(text)).collect()
    }

    const FOUR: &str = "10.0.0.0/8";
    const SIX: &str = "fd00::/64";

    #[test]
    fn ipv4_routes_of_one_key_are_ordered_as_the_kernel_orders_them() {
        let mut store = Store::default();
        add(&mut store, FOUR, &["1.1.1.1"], Placement::First);
        add(&mut store, FOUR, &["1.1.1.2"], Placement::Last);
        add(&mut store, FOUR, &["1.1.1.3"], Placement::First);
        assert_eq!(gateways(&store, Family::Ipv4), ["1.1.1.3", "1.1.1.1", "1.1.1.2"]);
        add(&mut store, FOUR, &["1.1.1.4"], Placement::Replace);
        assert_eq!(gateways(&store, Family::Ipv4), ["1.1.1.4", "1.1.1.1", "1.1.1.2"]);
        assert_eq!(remove(&mut store, FOUR, &["1.1.1.1"]), Applied::Changed);
        assert_eq!(gateways(&store, Family::Ipv4), ["1.1.1.4", "1.1.1.2"]);
        assert_eq!(remove(&mut store, FOUR, &["1.1.1.9"]), Applied::Unknown);
        remove(&mut store, FOUR, &["1.1.1.4"]);
        remove(&mut store, FOUR, &["1.1.1.2"]);
        assert_eq!(store.prefix_count(Family::Ipv4), 0);
        assert_eq!(remove(&mut store, FOUR, &["1.1.1.2"]), Applied::Nothing);
    }

    /// What was sent before a list was read may be taken in after it.
    #[test]
    fn a_route_that_is_known_is_not_added_twice() {
        let mut store = Store::default();
        add(&mut store, FOUR, &["1.1.1.1"], Placement::Last);
        add(&mut store, FOUR, &["1.1.1.2"], Placement::Last);
        for placement in [Placement::First, Placement::Last] {
            assert_eq!(add(&mut store, FOUR, &["1.1.1.2"], placement), Applied::Nothing);
        }
        let mut dead = route(FOUR, &["1.1.1.2"], Placement::Last);
        dead.route.hops[0].flags.dead = true;
        assert_eq!(store.apply(Update::Route(dead), &mut Changes::default()), Applied::Changed);
        assert_eq!(gateways(&store, Family::Ipv4), ["1.1.1.1", "1.1.1.2"]);
        assert_eq!(remove(&mut store, FOUR, &["1.1.1.2"]), Applied::Changed);
    }

    #[test]
    fn ipv6_next_hops_are_appended_to_and_taken_from_a_route() {
        let mut store = Store::default();
        add(&mut store, SIX, &["fe80::1"], Placement::Last);
        // The kernel names all next hops of the route, the new one first.
        add(&mut store, SIX, &["fe80::2", "fe80::1"], Placement::Last);
        assert_eq!(gateways(&store, Family::Ipv6), ["fe80::2+fe80::1"]);
        remove(&mut store, SIX, &["fe80::2"]);
        assert_eq!(gateways(&store, Family::Ipv6), ["fe80::1"]);
        let (_, routes) = store.routes(Family::Ipv6).next().expect("a route");
        assert!(!routes[0].is_multipath);
        add(&mut store, SIX, &["fe80::3", "fe80::4"], Placement::Replace);
        assert_eq!(gateways(&store, Family::Ipv6), ["fe80::3+fe80::4"]);
        remove(&mut store, SIX, &["fe80::3", "fe80::4"]);
        assert_eq!(store.prefix_count(Family::Ipv6), 0);
    }

    /// The kernel tells the routes of a nexthop object anew, and replaces one route by another, with the same flag.
    #[test]
    fn a_replacement_that_could_mean_two_routes_is_asked_for() {
        let by_object = |gateway, placement| {
            let mut message = route(FOUR, &[gateway], placement);
            message.route.nhid = Some(7);
            Update::Route(message)
        };
        let mut store = store(vec![by_object("1.1.1.1", Placement::Last)]);
        let mut apply = |update| store.apply(update, &mut Changes::default());
        assert_eq!(apply(by_object("1.1.1.2", Placement::Replace)), Applied::Changed);
        apply(Update::Route(route(FOUR, &["1.1.1.3"], Placement::First)));
        assert_eq!(apply(by_object("1.1.1.4", Placement::Replace)), Applied::Unknown);
        assert_eq!(gateways(&store, Family::Ipv4), ["1.1.1.3", "1.1.1.2"]);
    }

    #[test]
    fn flags_of_a_message_say_where_its_route_goes() {
        let mut payload = vec![2, 8, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        payload.extend(crate::netlink::attribute::tests::attribute(1, &[10, 0, 0, 0]));
        let placement = |flags| {
            let message = Message { kind: 24, flags, sequence: 0, payload: &payload };
            let Ok(Decoded::Update(Update::Route(route))) = Decoded::of(&message) else {
                unreachable!("it is a route")
            };
            route.placement
        };
        assert_eq!(placement(2), Placement::Listed);
        assert_eq!(placement(0), Placement::Last);
        assert_eq!(placement(NLM_F_CREATE), Placement::First);
        assert_eq!(placement(NLM_F_CREATE | NLM_F_APPEND), Placement::Last);
        assert_eq!(placement(NLM_F_REPLACE), Placement::Replace);
    }

    #[test]
    fn a_link_takes_its_neighbours_and_entries_with_it_and_its_name_is_looked_up_late() {
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let entry = |table| {
            let key = FdbKey { table, mac, vlan: 0, source_vni: 0, remote: None };
            Update::Fdb(
                key,
                Fdb { link: 1, remote: None, nhid: None, state: 0x80, flags: 0, extended_flags: 0 },
            )
        };
        let mut store = store(vec![
            Update::Link(1, Box::new(link("eth0"))),
            Update::Link(2, Box::new(link("br0"))),
            Update::Neighbour(
                (1, [10, 0, 0, 7].into()),
                Neighbour { lladdr: None, state: 2, is_external: false },
            ),
            Update::Neighbour(
                (2, [10, 0, 0, 7].into()),
                Neighbour { lladdr: None, state: 2, is_external: false },
            ),
            entry(FdbTable::Bridge(2)),
            entry(FdbTable::Link(2)),
            Update::Link(1, Box::new(link("renamed"))),
        ]);
        assert_eq!(store.node_state().neigh[0].dev, "renamed");
        let mut changes = Changes::default();
        store.apply(Update::LinkGone(1), &mut changes);
        assert_eq!((store.neighbours.len(), store.fdb.len()), (1, 0));
        assert_eq!((changes.links.len(), changes.neighbour_states.len(), changes.fdb.len()), (1, 1, 2));
    }

    #[test]
    fn a_vtep_that_moves_replaces_and_a_flooding_entry_is_added() {
        let entry = |mac: MacAddr, last: u8| {
            let remote = Remote { address: [10, 0, 0, last].into(), port: None, vni: None, link: None };
            let floods = mac == MacAddr([0; 6]);
            let key = FdbKey {
                table: FdbTable::Link(1),
                mac,
                vlan: 0,
                source_vni: 0,
                remote: floods.then_some(remote),
            };
            let fdb =
                Fdb { link: 1, remote: Some(remote), nhid: None, state: 0x80, flags: 2, extended_flags: 0 };
            Update::Fdb(key, fdb)
        };
        let station = MacAddr([2, 0, 0, 0, 0, 1]);
        let store = store(vec![
            entry(station, 1),
            entry(station, 2),
            entry(MacAddr([0; 6]), 3),
            entry(MacAddr([0; 6]), 4),
        ]);
        let remotes: Vec<_> =
            store.node_state().fdb.iter().map(|entry| entry.dst.expect("a remote")).collect();
        assert_eq!(remotes, [[10u8, 0, 0, 3], [10, 0, 0, 4], [10, 0, 0, 2]].map(IpAddr::from));
    }

    #[test]
    fn a_neighbour_that_ages_changes_no_way() {
        let key = (1, IpAddr::from([10, 0, 0, 7]));
        let mut store = Store::default();
        let mut changed = |last: u8, state| {
            let lladdr = crate::netlink::link::octets(&[2, 0, 0, 0, 0, last]);
            let mut changes = Changes::default();
            store
                .apply(Update::Neighbour(key, Neighbour { lladdr, state, is_external: false }), &mut changes);
            (changes.neighbours.len(), changes.neighbour_states.len())
        };
        let [incomplete, reachable, stale, probe, failed] = [0x01, 0x02, 0x04, 0x10, 0x20];
        assert_eq!(changed(1, incomplete), (0, 1));
        assert_eq!(changed(1, reachable), (1, 0));
        assert_eq!(changed(1, reachable), (0, 0));
        assert_eq!(changed(1, stale), (0, 1));
        assert_eq!(changed(1, probe), (0, 1));
        assert_eq!(changed(2, reachable), (1, 0));
        assert_eq!(changed(2, failed), (1, 0));
        assert_eq!(store.neighbours()[&key].state, failed);
        let mut changes = Changes::default();
        store.apply(Update::NeighbourGone(key), &mut changes);
        assert_eq!((changes.neighbours.len(), changes.neighbour_states.len()), (0, 1));
    }

    #[test]
    fn routes_of_a_prefix_are_told_as_the_kernel_prefers_them() {
        let mut store = Store::default();
        let mut add = |gateway, tos, metric| {
            let mut message = route(FOUR, &[gateway], Placement::Last);
            (message.route.tos, message.route.metric) = (tos, metric);
            assert_eq!(store.apply(Update::Route(message), &mut Changes::default()), Applied::Changed);
        };
        for (gateway, tos, metric) in [
            ("1.1.1.4", 0, 0),
            ("1.1.1.6", 0, 9),
            ("1.1.1.2", 8, 5),
            ("1.1.1.5", 0, 0),
            ("1.1.1.1", 16, 7),
            ("1.1.1.3", 8, 6),
        ] {
            add(gateway, tos, metric);
        }
        let entries = store.route_entries(TableId::MAIN, FOUR.parse().expect("a prefix"));
        let gateways: Vec<_> = entries.iter().map(|entry| entry.gateway.expect("a gateway")).collect();
        assert_eq!(gateways, [1, 2, 3, 4, 5, 6].map(|last| IpAddr::from([1, 1, 1, last])));
        assert_eq!(store.all_route_entries().collect::<Vec<_>>(), entries);
        assert_eq!(store.node_state_without_routes().route, []);
        assert_eq!(store.prefix_count(Family::Ipv4), 1);
        assert_eq!(store.route_entries(TableId::LOCAL, FOUR.parse().expect("a prefix")), []);
        // One that goes leaves those of another TOS or metric.
        let mut gone = route(FOUR, &["1.1.1.9"], Placement::Last);
        gone.route.tos = 16;
        gone.route.metric = 7;
        assert_eq!(store.apply(Update::RouteGone(gone.clone()), &mut Changes::default()), Applied::Changed);
        assert_eq!(store.apply(Update::RouteGone(gone), &mut Changes::default()), Applied::Nothing);
        assert_eq!(store.route_entries(TableId::MAIN, FOUR.parse().expect("a prefix")), entries[1..]);
    }

    #[test]
    fn a_switch_that_is_not_mentioned_stays() {
        let key = (Family::Ipv4, 1);
        let whole = Netconf {
            forwarding: Some(true),
            proxy_neigh: Some(false),
            ignore_routes_with_linkdown: Some(false),
        };
        let part = Netconf { proxy_neigh: Some(true), ..Netconf::default() };
        let store = store(vec![Update::Netconf(key, whole), Update::Netconf(key, part)]);
        assert_eq!(store.netconf[&key], Netconf { proxy_neigh: Some(true), ..whole });
    }
}
