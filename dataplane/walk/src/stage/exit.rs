//! Tunnel exits: IPIP (RFC 2003) and VXLAN (RFC 7348) packets for this node are taken out of their outer header.
//!
//! The frame itself is not changed: what turns out to be the kernel's is handed to it as it was received.

use super::{Packet, Verdict};
use crate::ecn;
use crate::frame::Frame;
use crate::observer::{Event, Observer, observe};
use crate::outcome::{DropReason, PuntReason};
use crate::tables::{BridgeId, Role, Tables, Tunnel, TunnelId, TunnelKind, Vni};
use crate::wire::ethernet::{self, Ethernet, HEADER, TAG};
use crate::wire::ipv4::{IPIP, Ipv4, OFFSET, UDP};
use crate::wire::udp::{self, Udp};
use crate::wire::vxlan::{self, Vxlan};
use crate::wire::{MacAddr, be16};
use core::net::Ipv4Addr;

/// How a packet for this node goes on.
enum Way {
    /// A packet inside, at this offset of the frame.
    Inner(TunnelId, usize, Option<Vni>),
    /// Not further.
    Ends(Verdict),
}

/// A packet for this node: the one inside it goes on, if it is a tunnel packet that we may open; else the kernel
/// has it. True where there is a packet inside, to be checked and routed.
#[inline]
pub(crate) fn decapsulate<O: Observer>(
    tables: &Tables,
    frame: &Frame<'_>,
    packet: &mut Packet,
    anomalies: &mut u64,
    slot: usize,
    observer: &mut O,
) -> bool {
    let outer = packet.ip(frame.bytes());
    let (tunnel, offset, vni) = match open(tables, frame, packet, outer) {
        Way::Inner(tunnel, offset, vni) => (tunnel, offset, vni),
        Way::Ends(verdict) => {
            packet.verdict = verdict;
            return false;
        }
    };
    let inner_link = inner_link(tables, tables.tunnels.tunnel(tunnel));
    let mut inner = Packet::new(Verdict::Ipv4, inner_link, offset, packet.group_frame);
    inner.tunnel = Some(tunnel);
    super::ipv4::check(tables, frame.bytes(), &mut inner, slot, observer);

    // Congestion was met in the tunnel whoever the packet is for, so this comes before the addresses' verdict,
    // but not before that of a broken header.
    if inner.verdict != Verdict::Drop(DropReason::InnerMalformed) {
        let exit = ecn::exit(inner.tos, outer.tos());
        *anomalies += u64::from(exit.anomaly);
        let inner_tos = inner.tos;
        match exit.field {
            Some(field) => inner.tos = inner_tos & !ecn::MASK | field,
            None => inner.verdict = Verdict::Drop(DropReason::EcnCongestion),
        }
        observe!(
            observer,
            slot,
            Event::Exit {
                tunnel,
                peer: Ipv4Addr::from(packet.source),
                vni: vni.map(Vni::value),
                outer_tos: outer.tos(),
                inner_tos,
                tos: inner.tos,
                anomaly: exit.anomaly,
            }
        );
    }
    *packet = inner;
    packet.is_walked()
}

/// Whether a packet for this node is a tunnel packet, and if so, whether we open it.
#[inline]
fn open(tables: &Tables, frame: &Frame<'_>, packet: &Packet, outer: Ipv4<'_>) -> Way {
    let kernel = Way::Ends(Verdict::Punt(PuntReason::Local));
    let drop = |reason| Way::Ends(Verdict::Drop(reason));
    // Of a later fragment it cannot be known, and need not: fragments are the kernel's.
    let later_fragment = outer.fragment_field() & OFFSET != 0;
    let is_tunnel = match outer.protocol() {
        IPIP => tables.tunnels.has_ipip(),
        UDP if !later_fragment => {
            Udp::new(outer.payload()).is_some_and(|udp| tables.tunnels.is_vxlan_port(udp.destination()))
        }
        _ => false,
    };
    if !is_tunnel {
        return kernel;
    }
    if packet.tunnel.is_some() {
        return drop(DropReason::TunnelNested);
    }
    if tables.ports[frame.ingress().index()].role == Role::Workload {
        return drop(DropReason::TunnelFromWorkload);
    }
    if outer.is_fragment() {
        return kernel;
    }
    match if outer.protocol() == IPIP {
        open_ipip(tables, packet, outer)
    } else {
        open_vxlan(tables, packet, outer)
    } {
        Ok(way) => way,
        Err(reason) => drop(reason),
    }
}

/// RFC 2003: the packet follows the outer header at once.
#[inline]
fn open_ipip(tables: &Tables, packet: &Packet, outer: Ipv4<'_>) -> Result<Way, DropReason> {
    let id = tables.tunnels.ipip(packet.source, packet.destination).ok_or(DropReason::TunnelUnknown)?;
    admit(tables, tables.tunnels.tunnel(id), packet.source)?;
    Ok(Way::Inner(id, usize::from(packet.offset) + outer.header_length(), None))
}

/// RFC 7348 4.1 and 5: UDP, VXLAN and an Ethernet frame.
#[inline]
fn open_vxlan(tables: &Tables, packet: &Packet, outer: Ipv4<'_>) -> Result<Way, DropReason> {
    let header = Udp::new(outer.payload()).ok_or(DropReason::UdpLength)?;
    let datagram = header.datagram().ok_or(DropReason::UdpLength)?;
    if header.checksum() != 0 && udp::sum(packet.source, packet.destination, datagram) != 0xffff {
        return Err(DropReason::UdpChecksum);
    }
    let vxlan = Vxlan::new(&datagram[udp::HEADER..]).ok_or(DropReason::UdpLength)?;
    let vni = vxlan.vni().ok_or(DropReason::VxlanFlags)?;
    let id = tables.tunnels.vxlan(header.destination(), vni).ok_or(DropReason::VxlanVni)?;
    let tunnel = tables.tunnels.tunnel(id);
    admit(tables, tunnel, packet.source)?;

    let frame = &datagram[udp::HEADER + vxlan::HEADER..];
    let at = usize::from(packet.offset) + outer.header_length() + udp::HEADER + vxlan::HEADER;
    let header = Ethernet::new(frame).ok_or(DropReason::InnerMalformed)?;
    let TunnelKind::Vxlan { mac, bridge, .. } = tunnel.kind else { return Err(DropReason::TunnelUnknown) };
    Ok(match inner_frame(tables, header, mac, bridge)? {
        (None, length) => Way::Inner(id, at + length, Some(vni)),
        (Some(punt), _) => Way::Ends(Verdict::Punt(punt)),
    })
}

/// Whose the frame inside is, what it carries, and how long its Ethernet header is.
#[inline]
fn inner_frame(
    tables: &Tables,
    header: Ethernet<'_>,
    link_mac: MacAddr,
    bridge: Option<BridgeId>,
) -> Result<(Option<PuntReason>, usize), DropReason> {
    let destination = header.destination();
    if header.source() == link_mac {
        // Our own frame has come back.
        return Err(DropReason::TunnelLoop);
    }
    let ours = match bridge {
        Some(id) => {
            let bridge = &tables.bridges[usize::from(id.0)];
            if !bridge.switches || destination != bridge.mac {
                // Behind a bridge it may be anybody's: the kernel's bridge knows.
                return Ok((Some(PuntReason::Bridge), 0));
            }
            true
        }
        None => destination == link_mac,
    };
    if !ours && !destination.is_group() {
        return Err(DropReason::OtherHost);
    }
    let (ethertype, length) = match header.ethertype() {
        ethernet::VLAN => match header.tag().ok_or(DropReason::InnerMalformed)? {
            (0, ethertype) => (ethertype, HEADER + TAG),
            _ => return Err(DropReason::VlanUnknown),
        },
        ethertype => (ethertype, HEADER),
    };
    match ethertype {
        ethernet::IPV4 if ours => Ok((None, length)),
        ethernet::IPV4 if destination == MacAddr::BROADCAST => broadcast_inside(header, length),
        ethernet::IPV4 => Ok((Some(PuntReason::Multicast), 0)),
        ethernet::IPV6 => Ok((Some(PuntReason::Ipv6), 0)),
        // The kernel's own VXLAN link answers ARP.
        ethernet::ARP => Ok((Some(PuntReason::NotIp), 0)),
        _ => Err(DropReason::EthertypeUnknown),
    }
}

/// IPv4 in a broadcast frame inside a tunnel: a unicast packet in it is nobody's (RFC 1812 5.3.4).
#[cold]
fn broadcast_inside(header: Ethernet<'_>, length: usize) -> Result<(Option<PuntReason>, usize), DropReason> {
    let bytes = header.bytes();
    if bytes.len() < length + crate::wire::ipv4::HEADER {
        return Err(DropReason::InnerMalformed);
    }
    // Limited broadcast and multicast are the kernel's; of a directed broadcast it decides too.
    if matches!(be16(bytes, length + 16) >> 12, 0xe | 0xf) {
        return Ok((Some(PuntReason::Local), 0));
    }
    Err(DropReason::IpNotUnicast)
}

/// Whether the tunnel takes packets at all, and from this address.
#[inline]
fn admit(tables: &Tables, tunnel: &Tunnel, source: u32) -> Result<(), DropReason> {
    if !tunnel.up {
        return Err(DropReason::LinkDown);
    }
    if tables.tunnels.accepts(tunnel, source) { Ok(()) } else { Err(DropReason::TunnelPeerUnknown) }
}

/// The link that the inner packet comes in by: the tunnel's, or the bridge's that it is a member of.
#[inline]
fn inner_link(tables: &Tables, tunnel: &Tunnel) -> crate::tables::LinkId {
    match tunnel.kind {
        TunnelKind::Vxlan { bridge: Some(id), .. } => tables.bridges[usize::from(id.0)].link,
        _ => tunnel.link,
    }
}
