//! Policy rules and longest-prefix match, then one next hop of those that share the route.

use super::Packet;
use crate::flow;
use crate::observer::{Event, Observer, observe};
use crate::tables::{Action, HopId, LinkId, RouteKey, RuleAction, Tables};
use core::net::Ipv4Addr;

/// Where a packet leads: the first rule that selects it and whose table knows its destination decides.
#[inline(always)]
pub(crate) fn look_up<O: Observer>(tables: &Tables, key: &RouteKey, slot: usize, observer: &mut O) -> HopId {
    let mut found = HopId::NONE;
    for (step, rule) in tables.ipv4.rules.iter().enumerate() {
        let selected = rule.selector.selects(key);
        let hop = match rule.action {
            _ if !selected => HopId::NONE,
            RuleAction::Lookup(fib) => HopId(tables.ipv4.fibs[usize::from(fib.0)].lookup(key.destination)),
            RuleAction::Hop(hop) => hop,
        };
        observe!(
            observer,
            slot,
            Event::Rule { step, priority: rule.priority, selected, action: rule.action, hop }
        );
        if hop != HopId::NONE {
            found = hop;
            break;
        }
    }
    observe!(observer, slot, Event::Routed { key: *key, hop: found });
    found
}

/// Chooses one next hop of `packet.hop` for the packet that begins `ip`.
#[inline(always)]
pub(crate) fn choose<O: Observer>(
    tables: &Tables,
    flow_key: u64,
    frame: &[u8],
    packet: &mut Packet,
    slot: usize,
    observer: &mut O,
) {
    packet.via = match packet.hop.resolve() {
        Ok(adjacency) => adjacency,
        Err(group) => {
            let flow = flow::hash(packet.ip(frame), flow_key);
            let adjacency = tables.groups[group].choose(flow);
            observe!(
                observer,
                slot,
                Event::Group { hop: packet.hop, flow, bucket: crate::tables::Group::bucket(flow), adjacency }
            );
            adjacency
        }
    };
    packet.adjacency = packet.via;
    let route = &tables.adjacencies[packet.via.index()];
    if matches!(route.action, Action::Connected) {
        let neighbour = neighbour(tables, route.link, packet.destination);
        observe!(
            observer,
            slot,
            Event::Neighbour {
                link: route.link,
                address: Ipv4Addr::from(packet.destination),
                adjacency: neighbour,
            }
        );
        if let Some(adjacency) = neighbour {
            packet.adjacency = adjacency;
        }
    }
}

/// The adjacency of a neighbour on `link`.
#[inline]
pub(crate) fn neighbour(tables: &Tables, link: LinkId, address: u32) -> Option<crate::tables::AdjacencyId> {
    tables.ipv4.neighbours.find(link.key(Ipv4Addr::from(address))).map(crate::tables::AdjacencyId)
}
