//! Tunnel exits: IPIP (RFC 2003) and VXLAN (RFC 7348) packets for this node are taken out of their outer header.
//!
//! The frame itself is not changed: what turns out to be the kernel's is handed to it as it was received.

use super::{Packet, Verdict};
use crate::ecn;
use crate::frame::Frame;
use crate::observer::{Event, Observer, observe};
use crate::outcome::{DropReason, PuntReason};
use crate::tables::{BridgeId, Role, Tables, Tunnel, TunnelId, TunnelKind, Vni};
use crate::wire::MacAddr;
use crate::wire::ethernet::{self, Ethernet, HEADER, TAG};
use crate::wire::ipv4::{IPIP, Ipv4, OFFSET, UDP};
use crate::wire::udp::{self, Udp};
use crate::wire::vxlan::{self, Vxlan};
use core::net::Ipv4Addr;

/// Where the packet inside is.
struct Inner {
    tunnel: TunnelId,
    /// Of the frame.
    offset: usize,
    vni: Option<Vni>,
    /// VXLAN: the frame inside is a broadcast or multicast frame.
    group_frame: bool,
}

/// A packet for this node: the one inside it goes on, if it is a tunnel packet that we may open; else the kernel
/// has it. True where there is a packet inside, to be checked and routed.
#[inline(always)]
pub(crate) fn decapsulate<O: Observer>(
    tables: &Tables,
    frame: &Frame<'_>,
    packet: &mut Packet,
    anomalies: &mut u64,
    slot: usize,
    observer: &mut O,
) -> bool {
    let outer = packet.ip(frame.bytes());
    let Inner { tunnel, offset, vni, group_frame } = match open(tables, frame, packet, outer) {
        Ok(inner) => inner,
        Err(verdict) => {
            packet.verdict = verdict;
            return false;
        }
    };
    let inner_link = inner_link(tables, tables.tunnels.tunnel(tunnel));
    let mut inner = Packet::new(Verdict::Ipv4, inner_link, offset, packet.group_frame || group_frame);
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

/// The packet inside a packet for this node, if it is a tunnel packet and we open it; else how its walk ends.
#[inline(always)]
fn open(tables: &Tables, frame: &Frame<'_>, packet: &Packet, outer: Ipv4<'_>) -> Result<Inner, Verdict> {
    let kernel = Err(Verdict::Punt(PuntReason::Local));
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
        return Err(Verdict::Drop(DropReason::TunnelNested));
    }
    if tables.ports[frame.ingress().index()].role == Role::Workload {
        return Err(Verdict::Drop(DropReason::TunnelFromWorkload));
    }
    if outer.is_fragment() {
        return kernel;
    }
    if outer.protocol() == IPIP {
        open_ipip(tables, packet, outer)
    } else {
        open_vxlan(tables, packet, outer)
    }
}

/// RFC 2003: the packet follows the outer header at once.
#[inline(always)]
fn open_ipip(tables: &Tables, packet: &Packet, outer: Ipv4<'_>) -> Result<Inner, Verdict> {
    let tunnel = tables.tunnels.ipip(packet.source, packet.destination).ok_or(DropReason::TunnelUnknown)?;
    admit(tables, tables.tunnels.tunnel(tunnel), packet.source)?;
    let offset = usize::from(packet.offset) + outer.header_length();
    Ok(Inner { tunnel, offset, vni: None, group_frame: false })
}

/// RFC 7348 4.1 and 5: UDP, VXLAN and an Ethernet frame.
#[inline(always)]
fn open_vxlan(tables: &Tables, packet: &Packet, outer: Ipv4<'_>) -> Result<Inner, Verdict> {
    let header = Udp::new(outer.payload()).ok_or(DropReason::UdpLength)?;
    let datagram = header.datagram().ok_or(DropReason::UdpLength)?;
    if header.checksum() != 0 && udp::sum(packet.source, packet.destination, datagram) != 0xffff {
        return Err(DropReason::UdpChecksum.into());
    }
    let vxlan = Vxlan::new(&datagram[udp::HEADER..]).ok_or(DropReason::UdpLength)?;
    let vni = vxlan.vni().ok_or(DropReason::VxlanFlags)?;
    let id = tables.tunnels.vxlan(header.destination(), vni).ok_or(DropReason::VxlanVni)?;
    let tunnel = tables.tunnels.tunnel(id);
    admit(tables, tunnel, packet.source)?;

    let frame = &datagram[udp::HEADER + vxlan::HEADER..];
    let at = usize::from(packet.offset) + outer.header_length() + udp::HEADER + vxlan::HEADER;
    let header = Ethernet::new(frame).ok_or(DropReason::InnerMalformed)?;
    let TunnelKind::Vxlan { mac, bridge, .. } = tunnel.kind else {
        return Err(DropReason::TunnelUnknown.into());
    };
    let group_frame = header.destination().is_group();
    let offset = at + inner_frame(tables, header, mac, bridge)?;
    Ok(Inner { tunnel: id, offset, vni: Some(vni), group_frame })
}

/// Whose the frame inside is and what it carries: IPv4 behind an Ethernet header of this length, if it is walked.
#[inline(always)]
fn inner_frame(
    tables: &Tables,
    header: Ethernet<'_>,
    link_mac: MacAddr,
    bridge: Option<BridgeId>,
) -> Result<usize, Verdict> {
    let destination = header.destination();
    if header.source() == link_mac {
        // Our own frame has come back.
        return Err(DropReason::TunnelLoop.into());
    }
    match bridge {
        Some(id) => {
            let bridge = &tables.bridges[usize::from(id.0)];
            if !bridge.switches || destination != bridge.mac {
                // Behind a bridge it may be anybody's: the kernel's bridge knows.
                return Err(PuntReason::Bridge.into());
            }
        }
        None if destination != link_mac && !destination.is_group() => {
            return Err(DropReason::OtherHost.into());
        }
        None => {}
    }
    let (ethertype, length) = match header.ethertype() {
        ethernet::VLAN => match header.tag().ok_or(DropReason::InnerMalformed)? {
            (0, ethertype) => (ethertype, HEADER + TAG),
            _ => return Err(DropReason::VlanUnknown.into()),
        },
        ethertype => (ethertype, HEADER),
    };
    match ethertype {
        ethernet::IPV4 => Ok(length),
        ethernet::IPV6 => Err(PuntReason::Ipv6.into()),
        // The kernel's own VXLAN link answers ARP.
        ethernet::ARP => Err(PuntReason::NotIp.into()),
        _ => Err(DropReason::EthertypeUnknown.into()),
    }
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
