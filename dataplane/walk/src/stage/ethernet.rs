//! Ethernet: whose frame is it, and what does it carry?

use super::{Packet, Verdict, bridge};
use crate::frame::Frame;
use crate::observer::{Addressed, Event, Observer, observe};
use crate::outcome::{DropReason, PuntReason};
use crate::tables::{LinkId, Port, Tables};
use crate::wire::ethernet::{self, Ethernet, HEADER, TAG};

/// Reads the Ethernet header and decides which stage the frame is for.
#[inline(always)]
pub(crate) fn receive<O: Observer>(
    tables: &Tables,
    frame: &Frame<'_>,
    slot: usize,
    observer: &mut O,
) -> Packet {
    let bytes = frame.bytes();
    observe!(observer, slot, Event::Received { port: frame.ingress(), frame: bytes });
    let Some(port) = tables.ports.get(frame.ingress().index()) else {
        return Packet::new(Verdict::Drop(DropReason::PortGone), LinkId(0), 0, false);
    };
    let ended = |verdict| Packet::new(verdict, port.link, 0, false);
    let Some(header) = Ethernet::new(bytes) else {
        return ended(Verdict::Drop(DropReason::Runt));
    };
    if !port.up {
        return ended(Verdict::Drop(DropReason::LinkDown));
    }

    let (iif, addressed) = match port.bridge {
        Some(member) => {
            (tables.bridges[usize::from(member.bridge.0)].link, bridge::addressed(tables, port, header))
        }
        None => (port.link, addressed(port, header)),
    };
    let (ethertype, vlan, offset) = match header.ethertype() {
        ethernet::VLAN => match header.tag() {
            Some((vlan, ethertype)) => (ethertype, Some(vlan), HEADER + TAG),
            None => return ended(Verdict::Drop(DropReason::Runt)),
        },
        ethertype => (ethertype, None, HEADER),
    };
    observe!(
        observer,
        slot,
        Event::Ethernet {
            destination: header.destination(),
            source: header.source(),
            ethertype,
            vlan,
            addressed
        }
    );

    let verdict = match (port.bridge, addressed) {
        (Some(_), _) if !header.source().is_station() => Verdict::Punt(PuntReason::Bridge),
        (Some(member), Addressed::Other) => bridge::switch(tables, member, frame, header, slot, observer),
        (None, Addressed::Other) => Verdict::Drop(DropReason::OtherHost),
        (Some(member), _) if !bridge::switches(tables, member) => Verdict::Punt(PuntReason::Bridge),
        // Of what a bridge floods the walk answers ARP, and leaves the rest to the kernel.
        (Some(_), Addressed::Broadcast) if ethertype == ethernet::ARP && matches!(vlan, None | Some(0)) => {
            Verdict::Arp
        }
        (Some(_), Addressed::Broadcast | Addressed::Multicast) => Verdict::Punt(PuntReason::Bridge),
        _ => match (vlan, ethertype) {
            // 802.1Q: identifier 0 carries a priority, not a VLAN.
            (Some(1..), _) | (Some(0), ethernet::VLAN) => other_vlan(port, vlan),
            (_, ethernet::IPV4) => Verdict::Ipv4,
            (_, ethernet::ARP) => Verdict::Arp,
            (_, ethernet::IPV6) => Verdict::Punt(PuntReason::Ipv6),
            _ => Verdict::Punt(PuntReason::NotIp),
        },
    };
    Packet::new(verdict, iif, offset, addressed != Addressed::Us)
}

/// Whose frame it is, on a port that is no member of a bridge.
#[inline]
fn addressed(port: &Port, header: Ethernet<'_>) -> Addressed {
    let destination = header.destination();
    if destination == port.mac {
        Addressed::Us
    } else if !destination.is_group() {
        Addressed::Other
    } else if destination == ethernet::MacAddr::BROADCAST {
        Addressed::Broadcast
    } else {
        Addressed::Multicast
    }
}

/// A tagged frame: for another link of this node, or for nobody.
#[cold]
fn other_vlan(port: &Port, vlan: Option<u16>) -> Verdict {
    match vlan {
        Some(id) if port.vlans.contains(&id) => Verdict::Punt(PuntReason::NotHeld),
        _ => Verdict::Drop(DropReason::VlanUnknown),
    }
}
