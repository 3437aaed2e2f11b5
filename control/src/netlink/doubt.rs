//! What a message makes doubtful beside its own object: things that the kernel changes without a message about them.
//!
//! - A link that goes down or away takes its IPv4 routes and its nexthop objects with it in silence, and kills next hops
//!   of others (IPv6 tells which routes go, not which next hops die). Carrier changes next hops, too.
//! - An address that goes takes with it the IPv4 routes that prefer it as their source; IPv6 routes lose that preference.
//! - A nexthop object that goes takes its IPv4 routes with it.
//! - The order of a link's addresses is nowhere in the messages about them.
//! - Next hops without carrier are dead while their link says so.
//!
//! What is doubtful is listed again, links always first (see [`Object`]).

use super::family::Family;
use super::link::Link;
use super::object::Object;
use super::store::Store;
use super::update::Update;

const AFTER_LINK: &[Object] =
    &[Object::Links, Object::Addresses, Object::Nexthops, Object::Routes4, Object::Routes6];
const AFTER_ADDRESS4: &[Object] = &[Object::Links, Object::Addresses, Object::Routes4];
const AFTER_ADDRESS6: &[Object] = &[Object::Links, Object::Addresses, Object::Routes6];
const AFTER_NEXTHOP: &[Object] = &[Object::Links, Object::Nexthops, Object::Routes4, Object::Routes6];

/// What is doubtful once `update` is taken in; `store` is as it was before.
pub(super) fn doubts(update: &Update, store: &Store) -> &'static [Object] {
    match update {
        Update::Link(index, link) => match store.links.get(index) {
            Some(known) if !matters_to_routes(known, link) => &[],
            // Nothing leads by a link that has not been up.
            None if !link.is_up() => &[],
            _ => AFTER_LINK,
        },
        Update::LinkGone(_) => AFTER_LINK,
        Update::Address(index, address) | Update::AddressGone(index, address) => {
            let is_known = store.addresses.get(index).is_some_and(|known| known.contains(address));
            match (update, address.local.is_ipv4()) {
                (Update::Address(..), _) if is_known => &[],
                (_, true) => AFTER_ADDRESS4,
                (_, false) => AFTER_ADDRESS6,
            }
        }
        Update::NexthopGone(_) => AFTER_NEXTHOP,
        Update::Netconf(key, news) => {
            let known = store.netconf.get(key).and_then(|known| known.ignore_routes_with_linkdown);
            match (news.ignore_routes_with_linkdown, key.0) {
                (None, _) => &[],
                (news, _) if news == known => &[],
                (_, Family::Ipv4) => &[Object::Routes4],
                (_, Family::Ipv6) => &[Object::Routes6],
            }
        }
        _ => &[],
    }
}

/// Whether routes may change because of what differs between the two.
fn matters_to_routes(known: &Link, news: &Link) -> bool {
    known.is_up() != news.is_up()
        || known.carrier != news.carrier
        || known.master != news.master
        // Below 1280 and below 68 bytes IPv6 and IPv4 are taken off the link.
        || known.entry.mtu != news.entry.mtu
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::netconf::Netconf;
    use crate::netlink::store::tests::{link, store};
    use crate::state::{AddressEntry, LinkFlags, Scope};

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

    #[test]
    fn a_link_that_goes_down_or_away_makes_routes_doubtful() {
        let store = store(vec![Update::Link(1, Box::new(link("eth0")))]);
        let changed = |change: fn(&mut Link)| {
            let mut link = link("eth0");
            change(&mut link);
            doubts(&Update::Link(1, Box::new(link)), &store)
        };
        assert_eq!(changed(|_| {}), []);
        assert_eq!(changed(|link| link.entry.ifname = "eth7".to_owned()), []);
        assert_eq!(changed(|link| link.entry.linkinfo.info_slave_data.hairpin = true), []);
        assert_eq!(changed(|link| link.entry.flags = Some(LinkFlags::default())), AFTER_LINK);
        assert_eq!(changed(|link| link.carrier = false), AFTER_LINK);
        assert_eq!(changed(|link| link.master = Some(7)), AFTER_LINK);
        assert_eq!(doubts(&Update::LinkGone(1), &store), AFTER_LINK);
        assert_eq!(doubts(&Update::Link(2, Box::new(link("eth1"))), &store), AFTER_LINK);
        let mut down = link("eth1");
        down.entry.flags = Some(LinkFlags::default());
        assert_eq!(doubts(&Update::Link(2, Box::new(down)), &store), []);
    }

    #[test]
    fn an_address_that_comes_or_goes_makes_routes_of_its_family_doubtful() {
        let own = address("10.0.0.1");
        let store = store(vec![Update::Address(1, own.clone())]);
        assert_eq!(doubts(&Update::Address(1, own.clone()), &store), []);
        assert_eq!(doubts(&Update::AddressGone(1, own), &store), AFTER_ADDRESS4);
        assert_eq!(doubts(&Update::Address(1, address("10.0.0.2")), &store), AFTER_ADDRESS4);
        assert_eq!(doubts(&Update::Address(1, address("fd00::2")), &store), AFTER_ADDRESS6);
    }

    #[test]
    fn a_switch_that_kills_next_hops_makes_routes_doubtful() {
        let ignore = |value| Netconf { ignore_routes_with_linkdown: Some(value), ..Netconf::default() };
        let store = store(vec![Update::Netconf((Family::Ipv4, 1), ignore(false))]);
        let after = |netconf| doubts(&Update::Netconf((Family::Ipv4, 1), netconf), &store);
        assert_eq!(after(ignore(false)), []);
        assert_eq!(after(ignore(true)), [Object::Routes4]);
        assert_eq!(after(Netconf { forwarding: Some(true), ..Netconf::default() }), []);
    }
}
