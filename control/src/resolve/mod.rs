//! Recursive resolution: route, gateway, neighbour, forwarding entry, underlay route, underlay neighbour, port.
//!
//! What comes out is an [`Adjacency`] with every byte that does not depend on the packet. Where something is missing
//! the adjacency says so, with the MTU and source that it would have had, and a [`Finding`] names what is at fault.

mod entries;
mod fault;
mod hops;
mod slots;
mod tunnel;
mod way;

pub(crate) use entries::Entries;
pub(crate) use hops::{Hops, RouteHop};
pub use way::{MtuTerm, Neighbour, Underlay, Vtep, Way};

use crate::config::Config;
use crate::finding::Finding;
use crate::links::{LinkKind, Links};
use crate::rib::{NextHop, Rib, Route, RuleAction, Table};
use crate::state::{RouteKind, Scope, TableId};
use fault::{Fault, FaultKind};
use hops::{AdjacencyKey, Known, Resolved};
use ipnet::Ipv4Net;
use packetwalk_walk::tables::{
    Action, Adjacency, AdjacencyId, Encapsulation, HopId, LinkId, PortId, Rewrite,
};
use packetwalk_walk::wire::{MacAddr, ethernet};
use packetwalk_walk::{DropReason, PuntReason};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tunnel::{Station, ethernet_header};

/// What takes the packets that the walk cannot finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Nothing: a replay.
    Nothing,
    /// The node's kernel.
    Kernel,
}

/// Turns routes into hops.
pub(crate) struct Resolver<'a> {
    links: &'a Links,
    rib: &'a Rib,
    entries: &'a Entries,
    config: &'a Config,
    behind: Behind,
    findings: &'a mut Vec<Finding>,
    hops: &'a mut Hops,
}

/// A next hop of a route, with what the route says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Request {
    gateway: Option<IpAddr>,
    /// The destination, where there is no gateway and it is one host.
    host: Option<Ipv4Addr>,
    link: LinkId,
    mtu: Option<u32>,
    prefsrc: Option<Ipv4Addr>,
    scope: Scope,
}

/// A member of a group: its key, its weight among those of one next hop, its adjacency.
#[derive(Clone, Copy, Debug)]
struct Member {
    key: u64,
    weight: u32,
    adjacency: AdjacencyId,
}

/// The end of one way: what is sent, or what is missing.
struct Leaf {
    key: u64,
    weight: u32,
    outcome: Result<Action, Fault>,
    way: Way,
}

/// How to reach a neighbour through a port.
#[derive(Clone, Debug)]
struct Attachment {
    header: [u8; ethernet::HEADER],
    port: PortId,
    neighbour: Neighbour,
    /// The member of a bridge.
    station: Option<LinkId>,
}

impl Leaf {
    fn fault(way: &Way, fault: Fault) -> Self {
        let way = Way { fault: Some(fault.text.clone()), ..way.clone() };
        Self { key: 0, weight: 1, outcome: Err(fault), way }
    }

    /// The neighbours that it needs.
    fn neighbours(&self) -> impl Iterator<Item = (LinkId, IpAddr)> + use<> {
        let underlay = self.way.underlay.as_ref().map(|underlay| underlay.neighbour);
        let known = [self.way.neighbour, underlay].into_iter().flatten();
        let unknown = self.outcome.as_ref().err().and_then(|fault| fault.neighbour);
        known.map(|neighbour| (neighbour.link, neighbour.address)).chain(unknown)
    }

    fn action(way: Way, action: Action) -> Self {
        Self { key: 0, weight: 1, outcome: Ok(action), way }
    }
}

/// What a [`Resolver`] resolves against.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) links: &'a Links,
    pub(crate) rib: &'a Rib,
    pub(crate) entries: &'a Entries,
    pub(crate) config: &'a Config,
    pub(crate) behind: Behind,
}

impl<'a> Resolver<'a> {
    /// Goes on with `hops`: next hops that were resolved in this pass stay as they are.
    pub(crate) fn new(around: Surroundings<'a>, hops: &'a mut Hops, findings: &'a mut Vec<Finding>) -> Self {
        let Surroundings { links, rib, entries, config, behind } = around;
        Self { links, rib, entries, config, behind, findings, hops }
    }

    /// Resolves everything anew that a route of the RIB leads to; those of hosts, of `tables`. Returns the routes whose hop is
    /// another now.
    pub(crate) fn begin_pass(&mut self, tables: &HashSet<TableId>) -> HashSet<RouteHop> {
        let before = self.hops.begin_pass(self.rib, tables);
        // The first adjacency is what a lookup that finds nothing means (RFC 1812 5.2.7.1: network unreachable).
        self.verdict(Action::Refuse { reason: DropReason::NoRoute, code: Some(0) });
        for (route, known) in &before {
            let (table, prefix) = known.example;
            self.known(table, prefix, route.clone());
        }
        self.hops.moved(&before)
    }

    /// The hop of a prefix's route.
    pub(crate) fn hop(&mut self, table: TableId, prefix: Ipv4Net, route: &Arc<Route>) -> HopId {
        let route = RouteHop::new(prefix, route);
        match self.hops.routes.get(&route) {
            Some(known) => known.hop,
            None => self.known(table, prefix, route),
        }
    }

    fn known(&mut self, table: TableId, prefix: Ipv4Net, route: RouteHop) -> HopId {
        let hop = self.route(table, prefix, route.route());
        self.hops.routes.insert(route, Known { hop, example: (table, prefix) });
        hop
    }

    /// The hop of a rule that decides by itself; None for one that names a table.
    pub(crate) fn rule(&mut self, action: RuleAction) -> Option<HopId> {
        match action {
            RuleAction::Lookup(_) => None,
            RuleAction::Refuse(reason, code) => Some(self.verdict(Action::Refuse { reason, code })),
            RuleAction::NotHeld => Some(self.not_held()),
        }
    }

    /// The hop that leaves a packet to the kernel.
    pub(crate) fn not_held(&mut self) -> HopId {
        self.verdict(Action::Punt(PuntReason::NotHeld))
    }

    /// The hop of a route; [`HopId::NONE`] for a throw route.
    fn route(&mut self, table: TableId, prefix: Ipv4Net, route: &Route) -> HopId {
        let refuse = |reason, code| Action::Refuse { reason, code };
        match route.kind {
            RouteKind::Unicast => self.unicast(table, prefix, route),
            RouteKind::Local | RouteKind::Broadcast | RouteKind::Anycast => {
                let link = route.hops.iter().find_map(|hop| hop.link).unwrap_or(self.links.loopback());
                let way = Way { link: Some(link), ..Way::default() };
                let adjacency = Adjacency {
                    action: Action::Local,
                    link,
                    mtu: self.links.link(link).mtu,
                    source: route.prefsrc.or_else(|| self.links.address(link, None, Scope::LINK)),
                };
                HopId::adjacency(self.put(AdjacencyKey::Local(link, route.prefsrc), adjacency, way))
            }
            RouteKind::Multicast => self.verdict(Action::Punt(PuntReason::Multicast)),
            RouteKind::Unreachable => self.verdict(refuse(DropReason::Unreachable, Some(1))),
            RouteKind::Prohibit => self.verdict(refuse(DropReason::Prohibit, Some(13))),
            // Routes of the last two types are not read.
            RouteKind::Blackhole | RouteKind::Nat | RouteKind::Xresolve => {
                self.verdict(refuse(DropReason::Blackhole, None))
            }
            RouteKind::Throw => HopId::NONE,
        }
    }

    /// The neighbours of every link that a connected prefix leads to.
    pub(crate) fn neighbours(&mut self) -> Vec<(u64, AdjacencyId)> {
        let mut found = Vec::new();
        for (link, address) in self.entries.neighbours() {
            if !self.hops.connected.contains(&link) {
                continue;
            }
            let route = self.connected_route(link, address);
            let request = Request {
                gateway: None,
                host: Some(address),
                link,
                mtu: route.and_then(|(_, route)| route.metrics.mtu).map(crate::state::Mtu::bytes),
                prefsrc: route.and_then(|(_, route)| route.prefsrc),
                scope: route.map_or(Scope::LINK, |(_, route)| route.scope),
            };
            let members =
                self.next_hop(&request, || format!("neighbour {address} dev {}", self.links.name(link)));
            // A neighbour has one adjacency: of a VTEP's several ways the first is taken.
            if let Some(member) = members.first() {
                found.push((link.key(address), member.adjacency));
            }
        }
        found
    }

    /// An adjacency that needs no link.
    fn verdict(&mut self, action: Action) -> HopId {
        let link = self.links.loopback();
        let key = AdjacencyKey::Verdict(action.clone());
        let adjacency = Adjacency { action, link, mtu: self.links.link(link).mtu, source: None };
        HopId::adjacency(self.put(key, adjacency, Way::default()))
    }

    fn put(&mut self, key: AdjacencyKey, adjacency: Adjacency, way: Way) -> AdjacencyId {
        let number = self.hops.adjacencies.put(key, Resolved { adjacency, way }, HopId::LIMIT);
        let Some(number) = number else {
            let text = format!(
                "more than {} different next hops: those beyond are dropped as if there were no route",
                HopId::LIMIT
            );
            if self.findings.iter().all(|finding| finding.text != text) {
                self.findings.push(Finding::warning(text));
            }
            return AdjacencyId::NO_ROUTE;
        };
        AdjacencyId(number)
    }

    /// The longest prefix that puts `address` on `link` itself.
    fn connected_route(&self, link: LinkId, address: Ipv4Addr) -> Option<(Ipv4Net, &'a Arc<Route>)> {
        let is_connected = |route: &Route| {
            let mut direct = route.usable_hops().filter(|hop| hop.gateway.is_none());
            route.kind == RouteKind::Unicast && direct.any(|hop| hop.link == Some(link))
        };
        let longest = |(_, table): (TableId, &'a Table)| {
            table.holding(address.into()).find(|(_, route)| is_connected(route))
        };
        self.rib.tables().filter_map(longest).max_by_key(|(prefix, _)| prefix.prefix_len())
    }

    fn unicast(&mut self, table: TableId, prefix: Ipv4Net, route: &Route) -> HopId {
        let named = || format!("route {prefix} table {table}");
        if route.usable_hops().any(|hop| hop.encap) {
            let text = format!("{}: `encap` is not walked, its packets are punted (not_held)", named());
            self.findings.push(Finding::warning(text));
            return self.not_held();
        }
        let host = (prefix.prefix_len() == 32).then(|| prefix.addr());
        let mut hops = Vec::new();
        for hop in route.usable_hops() {
            let Some(link) = hop.link else {
                self.findings.push(Finding::warning(format!("{}: its next hop names no link", named())));
                hops.push((hop, vec![Member { key: 0, weight: 1, adjacency: self.linkless(route) }]));
                continue;
            };
            let request = Request {
                gateway: hop.gateway,
                host: host.filter(|_| hop.gateway.is_none()),
                link,
                mtu: route.metrics.mtu.map(crate::state::Mtu::bytes),
                prefsrc: route.prefsrc,
                scope: route.scope,
            };
            hops.push((hop, self.next_hop(&request, named)));
        }
        let shares = shares(self.links, &hops);
        self.hops.share(shares)
    }

    fn linkless(&mut self, route: &Route) -> AdjacencyId {
        let link = self.links.loopback();
        let action = Action::Fail(DropReason::LinkDown);
        let mtu = self.links.link(link).mtu;
        let way = Way { fault: Some("no link".to_owned()), ..Way::default() };
        let adjacency = Adjacency { action, link, mtu, source: route.prefsrc };
        self.put(AdjacencyKey::Linkless(route.prefsrc), adjacency, way)
    }

    /// The adjacencies of a next hop: several where a tunnel's underlay has several ways.
    fn next_hop(&mut self, request: &Request, who: impl Fn() -> String) -> Vec<Member> {
        if let Some(members) = self.hops.resolved.get(request) {
            return members.clone();
        }
        let mut members = Vec::new();
        for (ordinal, leaf) in (0..).zip(self.leaves(request)) {
            self.hops.wanted.extend(leaf.neighbours());
            let action = match leaf.outcome {
                Ok(action) => action,
                Err(fault) => {
                    self.findings.extend(fault.finding(self.behind, who()));
                    fault.action(self.behind)
                }
            };
            if action == Action::Connected {
                self.hops.connected.insert(request.link);
            }
            let next_hop = match request.gateway {
                Some(IpAddr::V4(gateway)) => Some(gateway),
                Some(IpAddr::V6(_)) => None,
                None => request.host,
            };
            let source = request
                .prefsrc
                .or_else(|| self.links.address(request.link, next_hop, request.scope.min(Scope::LINK)));
            let mtu = leaf.way.mtu.iter().map(|term| term.bytes()).min().unwrap_or(u32::MAX);
            let adjacency = Adjacency { action, link: request.link, mtu, source };
            let adjacency = self.put(AdjacencyKey::NextHop(*request, ordinal), adjacency, leaf.way);
            members.push(Member { key: leaf.key, weight: leaf.weight, adjacency });
        }
        self.hops.resolved.insert(*request, members.clone());
        members
    }

    fn leaves(&self, request: &Request) -> Vec<Leaf> {
        let link = self.links.link(request.link);
        let mut way = Way { gateway: request.gateway, link: Some(link.id), ..Way::default() };
        way.mtu.push(MtuTerm::Link(link.id, link.mtu));
        way.mtu.extend(request.mtu.map(MtuTerm::Route));
        let name = &link.name;
        if !link.up {
            return vec![Leaf::fault(&way, Fault::new(FaultKind::LinkDown, format!("link {name} is down")))];
        }
        let target = request.gateway.or(request.host.map(IpAddr::V4));
        match (&link.kind, target) {
            (LinkKind::Port { .. } | LinkKind::Bridge { .. } | LinkKind::Vxlan(_), None) => {
                vec![Leaf::action(way, Action::Connected)]
            }
            (LinkKind::Port { .. }, Some(target)) => vec![self.through_port(link.id, target, way)],
            (LinkKind::Bridge { mac, .. }, Some(target)) => self.through_bridge(link.id, *mac, target, way),
            (LinkKind::Vxlan(vxlan), Some(target)) => {
                let Some(mac) = self.entries.neighbour(link.id, target) else {
                    return vec![Leaf::fault(&way, self.unresolved(link.id, target))];
                };
                way.neighbour = Some(Neighbour { address: target, link: link.id, mac });
                self.vxlan(vxlan, Station { link: link.id, mac, from: vxlan.mac }, &way)
            }
            (LinkKind::Ipip(ipip), target) => self.ipip(ipip, target, &way, link.id),
            (LinkKind::Loopback | LinkKind::Vrf | LinkKind::Other | LinkKind::Missing, _) => {
                let text = format!("link {name} is neither port, bridge nor a tunnel that is walked");
                vec![Leaf::fault(&way, Fault::new(FaultKind::NotHeld, text))]
            }
        }
    }

    fn through_port(&self, link: LinkId, target: IpAddr, way: Way) -> Leaf {
        match self.attach(link, target) {
            Ok(attachment) => Leaf::action(
                Way { neighbour: Some(attachment.neighbour), station: attachment.station, ..way },
                Action::Send {
                    rewrite: Rewrite::from_iter(attachment.header),
                    port: attachment.port,
                    encapsulation: Encapsulation::None,
                },
            ),
            Err(fault) => Leaf::fault(&way, fault),
        }
    }

    /// A member of the bridge may itself be a VXLAN link.
    fn through_bridge(&self, bridge: LinkId, own: MacAddr, target: IpAddr, mut way: Way) -> Vec<Leaf> {
        let station =
            self.entries.neighbour(bridge, target).map(|mac| (mac, self.entries.station(bridge, mac)));
        let Some((mac, Some(member))) = station else { return vec![self.through_port(bridge, target, way)] };
        let member = self.links.link(member);
        match &member.kind {
            LinkKind::Vxlan(vxlan) if member.up && member.member_forwards => {
                way.neighbour = Some(Neighbour { address: target, link: bridge, mac });
                way.station = Some(member.id);
                way.mtu.push(MtuTerm::Link(member.id, member.mtu));
                self.vxlan(vxlan, Station { link: member.id, mac, from: own }, &way)
            }
            _ => vec![self.through_port(bridge, target, way)],
        }
    }

    /// How to reach `target` on a port, or through the bridge to one of its ports.
    fn attach(&self, link: LinkId, target: IpAddr) -> Result<Attachment, Fault> {
        let (LinkKind::Port { mac: own, .. } | LinkKind::Bridge { mac: own, .. }) =
            self.links.link(link).kind
        else {
            let text = format!("link {} is neither port nor bridge", self.links.name(link));
            return Err(Fault::new(FaultKind::NotHeld, text));
        };
        let mac = self.entries.neighbour(link, target).ok_or_else(|| self.unresolved(link, target))?;
        let neighbour = Neighbour { address: target, link, mac };
        let header = ethernet_header(mac, own);
        match self.links.link(link).kind {
            LinkKind::Port { port, .. } => Ok(Attachment { header, port, neighbour, station: None }),
            LinkKind::Bridge { vlan_filtering: false, .. } => {
                let (port, member) = self.member(link, mac)?;
                Ok(Attachment { header, port, neighbour, station: Some(member) })
            }
            _ => Err(Fault::new(
                FaultKind::Bridge,
                format!("bridge {} filters by VLAN", self.links.name(link)),
            )),
        }
    }

    /// The port of `bridge` behind which `mac` is.
    fn member(&self, bridge: LinkId, mac: MacAddr) -> Result<(PortId, LinkId), Fault> {
        let name = self.links.name(bridge);
        let Some(member) = self.entries.station(bridge, mac) else {
            let text = format!("bridge {name} has no forwarding entry for {mac}");
            return Err(Fault::new(FaultKind::Bridge, text));
        };
        let member = self.links.link(member);
        match member.kind {
            _ if !member.up => {
                let text = format!("link {}, member of bridge {name}, is down", member.name);
                Err(Fault::new(FaultKind::LinkDown, text))
            }
            LinkKind::Port { port, .. } if member.member_forwards => Ok((port, member.id)),
            _ => {
                let text = format!("link {}, member of bridge {name}, is no port that forwards", member.name);
                Err(Fault::new(FaultKind::Bridge, text))
            }
        }
    }

    fn unresolved(&self, link: LinkId, target: IpAddr) -> Fault {
        Fault::unresolved(link, self.links.name(link), target)
    }
}

/// The members of a route's next hops with weights that keep the shares of the hops, however many ways each has.
fn shares(links: &Links, hops: &[(&NextHop, Vec<Member>)]) -> Vec<(u64, u16, AdjacencyId)> {
    let total =
        |members: &[Member]| members.iter().map(|member| u64::from(member.weight)).sum::<u64>().max(1);
    let mut shares = Vec::new();
    let least = hops.iter().map(|(_, members)| total(members)).fold(1, least_common_multiple);
    for (hop, members) in hops {
        let key = member_key(hop.gateway, hop.link.map_or("", |link| links.name(link)));
        let scale = least / total(members);
        for member in members {
            let weight =
                u64::from(hop.weight.value()).saturating_mul(u64::from(member.weight)).saturating_mul(scale);
            let key = if members.len() == 1 { key } else { key ^ member.key.rotate_left(1) };
            shares.push((key, weight, member.adjacency));
        }
    }
    let greatest = shares.iter().map(|(_, weight, _)| *weight).max().unwrap_or(1);
    let divisor = greatest.div_ceil(u64::from(u16::MAX)).max(1);
    shares.into_iter().map(|(key, weight, id)| (key, (weight / divisor).max(1) as u16, id)).collect()
}

fn least_common_multiple(a: u64, b: u64) -> u64 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).saturating_mul(b)
}

/// Names a next hop for rendezvous hashing: the same on every build, whatever else is in the state (FNV-1a).
fn member_key(gateway: Option<IpAddr>, link: &str) -> u64 {
    let gateway = gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
    let bytes = gateway.bytes().chain([0]).chain(link.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
