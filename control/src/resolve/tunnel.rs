//! Tunnels: from a peer's address to the port of the underlay, and the headers in between.

use super::fault::{Fault, FaultKind};
use super::way::{Underlay, Vtep};
use super::{Attachment, Leaf, MtuTerm, Resolver, Way, member_key};
use crate::links::{IpipLink, LinkKind, VxlanLink};
use crate::rib::{Answer, NextHop, Route};
use crate::state::{DontFragment, RouteKind, Scope, Ttl};
use packetwalk_walk::tables::{
    Action, Encapsulation, IpipEntry, LinkId, Rewrite, RouteKey, UdpChecksum, Vni, VxlanEntry,
};
use packetwalk_walk::wire::{MacAddr, ethernet, ipv4, udp, vxlan};
use std::net::{IpAddr, Ipv4Addr};

/// Outer TTL of VXLAN where the link sets none.
const VXLAN_TTL: u8 = 64;

/// Where a tunnel's packets go and what is known of the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outer<'a> {
    pub(super) tunnel: LinkId,
    pub(super) peer: Ipv4Addr,
    pub(super) local: Option<Ipv4Addr>,
    /// The link that the tunnel is bound to.
    pub(super) bound: Option<&'a str>,
    pub(super) protocol: u8,
}

/// One way over the underlay.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    pub(super) underlay: Underlay,
    pub(super) attachment: Attachment,
    pub(super) mtu: u32,
}

/// A share of the underlay's ways, and the way or what is missing.
#[derive(Clone, Debug)]
pub(super) struct Share {
    pub(super) key: u64,
    pub(super) weight: u32,
    pub(super) carrier: Result<Carrier, Fault>,
}

/// A station behind a VXLAN link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Station {
    /// The VXLAN link.
    pub(super) link: LinkId,
    /// Its MAC address.
    pub(super) mac: MacAddr,
    /// The MAC address that sends to it.
    pub(super) from: MacAddr,
}

impl Resolver<'_> {
    /// The ways of packets into an IPIP link.
    pub(super) fn ipip(
        &self,
        link: &IpipLink,
        target: Option<IpAddr>,
        way: &Way,
        tunnel: LinkId,
    ) -> Vec<Leaf> {
        let name = self.links.name(tunnel);
        let peer = match (link.remote, target) {
            (Some(remote), _) => remote,
            (None, Some(IpAddr::V4(peer))) => peer,
            (None, Some(IpAddr::V6(peer))) => {
                let text = format!("link {name}: the peer {peer} of an IPIP tunnel must be IPv4");
                return vec![Leaf::fault(way, Fault::new(FaultKind::Unroutable, text))];
            }
            // Such a tunnel sends a packet to its own destination, which the same route leads back into the tunnel.
            (None, None) => {
                let text =
                    format!("link {name} has no remote and the route no gateway: packets would loop in it");
                return vec![Leaf::fault(way, Fault::new(FaultKind::Loop, text))];
            }
        };
        let outer =
            Outer { tunnel, peer, local: link.local, bound: link.underlay.as_deref(), protocol: ipv4::IPIP };
        self.over(outer, way, ipv4::HEADER as u32, |carrier| {
            let mut rewrite = Rewrite::from_iter(carrier.attachment.header);
            let df = if link.pmtudisc { ipv4::DF } else { 0 };
            let ttl = link.ttl.unwrap_or(0);
            rewrite.extend(outer_ipv4(ttl, df, ipv4::IPIP, carrier.underlay.source, peer));
            let entry = IpipEntry { remote: peer, inherit_ttl: link.ttl.is_none(), set_df: link.pmtudisc };
            Action::Send { rewrite, port: carrier.attachment.port, encapsulation: Encapsulation::Ipip(entry) }
        })
    }

    /// The ways of frames to a station behind a VXLAN link.
    pub(super) fn vxlan(&self, link: &VxlanLink, station: Station, way: &Way) -> Vec<Leaf> {
        let name = self.links.name(station.link);
        let Some(vtep) = self.entries.vtep(self.links, station.link, station.mac) else {
            let text = format!("no forwarding entry for {} dev {name}", station.mac);
            return vec![Leaf::fault(way, Fault::new(FaultKind::Fdb, text))];
        };
        let way = Way {
            vtep: Some(Vtep { link: station.link, mac: vtep.mac, remote: vtep.remote }),
            ..way.clone()
        };
        let outer = Outer {
            tunnel: station.link,
            peer: vtep.remote,
            local: link.local,
            bound: link.underlay.as_deref(),
            protocol: ipv4::UDP,
        };
        let overhead = ipv4::HEADER + udp::HEADER + vxlan::HEADER + ethernet::HEADER;
        self.over(outer, &way, overhead as u32, |carrier| {
            let mut rewrite = Rewrite::from_iter(carrier.attachment.header);
            let df = if link.df == DontFragment::Set { ipv4::DF } else { 0 };
            let ttl = match link.ttl {
                Ttl::Auto => VXLAN_TTL,
                Ttl::Fixed(ttl) => ttl,
                Ttl::Inherit => 0,
            };
            rewrite.extend(outer_ipv4(ttl, df, ipv4::UDP, carrier.underlay.source, vtep.remote));
            rewrite.extend(outer_udp(vtep.port.unwrap_or(link.port)));
            rewrite.extend(vxlan_header(vtep.vni.or(link.vni)));
            rewrite.extend(ethernet_header(station.mac, station.from));
            let (low, high) = link.source_ports;
            let entry = VxlanEntry {
                remote: vtep.remote,
                inherit_df: link.df == DontFragment::Inherit,
                inherit_ttl: link.ttl == Ttl::Inherit,
                checksum: if self.config.vxlan.udp_csum { UdpChecksum::Full } else { UdpChecksum::Zero },
                port_low: low,
                // The whole range has 65,536 ports, one more than fit: the last is left out.
                port_count: (high - low).saturating_add(1),
            };
            Action::Send {
                rewrite,
                port: carrier.attachment.port,
                encapsulation: Encapsulation::Vxlan(entry),
            }
        })
    }

    /// One leaf for each way over the underlay.
    fn over(
        &self,
        outer: Outer<'_>,
        way: &Way,
        overhead: u32,
        send: impl Fn(&Carrier) -> Action,
    ) -> Vec<Leaf> {
        let leaf = |share: Share| {
            let Share { key, weight, carrier } = share;
            match carrier {
                Err(fault) => Leaf { key, weight, ..Leaf::fault(way, fault) },
                Ok(carrier) => {
                    let action = send(&carrier);
                    let mut way = way.clone();
                    way.mtu.push(MtuTerm::Underlay(carrier.mtu, overhead));
                    way.underlay = Some(carrier.underlay);
                    Leaf { key, weight, outcome: Ok(action), way }
                }
            }
        };
        self.underlay(outer).into_iter().map(leaf).collect()
    }

    /// The ways to a tunnel's peer.
    fn underlay(&self, outer: Outer<'_>) -> Vec<Share> {
        let name = self.links.name(outer.tunnel);
        let peer = outer.peer;
        let alone = |carrier| vec![Share { key: 0, weight: 1, carrier }];
        let fault = |kind, text| alone(Err(Fault::new(kind, text)));
        let bound = match outer.bound {
            None => None,
            Some(link) => match self.links.id(link) {
                Some(id) => Some(id),
                None => {
                    return fault(
                        FaultKind::LinkDown,
                        format!("link {name} is bound to {link}, which is not there"),
                    );
                }
            },
        };
        let key = RouteKey {
            source: outer.local.map_or(0, u32::from),
            destination: u32::from(peer),
            iif: Some(self.links.loopback()),
            tos: 0,
            protocol: outer.protocol,
        };
        let answer = match bound {
            Some(link) => self.rib.lookup_bound(&key, link),
            None => self.rib.lookup(&key),
        };
        match (answer, bound) {
            // The kernel takes the peer for a neighbour on the link then.
            (Answer::NoRoute, Some(link)) => {
                let target = IpAddr::V4(peer);
                alone(self.carrier(outer, None, link, target, (None, Scope::LINK, None)))
            }
            (Answer::NoRoute, None) => {
                fault(FaultKind::Unroutable, format!("no route to {peer}, the peer of link {name}"))
            }
            (Answer::Rule(rule), _) => {
                let kind = match rule.action {
                    crate::rib::RuleAction::NotHeld => FaultKind::NotHeld,
                    _ => FaultKind::Unroutable,
                };
                let priority = rule.priority;
                fault(kind, format!("rule {priority} ({}) keeps {peer}, the peer of link {name}", rule.text))
            }
            (Answer::Match(found), _) => match found.route.kind {
                RouteKind::Unicast => {
                    let route = (found.rule.priority, found.table, found.prefix);
                    let hops = found.route.usable_hops();
                    let hops = hops.filter(|hop| bound.is_none_or(|link| hop.link == Some(link)));
                    hops.map(|hop| self.share(outer, found.route, route, hop)).collect()
                }
                RouteKind::Local => {
                    fault(FaultKind::Loop, format!("{peer}, the peer of link {name}, is this node itself"))
                }
                kind => {
                    let (kind, prefix) = (kind.name(), found.prefix);
                    let text =
                        format!("{peer}, the peer of link {name}, is behind the {kind} route {prefix}");
                    fault(FaultKind::Unroutable, text)
                }
            },
        }
    }

    fn share(
        &self,
        outer: Outer<'_>,
        route: &Route,
        place: (u32, crate::state::TableId, ipnet::Ipv4Net),
        hop: &NextHop,
    ) -> Share {
        let (name, peer) = (self.links.name(outer.tunnel), outer.peer);
        let weight = u32::from(hop.weight.value());
        let Some(link) = hop.link else {
            let text = format!("the route {} to {peer}, the peer of link {name}, names no link", place.2);
            return Share { key: 0, weight, carrier: Err(Fault::new(FaultKind::Unroutable, text)) };
        };
        let key = member_key(hop.gateway, self.links.name(link));
        let carrier = if link == outer.tunnel {
            let text = format!("{peer}, the peer of link {name}, is routed into {name} itself ({})", place.2);
            Err(Fault::new(FaultKind::Loop, text))
        } else if hop.encap {
            Err(Fault::new(FaultKind::NotHeld, format!("the route {} to {peer} has `encap`", place.2)))
        } else {
            let target = hop.gateway.unwrap_or(IpAddr::V4(peer));
            self.carrier(outer, Some(place), link, target, (hop.gateway, route.scope, route.prefsrc)).map(
                |carrier| {
                    let mtu = route.metrics.mtu.map_or(carrier.mtu, |mtu| carrier.mtu.min(mtu.bytes()));
                    Carrier { mtu, ..carrier }
                },
            )
        };
        Share { key, weight, carrier }
    }

    /// The way by one next hop of the underlay.
    fn carrier(
        &self,
        outer: Outer<'_>,
        route: Option<(u32, crate::state::TableId, ipnet::Ipv4Net)>,
        link: LinkId,
        target: IpAddr,
        (gateway, scope, prefsrc): (Option<IpAddr>, Scope, Option<Ipv4Addr>),
    ) -> Result<Carrier, Fault> {
        let (name, below) = (self.links.name(outer.tunnel), self.links.link(link));
        if !below.up {
            let text = format!("link {} below link {name} is down", below.name);
            return Err(Fault::new(FaultKind::LinkDown, text));
        }
        if matches!(below.kind, LinkKind::Ipip(_) | LinkKind::Vxlan(_)) {
            let text = format!("link {name} over link {}: a tunnel in a tunnel is not walked", below.name);
            return Err(Fault::new(FaultKind::NotHeld, text));
        }
        let attachment = self.attach(link, target)?;
        let next_hop = match target {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        };
        let source = outer
            .local
            .or(prefsrc)
            .or_else(|| self.links.address(link, next_hop, scope))
            .or_else(|| self.links.node_address());
        let Some(source) = source else {
            let text = format!("link {name} has no `local`, and link {} no address to send from", below.name);
            return Err(Fault::new(FaultKind::Unroutable, text));
        };
        let underlay = Underlay {
            peer: outer.peer,
            source,
            route,
            gateway,
            link,
            neighbour: attachment.neighbour,
            station: attachment.station,
        };
        Ok(Carrier { underlay, attachment, mtu: below.mtu })
    }
}

/// An outer IPv4 header (RFC 791) without what differs between packets: TOS, length, id and checksum are zero.
fn outer_ipv4(
    ttl: u8,
    flags: u16,
    protocol: u8,
    source: Ipv4Addr,
    destination: Ipv4Addr,
) -> [u8; ipv4::HEADER] {
    let mut header = [0; ipv4::HEADER];
    header[0] = 0x45;
    header[6..8].copy_from_slice(&flags.to_be_bytes());
    header[8] = ttl;
    header[9] = protocol;
    header[12..16].copy_from_slice(&source.octets());
    header[16..].copy_from_slice(&destination.octets());
    header
}

/// A UDP header without source port, length and checksum.
fn outer_udp(destination: u16) -> [u8; udp::HEADER] {
    let mut header = [0; udp::HEADER];
    header[2..4].copy_from_slice(&destination.to_be_bytes());
    header
}

/// RFC 7348 5: the I flag, reserved bits zero. A link without a network of its own sends network 0.
fn vxlan_header(vni: Option<Vni>) -> [u8; vxlan::HEADER] {
    let mut header = [0; vxlan::HEADER];
    header[0] = vxlan::FLAG_VNI;
    header[4..].copy_from_slice(&(vni.map_or(0, Vni::value) << 8).to_be_bytes());
    header
}

/// An Ethernet header before an IPv4 packet.
pub(super) fn ethernet_header(destination: MacAddr, source: MacAddr) -> [u8; ethernet::HEADER] {
    let mut header = [0; ethernet::HEADER];
    ethernet::emit(&mut header, destination, source, ethernet::IPV4);
    header
}
