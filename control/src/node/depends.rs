//! What else depends on a route: where the answer is "nothing", a change of it is a matter of its own entries.

use super::Node;
use crate::links::LinkKind;
use crate::rib::{Replaced, Route, Table};
use crate::state::{RouteKind, TableId};
use ipnet::Ipv4Net;
use std::sync::Arc;

impl Node {
    /// Whether anything but the packets for `prefix` depends on what its route was or is.
    pub(super) fn depends_on(&self, table: TableId, prefix: Ipv4Net, replaced: &Replaced) -> bool {
        // Own addresses.
        table == TableId::LOCAL
            || self.has_come_or_gone(table, replaced)
            || self.leads_to_a_peer(prefix)
            || replaced.both().any(|route| self.is_depended_on(prefix, route))
    }

    /// A table without routes is not asked at all.
    fn has_come_or_gone(&self, table: TableId, replaced: &Replaced) -> bool {
        match self.rib.table(table).map(Table::len) {
            None => true,
            Some(count) => count == 1 && replaced.old.is_none(),
        }
    }

    /// Tunnel packets take it.
    fn leads_to_a_peer(&self, prefix: Ipv4Net) -> bool {
        self.peers.range(prefix.network()..=prefix.broadcast()).next().is_some()
    }

    fn is_depended_on(&self, prefix: Ipv4Net, route: &Arc<Route>) -> bool {
        match route.kind {
            // Which tables can share a FIB.
            RouteKind::Throw => true,
            RouteKind::Unicast => route.usable_hops().any(|hop| match hop.link {
                None => false,
                // Its gateway may send to us.
                Some(link) if matches!(self.links.link(link).kind, LinkKind::Ipip(_)) => true,
                Some(_) if hop.gateway.is_some() => false,
                // It says what MTU and source the neighbours on its link have.
                Some(link) if self.hops.is_connected(link) => self.entries.has_neighbour_in(link, prefix),
                // The link's neighbours are not yet laid out, and have to be if it is more than a host's.
                Some(_) => prefix.prefix_len() < 32,
            }),
            _ => false,
        }
    }
}
