//! Adjacencies and groups, numbered so that a route keeps its hop while what lies behind the hop changes.

use super::slots::Slots;
use super::{Member, Request, Way};
use crate::rib::{Rib, Route};
use crate::state::{RouteKind, TableId};
use ipnet::Ipv4Net;
use packetwalk_walk::tables::{Action, Adjacency, AdjacencyId, Group, HopId, LinkId};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What an adjacency is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum AdjacencyKey {
    /// It needs no next hop.
    Verdict(Action),
    /// An own address.
    Local(LinkId, Option<Ipv4Addr>),
    /// A next hop that names no link, of routes that prefer this source.
    Linkless(Option<Ipv4Addr>),
    /// One of the ways of a next hop.
    NextHop(Request, u32),
}

/// An adjacency, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) adjacency: Adjacency,
    pub(super) way: Way,
}

/// A group, and its members' weights and adjacencies.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) group: Group,
    pub(super) members: Vec<(u16, AdjacencyId)>,
}

/// What groups there are is all in their keys.
impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.members == other.members
    }
}

/// A route whose hop is known, with the destination where the hop depends on it.
#[derive(Clone, Debug)]
pub(crate) struct RouteHop {
    route: Arc<Route>,
    /// The destination itself is the next hop.
    host: Option<Ipv4Addr>,
}

/// Equal routes are one in a RIB, so which one it is says all.
impl PartialEq for RouteHop {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.route, &other.route) && self.host == other.host
    }
}

impl Eq for RouteHop {}

impl Hash for RouteHop {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.route).hash(state);
        self.host.hash(state);
    }
}

impl RouteHop {
    pub(crate) fn new(prefix: Ipv4Net, route: &Arc<Route>) -> Self {
        let is_direct =
            || route.kind == RouteKind::Unicast && route.usable_hops().any(|hop| hop.gateway.is_none());
        let host = (prefix.prefix_len() == 32 && is_direct()).then(|| prefix.addr());
        Self { route: Arc::clone(route), host }
    }

    pub(super) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Whether one of these tables prefers the route for its host.
    fn is_of_host(&self, rib: &Rib, tables: &HashSet<TableId>) -> bool {
        let Some(host) = self.host else { return true };
        let mut preferred = tables.iter().filter_map(|id| rib.table(*id)?.preferred(host.into()));
        preferred.any(|route| Arc::ptr_eq(route, &self.route))
    }

    /// Whether somebody holds the route beside this and the RIB's list of distinct routes.
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.route) > 2
    }
}

/// The hop of a route, and a prefix that has it: to name it by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) hop: HopId,
    pub(super) example: (TableId, Ipv4Net),
}

/// All hops. Kept from one state of the node to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hops {
    pub(super) adjacencies: Slots<AdjacencyKey, Resolved>,
    pub(super) groups: Slots<Vec<(u64, u16, AdjacencyId)>, Shared>,
    pub(super) routes: HashMap<RouteHop, Known>,
    /// Next hops of this pass.
    pub(super) resolved: HashMap<Request, Vec<Member>>,
    /// Links that have neighbours to be looked up.
    pub(super) connected: BTreeSet<LinkId>,
    /// Neighbours that next hops need, known or not.
    pub(super) wanted: BTreeSet<(LinkId, IpAddr)>,
}

impl Hops {
    /// Begins to resolve everything anew. Returns the routes whose hops were known, to be asked for again.
    pub(super) fn begin_pass(&mut self, rib: &Rib, tables: &HashSet<TableId>) -> HashMap<RouteHop, Known> {
        self.adjacencies.begin_pass();
        self.groups.begin_pass();
        self.resolved.clear();
        self.connected.clear();
        self.wanted.clear();
        let mut known = std::mem::take(&mut self.routes);
        // Hosts first: each of them holds its route.
        known.retain(|route, _| route.is_of_host(rib, tables));
        known.retain(|route, _| route.is_in_use());
        known
    }

    /// Forgets all other routes.
    pub(crate) fn keep(&mut self, routes: &HashSet<RouteHop>) {
        self.routes.retain(|route, _| routes.contains(route));
    }

    /// Retires what was not asked for.
    pub(crate) fn end_pass(&mut self) {
        self.adjacencies.end_pass();
        self.groups.end_pass();
    }

    /// See [`Slots::routes_written`].
    pub(crate) fn routes_written(&mut self) {
        self.adjacencies.routes_written();
        self.groups.routes_written();
    }

    /// The hop that shares flows among `members` (key, weight, adjacency); none for nobody.
    pub(super) fn share(&mut self, members: Vec<(u64, u16, AdjacencyId)>) -> HopId {
        let Some((&first, rest)) = members.split_first() else { return HopId::NONE };
        if rest.iter().all(|member| member.2 == first.2) {
            return HopId::adjacency(first.2);
        }
        if let Some(number) = self.groups.find(&members) {
            return HopId::group(number);
        }
        let Some(group) = Group::new(&members) else { return HopId::NONE };
        let shared =
            Shared { group, members: members.iter().map(|(_, weight, id)| (*weight, *id)).collect() };
        // With so many groups memory would have run out long before.
        self.groups.put(members, shared, HopId::LIMIT).map_or(HopId::adjacency(first.2), HopId::group)
    }

    /// The hop of a route that was resolved.
    pub(crate) fn known(&self, prefix: Ipv4Net, route: &Arc<Route>) -> HopId {
        let known = self.routes.get(&RouteHop::new(prefix, route));
        debug_assert!(known.is_some(), "the route of {prefix} was not resolved");
        known.map_or(HopId::NONE, |known| known.hop)
    }

    /// Whether `link` has neighbours to be looked up.
    pub(crate) fn is_connected(&self, link: LinkId) -> bool {
        self.connected.contains(&link)
    }

    /// Neighbours that next hops need, known or not.
    pub(crate) fn wanted(&self) -> &BTreeSet<(LinkId, IpAddr)> {
        &self.wanted
    }

    /// Adjacencies in use.
    pub(crate) fn adjacency_count(&self) -> usize {
        self.adjacencies.len()
    }

    /// The hosts that are their own next hop, with their routes.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (Ipv4Addr, &Route)> {
        self.routes.keys().filter_map(|route| Some((route.host?, &*route.route)))
    }

    /// The adjacencies by number, if any differ from when this was last asked.
    pub(crate) fn changed_adjacencies(&mut self) -> Option<Box<[Adjacency]>> {
        let changed = self.adjacencies.take_changed();
        changed.then(|| self.adjacencies.things().iter().map(|resolved| resolved.adjacency.clone()).collect())
    }

    /// The groups by number, if any differ from when this was last asked.
    pub(crate) fn changed_groups(&mut self) -> Option<Box<[Group]>> {
        let changed = self.groups.take_changed();
        changed.then(|| self.groups.things().iter().map(|shared| shared.group.clone()).collect())
    }

    /// How an adjacency came about.
    pub(crate) fn way(&self, id: AdjacencyId) -> Option<&Way> {
        self.adjacencies.things().get(id.index()).map(|resolved| &resolved.way)
    }

    /// Weight and adjacency of each member of a group; none for a hop that is no group.
    pub(crate) fn members(&self, hop: HopId) -> &[(u16, AdjacencyId)] {
        let shared = hop.resolve().err().and_then(|number| self.groups.things().get(number));
        shared.map_or(&[], |shared| shared.members.as_slice())
    }

    /// The routes among `before` whose hop is another now.
    pub(super) fn moved(&self, before: &HashMap<RouteHop, Known>) -> HashSet<RouteHop> {
        let has_moved = |(route, known): &(&RouteHop, &Known)| {
            self.routes.get(route).is_none_or(|now| now.hop != known.hop)
        };
        before.iter().filter(has_moved).map(|(route, _)| route.clone()).collect()
    }
}
