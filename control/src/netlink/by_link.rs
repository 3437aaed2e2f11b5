//! The routes by one link: what the kernel takes away with it without a word, and a list of just them taken over.

use super::family::Family;
use super::link::Link;
use super::route::Route;
use super::routes::{Aliases, Routes};
use crate::state::{RouteKind, TableId};
use ipnet::IpNet;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// A prefix, in its table.
type Prefix = (TableId, IpNet);

/// `RT_SCOPE_HOST`: routes to the node itself, which outlive a link that is only down.
const HOST: u8 = 254;

impl Routes {
    /// Whether a route is so.
    pub(super) fn any(&self, is_so: impl Fn(&Route) -> bool) -> bool {
        self.lists().any(|list| list.iter().any(&is_so))
    }

    /// Whether the flags of a next hop by a link may not be what its state makes of them.
    pub(super) fn flags_are_behind(&self, number: u32, link: &Link) -> bool {
        let is_well = link.is_up() && link.carrier && link.running;
        self.any(|route| {
            let mut hops = route.hops.iter().filter(|hop| hop.link == Some(number));
            if is_well {
                return hops.any(|hop| hop.flags.dead || hop.flags.linkdown);
            }
            let is_exempt =
                route.scope == HOST || matches!(route.kind, RouteKind::Local | RouteKind::Anycast);
            !is_exempt && hops.any(|hop| !(hop.flags.dead && hop.flags.linkdown))
        })
    }

    /// Takes out what the kernel takes out in silence when a link goes down or, where `is_gone`, away: the routes that lead
    /// nowhere else; while the link exists, not those to the node itself. Returns the prefixes that had one.
    pub(super) fn drop_by(&mut self, link: u32, is_gone: bool) -> Vec<Prefix> {
        let goes = |route: &Route| route.leads_only_by(link) && (is_gone || route.scope != HOST);
        let prefixes = self.prefixes_where(|list| list.iter().any(goes));
        for (table, destination) in &prefixes {
            let mut routes = self.of_prefix(*table, *destination).to_vec();
            routes.retain(|route| !goes(route));
            self.set(*table, *destination, routes);
        }
        prefixes
    }

    /// Takes over which routes lead by a link from a list of just those, but for prefixes that were spoken of meanwhile. Err,
    /// with nothing taken over, where that list leaves open what became of a route: all must be listed.
    pub(super) fn adopt_by(
        &mut self,
        family: Family,
        link: u32,
        fresh: &Self,
        spoken_of: &BTreeSet<Prefix>,
    ) -> Result<Vec<Prefix>, Ambiguous> {
        let leading = self.prefixes_where(|list| list.iter().any(|route| route.leads_by(link)));
        let prefixes: BTreeSet<_> =
            leading.into_iter().chain(fresh.iter().map(|(prefix, _)| prefix)).collect();
        let mut changed = Vec::new();
        for (table, destination) in prefixes.difference(spoken_of).copied() {
            let old = self.of_prefix(table, destination);
            let merged = merged(family, old, fresh.of_prefix(table, destination), link).ok_or(Ambiguous)?;
            if merged != old {
                changed.push(((table, destination), merged));
            }
        }
        let prefixes = changed.iter().map(|(prefix, _)| *prefix).collect();
        for ((table, destination), routes) in changed {
            self.set(table, destination, routes);
        }
        Ok(prefixes)
    }

    /// The prefixes whose lists are so. A million of them are told apart by the few lists that they share, and the search
    /// ends with the last that is expected.
    fn prefixes_where(&self, is_so: impl Fn(&Aliases) -> bool) -> Vec<Prefix> {
        let lists: HashSet<_> = self.lists().filter(|list| is_so(list)).map(Arc::as_ptr).collect();
        if lists.is_empty() {
            return Vec::new();
        }
        // One count of each is the set's.
        let expected = self.lists().filter(|list| lists.contains(&Arc::as_ptr(list)));
        let expected = expected.map(|list| Arc::strong_count(list) - 1).sum();
        let found = self.iter_shared().filter(|(_, list)| lists.contains(&Arc::as_ptr(list)));
        found.map(|(prefix, _)| prefix).take(expected).collect()
    }
}

/// A list of the routes by one link does not say what became of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ambiguous;

/// The routes of a prefix, of which `fresh` are those that lead by `link` now. None: their order, or what became of one that
/// leads by other links, too, cannot be told.
fn merged(family: Family, old: &[Route], fresh: &[Route], link: u32) -> Option<Vec<Route>> {
    if old.iter().all(|route| route.leads_only_by(link)) {
        return Some(fresh.to_vec());
    }
    let mut rest = fresh.to_vec();
    let mut merged = Vec::new();
    for route in old {
        match rest.iter().position(|news| news.is_same_route(route)) {
            Some(place) => merged.push(rest.remove(place)),
            None if !route.leads_by(link) => merged.push(route.clone()),
            // An IPv4 route has its next hops as long as it lives, unless a group of objects holds them.
            None if route.leads_only_by(link) || (family == Family::Ipv4 && route.nhid.is_none()) => {}
            None => return None,
        }
    }
    rest.is_empty().then_some(merged)
}

#[cfg(test)]
mod tests {
    use super::super::changes::Changes;
    use super::super::store::tests::{link, route};
    use super::super::update::Update;
    use super::*;
    use crate::netlink::route::Placement;
    use crate::netlink::store::Store;

    /// A store whose prefixes lead by these links, in this order.
    fn store(prefixes: &[(&str, &[&[u32]])]) -> Store {
        let mut store = Store::default();
        for (destination, routes) in prefixes {
            for (number, links) in routes.iter().enumerate() {
                let gateways: Vec<_> = links.iter().map(|link| format!("10.{link}.0.{number}")).collect();
                let gateways: Vec<_> = gateways.iter().map(String::as_str).collect();
                let mut message = route(destination, &gateways, Placement::Last);
                for (hop, link) in message.route.hops.iter_mut().zip(*links) {
                    hop.link = Some(*link);
                }
                store.apply(Update::Route(message), &mut Changes::default());
            }
        }
        store
    }

    fn routes(store: &Store) -> &Routes {
        &store.routes[Family::Ipv4 as usize]
    }

    fn prefixes(texts: &[&str]) -> Vec<Prefix> {
        texts.iter().map(|text| (TableId::MAIN, text.parse().expect("a prefix"))).collect()
    }

    #[test]
    fn a_link_takes_the_routes_that_lead_nowhere_else() {
        let mut known = store(&[
            ("10.1.0.0/16", &[&[1]]),
            ("10.2.0.0/16", &[&[2]]),
            ("10.3.0.0/16", &[&[1], &[2]]),
            ("10.4.0.0/16", &[&[1, 2]]),
            ("10.5.0.0/16", &[&[1, 1]]),
        ]);
        let mut home = route("10.6.0.0/16", &["10.1.0.1"], Placement::Last);
        home.route.scope = HOST;
        known.apply(Update::Route(home), &mut Changes::default());

        let mut changes = Changes::default();
        let mut down = link("eth0");
        down.entry.flags = Some(crate::state::LinkFlags::default());
        known.apply(Update::Link(1, Box::new(down)), &mut changes);
        let dropped = ["10.1.0.0/16", "10.3.0.0/16", "10.5.0.0/16"];
        assert_eq!(changes.routes.into_iter().collect::<Vec<_>>(), prefixes(&dropped));
        assert_eq!(known.prefix_count(Family::Ipv4), 4);
        let left = known.routes_of(TableId::MAIN, "10.3.0.0/16".parse().expect("a prefix"));
        assert_eq!(left.iter().map(|route| route.hops[0].link).collect::<Vec<_>>(), [Some(2)]);

        let mut changes = Changes::default();
        known.apply(Update::LinkGone(1), &mut changes);
        assert_eq!(changes.routes.into_iter().collect::<Vec<_>>(), prefixes(&["10.6.0.0/16"]));
        assert!(routes(&known).any(|route| route.leads_by(1)), "a route with another way stays");
    }

    #[test]
    fn a_list_of_the_routes_by_a_link_is_taken_over() {
        let mut known = store(&[
            ("10.1.0.0/16", &[&[1]]),
            ("10.2.0.0/16", &[&[2], &[1, 2], &[1]]),
            ("10.3.0.0/16", &[&[1]]),
            ("10.4.0.0/16", &[&[2]]),
        ]);
        let mut fresh = store(&[("10.1.0.0/16", &[&[1]]), ("10.2.0.0/16", &[])]);
        // The second of three, with a next hop that died.
        let second = known.routes_of(TableId::MAIN, "10.2.0.0/16".parse().expect("a prefix"))[1].clone();
        let mut message = route("10.2.0.0/16", &[], Placement::Listed);
        message.route = second;
        message.route.hops[0].flags.dead = true;
        fresh.apply(Update::Route(message), &mut Changes::default());

        let known = &mut known.routes[Family::Ipv4 as usize];
        let all = known.clone();
        let changed = known.adopt_by(Family::Ipv4, 1, routes(&fresh), &BTreeSet::new()).expect("all is told");
        assert_eq!(changed, prefixes(&["10.2.0.0/16", "10.3.0.0/16"]));
        let (table, destination) = prefixes(&["10.2.0.0/16"])[0];
        let links = |route: &Route| route.hops.iter().filter_map(|hop| hop.link).collect::<Vec<_>>();
        let left = known.of_prefix(table, destination);
        assert_eq!(left.iter().map(links).collect::<Vec<_>>(), [vec![2], vec![1, 2]]);
        assert!(left[1].hops[0].flags.dead && !left[1].hops[1].flags.dead);

        // What was spoken of meanwhile is left alone.
        let mut known = all;
        let spoken_of = prefixes(&["10.2.0.0/16"]).into_iter().collect();
        let changed = known.adopt_by(Family::Ipv4, 1, routes(&fresh), &spoken_of).expect("all is told");
        assert_eq!(changed, prefixes(&["10.3.0.0/16"]));
    }

    #[test]
    fn a_list_by_a_link_that_leaves_a_route_open_changes_nothing() {
        let known = store(&[("10.1.0.0/16", &[&[1]]), ("10.2.0.0/16", &[&[2]])]);
        // A route by the link that nobody spoke of, behind or before the known one.
        let fresh = store(&[("10.2.0.0/16", &[&[1]])]);
        let mut adopting = routes(&known).clone();
        let adopted = adopting.adopt_by(Family::Ipv4, 1, routes(&fresh), &BTreeSet::new());
        assert_eq!(adopted, Err(Ambiguous));
        assert_eq!(adopting.difference(routes(&known)).next(), None);
        // The route of a group of objects that lost the one by the link, or is gone.
        let mut grouped = store(&[("10.3.0.0/16", &[&[1, 2]])]);
        let mut adopting = routes(&grouped).clone();
        assert_eq!(
            adopting.adopt_by(Family::Ipv4, 1, &Routes::default(), &BTreeSet::new()).map(|all| all.len()),
            Ok(1)
        );
        let mut message = route("10.4.0.0/16", &["10.1.0.1", "10.2.0.1"], Placement::Last);
        message.route.nhid = Some(7);
        message.route.hops[1].link = Some(2);
        grouped.apply(Update::Route(message), &mut Changes::default());
        let mut adopting = routes(&grouped).clone();
        let adopted = adopting.adopt_by(Family::Ipv4, 1, &Routes::default(), &BTreeSet::new());
        assert_eq!(adopted, Err(Ambiguous));
    }

    #[test]
    fn flags_are_behind_where_they_are_not_what_the_link_makes_of_them() {
        let mut known = store(&[("10.1.0.0/16", &[&[1, 2]])]);
        let well = link("eth0");
        let unwell = Link { running: false, ..link("eth0") };
        assert!(!routes(&known).flags_are_behind(1, &well));
        assert!(routes(&known).flags_are_behind(1, &unwell));
        assert!(!routes(&known).flags_are_behind(3, &unwell));
        let mut message = route("10.2.0.0/16", &["10.1.0.1"], Placement::Last);
        message.route.hops[0].flags.linkdown = true;
        known.apply(Update::Route(message), &mut Changes::default());
        assert!(routes(&known).flags_are_behind(1, &well));
    }
}
