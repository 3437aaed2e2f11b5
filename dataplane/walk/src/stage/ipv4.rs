//! The IPv4 header: everything that must hold before anybody believes it (RFC 1812 5.2.2, 5.3.7).

use super::{Packet, Verdict};
use crate::observer::{Event, Observer, observe};
use crate::outcome::{DropReason, PuntReason};
use crate::tables::Tables;
use crate::wire::ipv4::Ipv4;

/// Checks the packet at `packet.offset` of `frame` and notes its addresses.
#[inline(always)]
pub(crate) fn check<O: Observer>(
    tables: &Tables,
    frame: &[u8],
    packet: &mut Packet,
    slot: usize,
    observer: &mut O,
) {
    let inner = packet.tunnel.is_some();
    let ip = match Ipv4::parse(frame.get(usize::from(packet.offset)..).unwrap_or_default()) {
        Ok(ip) => ip,
        Err(reason) => {
            packet.verdict = Verdict::Drop(if inner { DropReason::InnerMalformed } else { reason });
            return;
        }
    };
    packet.source = ip.source();
    packet.destination = ip.destination();
    packet.tos = ip.tos();
    packet.protocol = ip.protocol();
    observe!(observer, slot, Event::Ipv4 { packet: ip.bytes(), inner, iif: packet.iif });
    if let Some(verdict) = addresses(tables, packet.source, packet.destination, inner) {
        packet.verdict = verdict;
    }
}

/// What the two addresses alone decide. Broadcast and multicast are the kernel's before the source is judged: a
/// host without an address yet sends from 0.0.0.0 to 255.255.255.255.
#[inline]
fn addresses(tables: &Tables, source: u32, destination: u32, inner: bool) -> Option<Verdict> {
    if is_multicast(source) || source == u32::MAX {
        return Some(Verdict::Drop(DropReason::IpBadSource));
    }
    if destination == u32::MAX {
        return Some(Verdict::Punt(PuntReason::Local));
    }
    if is_multicast(destination) {
        return Some(Verdict::Punt(PuntReason::Multicast));
    }
    if is_this_net_or_loopback(source) {
        return Some(Verdict::Drop(DropReason::IpBadSource));
    }
    if is_this_net_or_loopback(destination) {
        return Some(Verdict::Drop(DropReason::IpBadDestination));
    }
    if tables.is_own(source) {
        // RFC 2003 3.2: what the node itself sent has come back through the tunnel.
        return Some(Verdict::Drop(if inner { DropReason::TunnelLoop } else { DropReason::IpBadSource }));
    }
    None
}

/// 224/4 (RFC 1112 4).
#[inline]
fn is_multicast(address: u32) -> bool {
    address >> 28 == 0xe
}

/// 0/8 and 127/8 (RFC 1122 3.2.1.3): never on a wire.
#[inline]
fn is_this_net_or_loopback(address: u32) -> bool {
    matches!(address >> 24, 0 | 127)
}
