//! A full table for the node that is measured: a million prefixes, each by one of the other nodes.

use crate::lpm::{Family, Kind, Route, Stream};
use crate::node::{self, UPLINK};
use packetwalk_control::state::RouteEntry;
use prefix_trie::PrefixMap;
use serde_json::json;
use std::net::Ipv4Addr;

/// A full table, and where packets go by it.
pub(crate) struct Internet {
    routes: Vec<Route>,
    /// Addresses, and the peer that has the longest prefix of each.
    destinations: Vec<(Ipv4Addr, usize)>,
}

impl Internet {
    /// A full table, and as many destinations as are asked for, in the order of `stream`.
    pub(crate) fn new(stream: Stream, destinations: usize) -> Self {
        let mut routes = Kind::Ipv4Full.routes();
        let addresses = stream.addresses(Family::V4, &routes, destinations);
        // The node has a default of its own.
        routes.remove(0);
        let by_prefix: PrefixMap<(u32, u8), usize> =
            routes.iter().map(|route| ((route.address as u32, route.length), peer(*route))).collect();
        let destinations = addresses.iter().filter_map(|address| {
            let address = *address as u32;
            Some((Ipv4Addr::from(address), *by_prefix.get_lpm(&(address, 32))?.1))
        });
        Self { destinations: destinations.collect(), routes }
    }

    /// The destination of the `number`-th packet.
    pub(crate) fn destination(&self, number: usize) -> (Ipv4Addr, usize) {
        self.destinations[number % self.destinations.len()]
    }

    /// The routes as iproute2 prints them.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<RouteEntry, serde_json::Error>> {
        self.routes.iter().map(|route| {
            let destination = format!("{}/{}", Ipv4Addr::from(route.address as u32), route.length);
            serde_json::from_value(json!({"dst": destination, "gateway": node::peer_address(peer(*route)),
                "dev": UPLINK, "protocol": "bird", "flags": ["onlink"]}))
        })
    }
}

/// A route's hop is one of the other nodes.
fn peer(route: Route) -> usize {
    (route.hop as usize - 1) % node::PEERS
}
