//! What changed between two looks at the kernel.

use super::family::Family;
use super::neighbour::{FdbKey, Neighbour};
use crate::state::TableId;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The keys of the objects that came, went or changed. An object may have changed back since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Links by number.
    pub links: BTreeSet<u32>,
    /// Links whose addresses changed, by number.
    pub addresses: BTreeSet<u32>,
    /// Interfaces whose switches changed: links by number, `u32::MAX` all, `u32::MAX - 1` what new ones get.
    pub netconf: BTreeSet<(Family, u32)>,
    /// Families whose rules changed.
    pub rules: BTreeSet<Family>,
    /// Neighbours by link and address that have become or ceased to be usable, or have another hardware address.
    pub neighbours: BTreeSet<(u32, IpAddr)>,
    /// Neighbours that differ otherwise: the kernel is surer or less sure of one (`REACHABLE`, `STALE`, `DELAY`, `PROBE`), or
    /// seeks one or has given up (`INCOMPLETE`, `FAILED`). What is sent to them is sent as before.
    pub neighbour_states: BTreeSet<(u32, IpAddr)>,
    /// Forwarding entries.
    pub fdb: BTreeSet<FdbKey>,
    /// Nexthop objects by number.
    pub nexthops: BTreeSet<u32>,
    /// Prefixes whose routes changed, by table.
    pub routes: BTreeSet<(TableId, IpNet)>,
}

impl Changes {
    /// A neighbour that was so and is so now.
    pub(super) fn neighbour(
        &mut self,
        key: (u32, IpAddr),
        before: Option<&Neighbour>,
        now: Option<&Neighbour>,
    ) {
        let way = Neighbour::usable_lladdr;
        let is_same_way = before.and_then(way) == now.and_then(way);
        let kind = if is_same_way { &mut self.neighbour_states } else { &mut self.neighbours };
        kind.insert(key);
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        let Self { links, addresses, netconf, rules, neighbours, neighbour_states, fdb, nexthops, routes } =
            self;
        links.is_empty()
            && addresses.is_empty()
            && netconf.is_empty()
            && rules.is_empty()
            && neighbours.is_empty()
            && neighbour_states.is_empty()
            && fdb.is_empty()
            && nexthops.is_empty()
            && routes.is_empty()
    }
}
