//! Whether a routed packet may go on: what the route says, then TTL, then MTU, then the next hop. In Linux's order.

use super::{Packet, Verdict};
use crate::observer::{Event, Observer, observe};
use crate::outcome::{DropReason, PuntReason};
use crate::tables::{Action, Encapsulation, Tables};
use crate::wire::icmp;
use crate::wire::ipv4::Ipv4;
use core::net::Ipv4Addr;

/// Judges a packet that is not for this node.
#[inline(always)]
pub(crate) fn judge<O: Observer>(
    tables: &Tables,
    ip: Ipv4<'_>,
    packet: &Packet,
    slot: usize,
    observer: &mut O,
) -> Verdict {
    if !tables.links[packet.iif.index()].forwarding {
        return Verdict::Drop(DropReason::ForwardingOff);
    }
    if packet.group_frame {
        // RFC 1812 5.3.4: never forwarded, and no ICMP error about it.
        return Verdict::Drop(DropReason::IpNotUnicast);
    }
    let adjacency = &tables.adjacencies[packet.adjacency.index()];
    match adjacency.action {
        Action::Refuse { reason, code: Some(code) } => {
            return Verdict::Refuse(reason, icmp::UNREACHABLE, code, 0);
        }
        Action::Refuse { reason, code: None } => return Verdict::Drop(reason),
        Action::Punt(reason) => return Verdict::Punt(reason),
        Action::Connected if tables.kernel_behind => return Verdict::Punt(PuntReason::Neighbour),
        _ => {}
    }

    // A route may have a smaller MTU than the neighbours behind it.
    let mtu = adjacency.mtu.min(tables.adjacencies[packet.via.index()].mtu);
    let length = ip.bytes().len();
    observe!(
        observer,
        slot,
        Event::Forward {
            adjacency: packet.adjacency,
            ttl: ip.ttl(),
            length,
            mtu,
            dont_fragment: ip.dont_fragment(),
        }
    );
    if ip.ttl() <= 1 {
        return Verdict::Refuse(DropReason::TtlExpired, icmp::TIME_EXCEEDED, 0, 0);
    }
    let too_big = length > mtu as usize;
    if too_big && ip.dont_fragment() {
        let mtu = mtu.min(u32::from(u16::MAX)) as u16;
        return Verdict::Refuse(DropReason::MtuExceeded, icmp::UNREACHABLE, icmp::FRAGMENTATION_NEEDED, mtu);
    }
    let remote = match &adjacency.action {
        Action::Send { encapsulation: Encapsulation::None, .. } => None,
        Action::Send { encapsulation: Encapsulation::Ipip(entry), .. } => Some(entry.remote),
        Action::Send { encapsulation: Encapsulation::Vxlan(entry), .. } => Some(entry.remote),
        Action::Fail(reason) => return Verdict::Drop(*reason),
        _ => return Verdict::Drop(DropReason::NeighbourUnresolved),
    };
    // RFC 2003 3.2: the peer's own packets do not come back to it in the tunnel.
    if remote == Some(Ipv4Addr::from(packet.source)) {
        return Verdict::Drop(DropReason::TunnelLoop);
    }
    if too_big { Verdict::Fragment } else { Verdict::Forward }
}
