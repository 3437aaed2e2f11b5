//! From the events of a walk to its stages.

use super::headers::{self, Header, ecn_name, icmp_name};
use super::model::{
    Candidate, Exit, Key, Member, Neighbour, NextHop, Outcome, Rule, Stage, Term, Underlay, Vtep, Walk,
};
use crate::Node;
use crate::resolve::{self, MtuTerm, Way};
use crate::rib::{Answer, Match};
use crate::route_get::Found;
use packetwalk_walk::observer::{Addressed, ArpVerdict, Suppressed};
use packetwalk_walk::tables::{
    Action, AdjacencyId, BUCKETS, Encapsulation, HopId, LinkId, PortId, Role, RouteKey, TunnelId, TunnelKind,
};
use packetwalk_walk::{Event, Instant, Observer, Outcome as Ended, ecn};
use std::net::Ipv4Addr;

/// Routes that lost, at most.
const LOST: usize = 2;

/// Watches one frame of a batch and writes down its walk.
#[derive(Debug)]
pub struct Explainer<'n> {
    pub(super) node: &'n Node,
    /// The frame's place in its batch.
    slot: usize,
    pub(super) walk: Walk,
    ended: Option<Ended>,
    pub(super) ingress: Option<PortId>,
    /// The IPv4 packet that is routed, as it arrived.
    pub(super) packet: Vec<u8>,
    pub(super) iif: Option<LinkId>,
    pub(super) adjacency: Option<AdjacencyId>,
    sending: Sending,
}

/// What the next frame sent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Frame,
    Fragment { first: bool },
    Icmp,
    Arp,
}

impl<'n> Explainer<'n> {
    /// Watches the frame in place `slot` of its batch, which is number `frame` of all and was received at `now`.
    pub fn new(node: &'n Node, slot: usize, frame: u64, now: Instant) -> Self {
        let outcome = Outcome { result: "none", port: None, reason: None, help: None, detail: None };
        Self {
            node,
            slot,
            walk: Walk { frame, time: now.0, stages: Vec::new(), outcome },
            ended: None,
            ingress: None,
            packet: Vec::new(),
            iif: None,
            adjacency: None,
            sending: Sending::Frame,
        }
    }

    /// The frame's walk, once its batch has been walked.
    pub fn finish(mut self) -> Walk {
        if let Some(ended) = self.ended {
            self.walk.outcome = self.outcome(ended);
        }
        self.walk
    }

    fn push(&mut self, stage: Stage) {
        self.walk.stages.push(stage);
    }

    pub(super) fn link(&self, link: LinkId) -> String {
        self.node.link_names.get(link.index()).cloned().unwrap_or_default()
    }

    pub(super) fn port(&self, port: PortId) -> String {
        self.node.port_names.get(port.index()).cloned().unwrap_or_default()
    }

    fn received(&mut self, port: PortId, frame: &[u8]) {
        self.ingress = Some(port);
        let role = match self.node.tables.ports.get(port.index()).map(|port| port.role) {
            Some(Role::Workload) => "workload",
            _ => "uplink",
        };
        let headers = headers::read(frame, &self.node.tables);
        self.push(Stage::Received { port: self.port(port), role, length: frame.len(), headers });
    }

    fn ethernet(&mut self, addressed: Addressed) {
        let tables = &self.node.tables;
        let Some(port) = self.ingress.and_then(|port| tables.ports.get(port.index())) else { return };
        let bridge = port.bridge.map(|member| &tables.bridges[usize::from(member.bridge.0)]);
        let addressed = match addressed {
            Addressed::Us => "us",
            Addressed::Broadcast => "broadcast",
            Addressed::Multicast => "multicast",
            Addressed::Other => "other",
        };
        let own = bridge.map_or(port.mac, |bridge| bridge.mac);
        let bridge = bridge.map(|bridge| self.link(bridge.link));
        self.push(Stage::Ethernet { addressed, own, bridge });
    }

    fn arp(&mut self, sender: Ipv4Addr, target: Ipv4Addr, verdict: ArpVerdict) {
        self.sending = Sending::Arp;
        let tables = &self.node.tables;
        let port = self.ingress.map(|port| self.port(port)).unwrap_or_default();
        let (verdict, why) = match verdict {
            ArpVerdict::Own => ("own", format!("{target} is one of the node's own addresses")),
            ArpVerdict::FakeGateway => (
                "fake_gateway",
                format!("{target} is the gateway of every workload, and {port} is a workload's"),
            ),
            ArpVerdict::Proxy => {
                ("proxy", format!("{port} proxies, and the route to {target} leaves by another link"))
            }
            ArpVerdict::ReplyToUs => ("reply_to_us", "a reply to this node: the kernel keeps it".to_owned()),
            ArpVerdict::NotOurs if tables.is_own(sender.into()) => {
                ("not_ours", format!("the sender claims {sender}, which is the node's own"))
            }
            ArpVerdict::NotOurs => {
                ("not_ours", format!("{target} is neither the node's own nor proxied on {port}"))
            }
            ArpVerdict::Malformed => (
                "malformed",
                "wrong types or lengths, or a sender that is not the Ethernet source".to_owned(),
            ),
        };
        self.push(Stage::Arp { verdict, why });
    }

    fn ipv4(&mut self, packet: &[u8], inner: bool, iif: LinkId) {
        let header_length = packet.first().map_or(0, |first| usize::from(first & 0xf) * 4);
        self.packet = packet.get(..header_length).unwrap_or(packet).to_vec();
        self.iif = Some(iif);
        if let Some(header) = headers::ipv4_fields(packet) {
            self.push(Stage::Ipv4 { inner, iif: self.link(iif), header });
        }
    }

    /// The inner header was read before it was clear that the tunnel lets it out; for whoever reads, the exit is first.
    fn exit(&mut self, exit: Exit) {
        let inner =
            self.walk.stages.iter().rposition(|stage| matches!(stage, Stage::Ipv4 { inner: true, .. }));
        let place = inner.unwrap_or(self.walk.stages.len());
        self.walk.stages.insert(place, Stage::Exit(exit));
    }

    fn tunnel_kind(&self, tunnel: TunnelId) -> &'static str {
        match self.node.tables.tunnels.tunnel(tunnel).kind {
            TunnelKind::Ipip { .. } => "ipip",
            TunnelKind::Vxlan { .. } => "vxlan",
        }
    }

    fn routed(&mut self, key: &RouteKey) {
        let node = self.node;
        let answer = node.rib.lookup(key);
        let decisive = match &answer {
            Answer::Match(found) => Some(found.rule),
            Answer::Rule(rule) => Some(*rule),
            Answer::NoRoute => None,
        };
        let mut rules = Vec::new();
        for rule in &node.rib.rules {
            let decides = decisive.is_some_and(|decisive| std::ptr::eq(rule, decisive));
            let result = match () {
                () if decides => "decides",
                () if rule.selector.selects(key) => "no_route",
                () => "not_selected",
            };
            rules.push(Rule { priority: rule.priority, rule: rule.text.clone(), result });
            if decides {
                break;
            }
        }
        let key = Key {
            from: key.source.into(),
            to: key.destination.into(),
            iif: key.iif.map(|link| self.link(link)),
            tos: key.tos,
            protocol: key.protocol,
        };
        self.push(Stage::Rules { key, rules });
        if let Answer::Match(found) = answer {
            self.route(&found);
        }
    }

    fn route(&mut self, found: &Match<'_>) {
        let links = &self.node.links;
        let candidate = |prefix, route, because| Candidate {
            prefix: format!("{prefix}"),
            route: Found::new(prefix, found.table, route, links).to_string(),
            because,
        };
        let lost = found.shorter.iter().take(LOST).map(|(prefix, route)| {
            let because = match () {
                () if *prefix != found.prefix => "shorter_prefix",
                () if route.metric > found.route.metric => "higher_metric",
                () => "later",
            };
            candidate(*prefix, route, Some(because))
        });
        let stage = Stage::Route {
            table: found.table.to_string(),
            route: candidate(found.prefix, found.route, None),
            lost: lost.collect(),
        };
        self.push(stage);
    }

    fn group(&mut self, hop: HopId, flow: u64, bucket: usize, chosen: AdjacencyId) {
        let node = self.node;
        let group = hop.resolve().err().and_then(|number| node.tables.groups.get(number));
        let share = |adjacency| {
            group.map_or(0, |group| group.buckets().iter().filter(|bucket| **bucket == adjacency).count())
        };
        let members = node.members(hop).iter().map(|(weight, adjacency)| Member {
            next_hop: node.way(*adjacency).map(|way| self.hop(way)).unwrap_or_default(),
            weight: *weight,
            buckets: share(*adjacency),
            chosen: *adjacency == chosen,
        });
        let members = members.collect();
        self.push(Stage::Ecmp { flow: format!("{flow:016x}"), bucket, buckets: BUCKETS, members });
    }

    /// A next hop as a route names it.
    fn hop(&self, way: &Way) -> String {
        let link = way.link.map(|link| self.link(link)).unwrap_or_default();
        match way.gateway {
            Some(gateway) => format!("via {gateway} dev {link}"),
            None => format!("dev {link}"),
        }
    }

    fn next_hop(&mut self, way: &Way) {
        let underlay = way.underlay.as_ref().map(|underlay| Underlay {
            source: underlay.source,
            peer: underlay.peer,
            rule: underlay.route.map(|(rule, ..)| rule),
            table: underlay.route.map(|(_, table, _)| table.to_string()),
            prefix: underlay.route.map(|(.., prefix)| prefix.to_string()),
            gateway: underlay.gateway,
            link: self.link(underlay.link),
            neighbour: self.neighbour(underlay.neighbour),
            member: underlay.station.map(|member| self.link(member)),
        });
        let next_hop = NextHop {
            gateway: way.gateway,
            link: way.link.map(|link| self.link(link)),
            neighbour: way.neighbour.map(|neighbour| self.neighbour(neighbour)),
            member: way.station.map(|member| self.link(member)),
            fdb: way.vtep.map(|vtep| Vtep { mac: vtep.mac, link: self.link(vtep.link), dst: vtep.remote }),
            underlay,
            fault: way.fault.clone(),
        };
        self.push(Stage::NextHop(Box::new(next_hop)));
    }

    fn neighbour(&self, neighbour: resolve::Neighbour) -> Neighbour {
        Neighbour { address: neighbour.address, link: self.link(neighbour.link), lladdr: neighbour.mac }
    }

    fn forward(&mut self, adjacency: AdjacencyId, ttl: u8, length: usize, mtu: u32, dont_fragment: bool) {
        self.adjacency = Some(adjacency);
        let way = self.node.way(adjacency);
        if let Some(way) = way {
            self.next_hop(way);
        }
        self.push(Stage::Ttl { before: ttl, after: (ttl > 1).then(|| ttl - 1) });
        if ttl <= 1 {
            return;
        }
        let terms = way.map(|way| self.terms(way, adjacency)).unwrap_or_default();
        self.push(Stage::Mtu { length, mtu, terms, dont_fragment, fits: length <= mtu as usize });
    }

    fn terms(&self, way: &Way, adjacency: AdjacencyId) -> Vec<Term> {
        let underlay = way.underlay.as_ref().map(|underlay| self.link(underlay.link)).unwrap_or_default();
        let kind = self
            .encapsulation(adjacency)
            .map_or("tunnel", |kind| if kind == "ipip" { "IPIP" } else { "VXLAN" });
        let text = |term: MtuTerm| match term {
            MtuTerm::Link(link, mtu) => format!("{mtu} ({})", self.link(link)),
            MtuTerm::Route(mtu) => format!("{mtu} (the route's mtu)"),
            MtuTerm::Underlay(mtu, overhead) => {
                format!("{mtu} ({underlay}) - {overhead} ({kind}) = {}", term.bytes())
            }
        };
        way.mtu.iter().map(|term| Term { text: text(*term), bytes: term.bytes() }).collect()
    }

    /// The kind of tunnel that packets enter by this adjacency.
    fn encapsulation(&self, adjacency: AdjacencyId) -> Option<&'static str> {
        match &self.node.tables.adjacencies.get(adjacency.index())?.action {
            Action::Send { encapsulation: Encapsulation::Ipip(_), .. } => Some("ipip"),
            Action::Send { encapsulation: Encapsulation::Vxlan(_), .. } => Some("vxlan"),
            _ => None,
        }
    }

    fn sent(&mut self, port: PortId, frame: &[u8]) {
        let headers = headers::read(frame, &self.node.tables);
        let what = match self.sending {
            Sending::Frame => "frame",
            Sending::Fragment { .. } => "fragment",
            Sending::Icmp => "icmp_error",
            // A request of the walk's own looks the same but for its operation.
            Sending::Arp => "arp_reply",
        };
        if matches!(self.sending, Sending::Frame | Sending::Fragment { first: true }) {
            self.rewritten(frame, &headers);
        }
        self.sending = match self.sending {
            Sending::Fragment { .. } => Sending::Fragment { first: false },
            _ => Sending::Frame,
        };
        self.push(Stage::Sent { what, port: self.port(port), length: frame.len(), headers });
    }

    /// What differs between the packet that arrived and the one in the frame sent.
    fn rewritten(&mut self, frame: &[u8], headers: &[Header]) {
        let Some(id) = self.adjacency else { return };
        let Some(adjacency) = self.node.tables.adjacencies.get(id.index()) else { return };
        let Action::Send { rewrite, .. } = &adjacency.action else { return };
        let after = frame.get(rewrite.len()..).and_then(headers::ipv4_fields);
        if let (Some(before), Some(after)) = (headers::ipv4_fields(&self.packet), after) {
            let changed = after.changed(&before);
            self.push(Stage::Header { before, after, changed });
        }
        if let Some(kind) = self.encapsulation(id) {
            // Ethernet and IPv4; for VXLAN also UDP, VXLAN and the inner Ethernet.
            let count = if kind == "ipip" { 2 } else { 5 };
            let outer = headers.iter().take(count).cloned().collect();
            self.push(Stage::Entry { kind, link: self.link(adjacency.link), headers: outer });
        }
    }
}

impl Observer for Explainer<'_> {
    fn event(&mut self, slot: usize, event: Event<'_>) {
        if slot != self.slot {
            return;
        }
        match event {
            Event::Received { port, frame } => self.received(port, frame),
            Event::Ethernet { addressed, .. } => self.ethernet(addressed),
            Event::Switched { bridge, port } => {
                self.push(Stage::Switched { bridge: self.link(bridge), port: self.port(port) });
            }
            Event::Arp { sender, target, verdict, .. } => self.arp(sender, target, verdict),
            Event::Ipv4 { packet, inner, iif } => self.ipv4(packet, inner, iif),
            // Of the rules the tables hold a digest; what `routed` shows are the kernel's.
            Event::Rule { .. } => {}
            Event::Routed { key, .. } => self.routed(&key),
            Event::Group { hop, flow, bucket, adjacency } => self.group(hop, flow, bucket, adjacency),
            Event::Neighbour { link, address, adjacency } => {
                self.push(Stage::Neighbour { link: self.link(link), address, found: adjacency.is_some() });
            }
            Event::Exit { tunnel, peer, vni, outer_tos, inner_tos, tos, anomaly } => self.exit(Exit {
                kind: self.tunnel_kind(tunnel),
                link: self.link(self.node.tables.tunnels.tunnel(tunnel).link),
                peer,
                vni,
                outer_ecn: ecn_name(outer_tos),
                inner_ecn: ecn_name(inner_tos),
                // RFC 6040 4.2: congestion that the packet inside could not say ends it.
                ecn: ecn::exit(inner_tos, outer_tos).field.map(|_| ecn_name(tos)),
                anomaly,
            }),
            Event::Forward { adjacency, ttl, length, mtu, dont_fragment } => {
                self.forward(adjacency, ttl, length, mtu, dont_fragment);
            }
            Event::Fragmented { count } => {
                self.sending = Sending::Fragment { first: true };
                self.push(Stage::Fragments { count });
            }
            Event::IcmpError { kind, code, mtu, source, destination } => {
                self.sending = Sending::Icmp;
                self.push(Stage::Icmp {
                    kind,
                    code,
                    name: icmp_name(kind, code),
                    mtu: (mtu > 0).then_some(mtu),
                    source: Some(source),
                    destination: Some(destination),
                    suppressed: None,
                });
            }
            Event::IcmpSuppressed { kind, code, why } => self.push(Stage::Icmp {
                kind,
                code,
                name: icmp_name(kind, code),
                mtu: None,
                source: None,
                destination: None,
                suppressed: Some(match why {
                    Suppressed::NotDue => "not_due",
                    Suppressed::Rate => "rate",
                    Suppressed::NoWayBack => "no_way_back",
                    Suppressed::NoFrame => "no_frame",
                }),
            }),
            Event::Sent { port, frame } => self.sent(port, frame),
            Event::Ended(outcome) => self.ended = Some(outcome),
        }
    }
}
