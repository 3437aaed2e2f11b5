//! What a message makes doubtful beside its own object: things that the kernel changes without a message about them.
//!
//! - A link that goes down or away takes its IPv4 routes and its nexthop objects with it in silence, and kills next hops
//!   of others; carrier changes next hops, too. The routes that lead nowhere else are taken out at once
//!   ([`super::by_link`]); of the others those by the link are listed, where there are any.
//! - An address that goes takes with it the IPv4 routes that prefer it as their source; IPv6 routes lose that preference.
//!   The last one of a link takes its IPv4 routes, the first one revives next hops.
//! - A nexthop object that goes takes its IPv4 routes with it, and leaves the groups that it is in.
//! - The order of a link's addresses is nowhere in the messages about them.
//! - Next hops without carrier are dead while their link says so.
//!
//! What is doubtful is listed again, links always first (see [`Object`]).

use super::family::Family;
use super::link::Link;
use super::object::{Object, Question};
use super::store::Store;
use super::update::Update;
use std::collections::BTreeSet;

/// What is doubtful.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubts {
    /// What has to be listed.
    pub(super) questions: BTreeSet<Question>,
    /// Links whose state changed: the flags of next hops by them may have.
    pub(super) flags_by: BTreeSet<u32>,
}

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

impl Doubts {
    /// Everything.
    pub(super) fn all() -> Self {
        Self { questions: Object::ALL.map(Question::All).into(), flags_by: BTreeSet::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.questions.is_empty() && self.flags_by.is_empty()
    }

    /// All of a kind.
    pub(super) fn kind(&mut self, object: Object) {
        self.questions.insert(Question::All(object));
    }

    /// Adds those of new messages. Links are asked for first, because of what the messages do to routes behind them.
    pub(super) fn extend(&mut self, others: Self) {
        let is_about_routes = |question: &Question| {
            matches!(question.object(), Object::Routes4 | Object::Routes6 | Object::Nexthops)
        };
        if !others.flags_by.is_empty() || others.questions.iter().any(is_about_routes) {
            self.kind(Object::Links);
        }
        self.questions.extend(others.questions);
        self.flags_by.extend(others.flags_by);
    }

    /// What is doubtful once `update` is taken in; `store` is as it was before.
    pub(super) fn note(&mut self, update: &Update, store: &Store) {
        match update {
            Update::Link(index, link) => {
                if let Some(known) = store.links.get(index) {
                    self.link_changed(*index, known, link, store);
                } else if link.is_up() {
                    // It was up before it was known.
                    self.state_of(*index, store);
                }
            }
            Update::LinkGone(index) => self.state_of(*index, store),
            Update::Address(index, address) => {
                let known = store.addresses.get(index).map_or(&[][..], Vec::as_slice);
                if !known.contains(address) {
                    self.order_of_addresses();
                    self.flags_by.insert(*index);
                }
            }
            Update::AddressGone(index, address) => {
                self.order_of_addresses();
                let family = if address.local.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
                let routes = &store.routes[family as usize];
                if routes.any(|route| route.prefsrc == Some(address.local)) {
                    self.kind(Object::routes(family));
                }
                let mut others = store.addresses.get(index).into_iter().flatten();
                let is_other = others.any(|other| other.local.is_ipv4() && other != address);
                if family == Family::Ipv4 && !is_other && routes.any(|route| route.leads_by(*index)) {
                    self.questions.insert(Question::RoutesBy(family, *index));
                }
            }
            Update::NexthopGone(id) => {
                let holds = |(group, nexthop): (&u32, &super::Nexthop)| {
                    nexthop.group.iter().any(|(member, _)| member == id).then_some(*group)
                };
                let ids: BTreeSet<_> = store.nexthops.iter().filter_map(holds).chain([*id]).collect();
                if ids.len() > 1 {
                    self.kind(Object::Nexthops);
                }
                for family in FAMILIES {
                    let has_one = |nhid: Option<u32>| nhid.is_some_and(|nhid| ids.contains(&nhid));
                    if store.routes[family as usize].any(|route| has_one(route.nhid)) {
                        self.kind(Object::routes(family));
                    }
                }
            }
            Update::Netconf(key, news) => {
                let known = store.netconf.get(key).and_then(|known| known.ignore_routes_with_linkdown);
                let is_new = news.ignore_routes_with_linkdown.is_some_and(|news| Some(news) != known);
                let is_without_carrier =
                    |route: &super::Route| route.hops.iter().any(|hop| hop.flags.linkdown);
                if is_new && store.routes[key.0 as usize].any(is_without_carrier) {
                    self.kind(Object::routes(key.0));
                }
            }
            _ => {}
        }
    }

    fn link_changed(&mut self, index: u32, known: &Link, link: &Link, store: &Store) {
        if (known.is_up(), known.carrier, known.running) != (link.is_up(), link.carrier, link.running) {
            self.state_of(index, store);
        }
        // Below 1280 and below 68 bytes IPv6 and IPv4 are taken off the link.
        let is_small = |link: &Link| link.entry.mtu.is_none_or(|mtu| mtu.bytes() < 1280);
        let is_vrf = |master: Option<u32>| {
            let master = master.map(|master| store.links.get(&master));
            let kind = |link: &Link| link.entry.linkinfo.info_kind.as_deref() == Some("vrf");
            master.is_some_and(|link| link.is_none_or(kind))
        };
        let moves = known.master != link.master && (is_vrf(known.master) || is_vrf(link.master));
        if moves || (known.entry.mtu != link.entry.mtu && (is_small(known) || is_small(link))) {
            for family in FAMILIES {
                self.kind(Object::routes(family));
            }
        }
    }

    /// A link went up, down or away, or won or lost its carrier.
    fn state_of(&mut self, index: u32, store: &Store) {
        self.flags_by.insert(index);
        if store.nexthops.values().any(|nexthop| nexthop.link == Some(index)) {
            self.kind(Object::Nexthops);
        }
    }

    fn order_of_addresses(&mut self) {
        self.kind(Object::Links);
        self.kind(Object::Addresses);
    }

    /// Turns links into questions: asked is only for routes that the store has, and whose flags are not what the link makes
    /// of them. What the kernel does tell of has been taken in by now.
    pub(super) fn resolve_links(&mut self, store: &Store) {
        for index in std::mem::take(&mut self.flags_by) {
            for family in FAMILIES {
                let routes = &store.routes[family as usize];
                let is_behind = match store.links.get(&index) {
                    Some(link) => routes.flags_are_behind(index, link),
                    None => routes.any(|route| route.leads_by(index)),
                };
                if is_behind && !self.questions.contains(&Question::All(Object::routes(family))) {
                    self.questions.insert(Question::RoutesBy(family, index));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::changes::Changes;
    use crate::netlink::netconf::Netconf;
    use crate::netlink::nexthop::Nexthop;
    use crate::netlink::route::{Placement, RouteMessage};
    use crate::netlink::store::tests::{link, route, store};
    use crate::state::{AddressEntry, LinkFlags, Mtu, Scope};

    fn address(local: &str) -> AddressEntry {
        AddressEntry {
            local: local.parse().expect("an address"),
            subnet: format!("{local}/32")
                .parse()
                .or_else(|_| format!("{local}/128").parse())
                .expect("a subnet"),
            broadcast: None,
            scope: Scope::GLOBAL,
            secondary: false,
        }
    }

    fn doubts(update: &Update, store: &Store) -> Doubts {
        let mut doubts = Doubts::default();
        doubts.note(update, store);
        doubts
    }

    fn kinds(doubts: &Doubts) -> Vec<Object> {
        doubts.questions.iter().map(|question| question.object()).collect()
    }

    /// A link, and a route by it.
    fn known(change: fn(&mut RouteMessage)) -> Store {
        let mut message = route("10.9.0.0/16", &["10.0.0.7"], Placement::Last);
        change(&mut message);
        store(vec![Update::Link(1, Box::new(link("eth0"))), Update::Route(message)])
    }

    #[test]
    fn a_link_whose_state_changes_makes_flags_doubtful() {
        let store = known(|_| {});
        let changed = |change: fn(&mut Link)| {
            let mut link = link("eth0");
            change(&mut link);
            doubts(&Update::Link(1, Box::new(link)), &store)
        };
        let flags = Doubts { questions: BTreeSet::new(), flags_by: BTreeSet::from([1]) };
        assert_eq!(changed(|_| {}), Doubts::default());
        assert_eq!(changed(|link| link.entry.ifname = "eth7".to_owned()), Doubts::default());
        assert_eq!(changed(|link| link.entry.mtu = Mtu::new(9000)), Doubts::default());
        assert_eq!(changed(|link| link.entry.linkinfo.info_slave_data.hairpin = true), Doubts::default());
        assert_eq!(changed(|link| link.entry.flags = Some(LinkFlags::default())), flags);
        assert_eq!(changed(|link| link.carrier = false), flags);
        assert_eq!(changed(|link| link.running = false), flags);
        assert_eq!(doubts(&Update::LinkGone(1), &store), flags);
        let both = [Object::Routes4, Object::Routes6];
        assert_eq!(kinds(&changed(|link| link.entry.mtu = Mtu::new(1000))), both);
        // A master that is not known may be a VRF.
        assert_eq!(kinds(&changed(|link| link.master = Some(7))), both);
        let mut down = link("eth1");
        down.entry.flags = Some(LinkFlags::default());
        assert_eq!(doubts(&Update::Link(2, Box::new(down)), &store), Doubts::default());
    }

    /// The kernel acts upon carrier up to a second after the first message that shows it.
    #[test]
    fn routes_by_a_link_are_asked_for_where_their_flags_are_behind_it() {
        let mut store = known(|_| {});
        let mut asked = |link: Link| {
            let update = Update::Link(1, Box::new(link));
            let mut doubts = doubts(&update, &store);
            store.apply(update, &mut Changes::default());
            doubts.resolve_links(&store);
            doubts.questions
        };
        let by_link = BTreeSet::from([Question::RoutesBy(Family::Ipv4, 1)]);
        assert_eq!(asked(Link { carrier: false, ..link("eth0") }), by_link);
        assert_eq!(asked(Link { carrier: false, running: false, ..link("eth0") }), by_link);
        // It came back before the flags were ever seen.
        assert_eq!(asked(link("eth0")), BTreeSet::new());

        // All routes are asked for anyway.
        let mut doubts = Doubts { flags_by: BTreeSet::from([1]), ..Doubts::default() };
        doubts.kind(Object::Routes4);
        store.apply(
            Update::Link(1, Box::new(Link { running: false, ..link("eth0") })),
            &mut Changes::default(),
        );
        doubts.resolve_links(&store);
        assert_eq!(doubts.questions, BTreeSet::from([Question::All(Object::Routes4)]));
        let mut doubts = Doubts { flags_by: BTreeSet::from([7]), ..Doubts::default() };
        doubts.resolve_links(&store);
        assert!(doubts.is_empty(), "no route leads by it");
    }

    #[test]
    fn an_address_that_goes_makes_the_routes_doubtful_that_it_may_take_along() {
        let own = address("10.0.0.1");
        let other = Update::Address(1, address("10.0.0.2"));
        let with = |mut store: Store, updates: &[Update]| {
            for update in updates {
                store.apply(update.clone(), &mut Changes::default());
            }
            store
        };
        let both = with(known(|_| {}), &[Update::Address(1, own.clone()), other.clone()]);
        assert_eq!(doubts(&Update::Address(1, own.clone()), &both), Doubts::default());
        let order = [Object::Links, Object::Addresses];
        assert_eq!(kinds(&doubts(&Update::AddressGone(1, own.clone()), &both)), order);
        assert_eq!(kinds(&doubts(&Update::Address(1, address("10.0.0.3")), &both)), order);
        assert_eq!(doubts(&Update::Address(1, address("10.0.0.3")), &both).flags_by, BTreeSet::from([1]));

        let last = with(known(|_| {}), &[Update::Address(1, own.clone())]);
        let gone = doubts(&Update::AddressGone(1, own.clone()), &last);
        assert!(gone.questions.contains(&Question::RoutesBy(Family::Ipv4, 1)), "{gone:?}");

        let source = known(|message| message.route.prefsrc = "10.0.0.1".parse().ok());
        let preferred = with(source, &[Update::Address(1, own.clone()), other]);
        let gone = doubts(&Update::AddressGone(1, own), &preferred);
        assert_eq!(kinds(&gone), [Object::Links, Object::Addresses, Object::Routes4]);
    }

    #[test]
    fn a_nexthop_object_that_goes_makes_the_routes_doubtful_that_used_it() {
        let group = Nexthop { group: vec![(1, 1), (2, 1)], ..Nexthop::default() };
        let with = |nhid| {
            let mut store = known(|_| {});
            let mut message = route("10.8.0.0/16", &["10.0.0.7"], Placement::Last);
            message.route.nhid = Some(nhid);
            store.apply(Update::Route(message), &mut Changes::default());
            store.apply(Update::Nexthop(9, group.clone()), &mut Changes::default());
            store
        };
        assert_eq!(kinds(&doubts(&Update::NexthopGone(3), &with(3))), [Object::Routes4]);
        assert_eq!(kinds(&doubts(&Update::NexthopGone(3), &with(4))), []);
        assert_eq!(kinds(&doubts(&Update::NexthopGone(2), &with(9))), [Object::Nexthops, Object::Routes4]);
    }

    #[test]
    fn a_switch_that_kills_next_hops_makes_routes_doubtful() {
        let ignore = |value| Netconf { ignore_routes_with_linkdown: Some(value), ..Netconf::default() };
        let after = |mut store: Store, netconf| {
            store.apply(Update::Netconf((Family::Ipv4, 1), ignore(false)), &mut Changes::default());
            kinds(&doubts(&Update::Netconf((Family::Ipv4, 1), netconf), &store))
        };
        let without_carrier = || known(|message| message.route.hops[0].flags.linkdown = true);
        assert_eq!(after(without_carrier(), ignore(false)), []);
        assert_eq!(after(without_carrier(), ignore(true)), [Object::Routes4]);
        assert_eq!(after(known(|_| {}), ignore(true)), []);
        let other = Netconf { forwarding: Some(true), ..Netconf::default() };
        assert_eq!(after(without_carrier(), other), []);
    }

    #[test]
    fn links_are_asked_for_before_routes() {
        let mut doubts = Doubts::default();
        let mut others = Doubts::default();
        others.kind(Object::Rules4);
        doubts.extend(others);
        assert_eq!(kinds(&doubts), [Object::Rules4]);
        doubts.extend(Doubts { flags_by: BTreeSet::from([1]), ..Doubts::default() });
        assert_eq!(kinds(&doubts), [Object::Links, Object::Rules4]);
    }
}
