//! What changed between two looks at the kernel.

use super::family::Family;
use super::neighbour::FdbKey;
use super::route::RouteKey;
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
    /// Neighbours by link and address.
    pub neighbours: BTreeSet<(u32, IpAddr)>,
    /// Forwarding entries.
    pub fdb: BTreeSet<FdbKey>,
    /// Nexthop objects by number.
    pub nexthops: BTreeSet<u32>,
    /// Routes.
    pub routes: BTreeSet<RouteKey>,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        let Self { links, addresses, netconf, rules, neighbours, fdb, nexthops, routes } = self;
        links.is_empty()
            && addresses.is_empty()
            && netconf.is_empty()
            && rules.is_empty()
            && neighbours.is_empty()
            && fdb.is_empty()
            && nexthops.is_empty()
            && routes.is_empty()
    }
}
