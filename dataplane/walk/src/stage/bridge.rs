//! Members of a bridge: frames for the bridge itself go on to routing, known unicast is switched, the rest is the kernel's.

use super::Verdict;
use crate::frame::Frame;
use crate::observer::{Addressed, Event, Observer, observe};
use crate::outcome::{DropReason, PuntReason};
use crate::tables::{Membership, Port, Tables};
use crate::wire::MacAddr;
use crate::wire::ethernet::{Ethernet, HEADER};

/// Whose frame it is: the bridge takes what is sent to its own address or to the member's.
#[inline]
pub(crate) fn addressed(tables: &Tables, port: &Port, header: Ethernet<'_>) -> Addressed {
    let destination = header.destination();
    let bridge = port.bridge.map(|member| tables.bridges[usize::from(member.bridge.0)].mac);
    if Some(destination) == bridge || destination == port.mac {
        Addressed::Us
    } else if !destination.is_group() {
        Addressed::Other
    } else if destination == MacAddr::BROADCAST {
        Addressed::Broadcast
    } else {
        Addressed::Multicast
    }
}

/// Whether the walk may act for this member: not where VLANs are filtered, nor before spanning tree lets it forward.
#[inline]
pub(crate) fn switches(tables: &Tables, member: Membership) -> bool {
    member.forwarding && tables.bridges[usize::from(member.bridge.0)].switches
}

/// Unicast between members: by the bridge's forwarding entries.
pub(crate) fn switch<O: Observer>(
    tables: &Tables,
    member: Membership,
    frame: &Frame<'_>,
    header: Ethernet<'_>,
    slot: usize,
    observer: &mut O,
) -> Verdict {
    if !switches(tables, member) {
        return Verdict::Punt(PuntReason::Bridge);
    }
    let bridge = &tables.bridges[usize::from(member.bridge.0)];
    let Some(out) = bridge.station(header.destination()) else {
        return Verdict::Punt(PuntReason::Bridge);
    };
    let port = &tables.ports[out.index()];
    let Some(there) = port.bridge else { return Verdict::Punt(PuntReason::Bridge) };
    if out == frame.ingress() && !member.hairpin {
        // The station is on the segment that the frame came from: it has it already.
        return Verdict::Drop(DropReason::OtherHost);
    }
    if !there.forwarding {
        return Verdict::Punt(PuntReason::Bridge);
    }
    if !port.up {
        return Verdict::Drop(DropReason::LinkDown);
    }
    if frame.length() - HEADER > port.mtu as usize {
        return Verdict::Drop(DropReason::MtuExceeded);
    }
    observe!(observer, slot, Event::Switched { bridge: bridge.link, port: out });
    Verdict::Switch(out)
}
