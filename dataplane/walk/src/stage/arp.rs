//! ARP (RFC 826): the node's own addresses, the fake gateway of workloads, and what the node proxies.

use super::route;
use super::{Packet, Verdict};
use crate::frame::Frame;
use crate::observer::{ArpVerdict, Event, Observer, observe};
use crate::outcome::{DropReason, PuntReason};
use crate::tables::{Action, LinkId, Port, Role, RouteKey, Tables};
use crate::wire::arp::{Arp, LENGTH, REQUEST};
use crate::wire::ethernet::Ethernet;
use core::net::Ipv4Addr;

/// The gateway that Calico's workloads are told of, and that exists nowhere.
pub(crate) const FAKE_GATEWAY: u32 = u32::from_be_bytes([169, 254, 1, 1]);

/// Judges an ARP packet.
#[cold]
pub(crate) fn judge<O: Observer>(
    tables: &Tables,
    frame: &Frame<'_>,
    packet: Packet,
    slot: usize,
    observer: &mut O,
) -> Verdict {
    let port = &tables.ports[frame.ingress().index()];
    let bytes = frame.bytes();
    let body = &bytes[usize::from(packet.offset)..];
    // A broadcast on a bridge is for its other members too: what is not answered here, the kernel floods.
    let floods = port.bridge.is_some() && packet.group_frame;
    let otherwise = |reason| if floods { Verdict::Punt(PuntReason::Bridge) } else { Verdict::Drop(reason) };

    if body.len() < LENGTH {
        return otherwise(DropReason::Runt);
    }
    let Some((arp, header)) = Arp::new(body).zip(Ethernet::new(bytes)) else {
        observe!(observer, slot, unread(ArpVerdict::Malformed));
        return otherwise(DropReason::ArpMalformed);
    };
    let (verdict, what) = if header.source() != arp.sender_mac() || is_no_host(arp.sender()) {
        (otherwise(DropReason::ArpMalformed), ArpVerdict::Malformed)
    } else if tables.is_own(arp.sender()) {
        (otherwise(DropReason::ArpNotOurs), ArpVerdict::NotOurs)
    } else if arp.operation() == REQUEST {
        match target(tables, port, packet.iif, arp) {
            // The kernel has addresses that the bridge has not, and answers for them.
            ArpVerdict::NotOurs if port.bridge.is_some() && tables.is_own(arp.target()) => (
                Verdict::Punt(if floods { PuntReason::Bridge } else { PuntReason::Local }),
                ArpVerdict::NotOurs,
            ),
            ArpVerdict::NotOurs => (otherwise(DropReason::ArpNotOurs), ArpVerdict::NotOurs),
            ours => (Verdict::Answer(answering_mac(tables, port)), ours),
        }
    } else if tables.is_own(arp.target()) && !floods {
        (Verdict::Punt(PuntReason::Local), ArpVerdict::ReplyToUs)
    } else {
        (otherwise(DropReason::ArpNotOurs), ArpVerdict::NotOurs)
    };
    observe!(
        observer,
        slot,
        Event::Arp {
            operation: arp.operation(),
            sender: Ipv4Addr::from(arp.sender()),
            target: Ipv4Addr::from(arp.target()),
            verdict: what,
        }
    );
    verdict
}

/// What the target of a request is to this port.
fn target(tables: &Tables, port: &Port, iif: LinkId, arp: Arp<'_>) -> ArpVerdict {
    let (sender, target) = (arp.sender(), arp.target());
    // Gratuitous: the sender speaks of itself (RFC 5227 3).
    if sender == target || is_no_host(target) || target == 0 {
        return ArpVerdict::NotOurs;
    }
    if let Some(member) = port.bridge {
        let own = &tables.bridges[usize::from(member.bridge.0)].own;
        return if own.contains(u64::from(target)) { ArpVerdict::Own } else { ArpVerdict::NotOurs };
    }
    if tables.is_own(target) {
        return ArpVerdict::Own;
    }
    if port.role == Role::Workload && target == FAKE_GATEWAY {
        return ArpVerdict::FakeGateway;
    }
    let link = &tables.links[iif.index()];
    // A probe (RFC 5227 2.1.1, sender 0.0.0.0) asks whether the address is in use on its own segment: a proxy that answered
    // would take it away from the prober.
    if link.proxy_arp && link.forwarding && sender != 0 && leaves_elsewhere(tables, iif, sender, target) {
        return ArpVerdict::Proxy;
    }
    ArpVerdict::NotOurs
}

/// Linux's rule for a proxy (`arp_fwd_proxy`): a unicast route to the target leaves by another link.
fn leaves_elsewhere(tables: &Tables, iif: LinkId, sender: u32, target: u32) -> bool {
    let key = RouteKey { source: sender, destination: target, iif: Some(iif), tos: 0, protocol: 0 };
    let hop = route::look_up(tables, &key, 0, &mut crate::Unobserved);
    let adjacency = match hop.resolve() {
        Ok(adjacency) => adjacency,
        Err(group) => tables.groups[group].choose(0),
    };
    let adjacency = &tables.adjacencies[adjacency.index()];
    let unicast = matches!(adjacency.action, Action::Send { .. } | Action::Connected | Action::Fail(_));
    unicast && adjacency.link != iif
}

/// The MAC address that requests on this port are answered with: the port's own, or its bridge's.
fn answering_mac(tables: &Tables, port: &Port) -> crate::wire::MacAddr {
    port.bridge.map_or(port.mac, |member| tables.bridges[usize::from(member.bridge.0)].mac)
}

/// Loopback, multicast and broadcast: no host on a wire has such an address.
fn is_no_host(address: u32) -> bool {
    address >> 24 == 127 || address >> 28 == 0xe || address == u32::MAX
}

/// The event of a packet that could not be read.
fn unread(verdict: ArpVerdict) -> Event<'static> {
    Event::Arp { operation: 0, sender: Ipv4Addr::UNSPECIFIED, target: Ipv4Addr::UNSPECIFIED, verdict }
}
