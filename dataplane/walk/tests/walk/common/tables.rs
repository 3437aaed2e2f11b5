//! The node of [`super::node`] as the tables that a worker reads: what control would publish for it.

use super::node::*;
use super::packets::{Ip, Mac, ethernet};
use etherparse::UdpHeader;
use packetwalk_fib::{Fib4, Prefix4};
use packetwalk_walk::tables::{
    Action, Adjacency, AdjacencyId, Bridge, BridgeId, Encapsulation, FibId, Group, HopId, IpipEntry,
    Ipv4Tables, Link, LinkId, Membership, Port, PortId, Role, RuleAction, RuleStep, Selector, Tables, Tunnel,
    TunnelKind, Tunnels, UdpChecksum, Vni, VxlanEntry,
};
use packetwalk_walk::wire::MacAddr;
use packetwalk_walk::{DropReason, PuntReason};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The tables of the node.
pub fn tables() -> Tables {
    let mut builder = Builder::default();
    builder.adjacency(Action::Refuse { reason: DropReason::NoRoute, code: Some(0) }, LO, 65_535, None);
    let router2 = builder.routes();
    let rules = builder.rules(router2);
    let tables = Tables {
        generation: 1,
        links: links(),
        ports: ports(),
        bridges: Box::new([bridge()]),
        adjacencies: builder.adjacencies.into_boxed_slice(),
        groups: builder.groups.into_boxed_slice(),
        kernel_behind: false,
        tunnels: tunnels(),
        ipv4: Ipv4Tables {
            own: [NODE, NODE_ETH1, NODE_CNI0, NODE_TUNL0, NODE_FLANNEL, Ipv4Addr::LOCALHOST]
                .map(|address| u64::from(u32::from(address)))
                .into_iter()
                .collect(),
            rules: rules.into_boxed_slice(),
            fibs: builder.fibs.into_boxed_slice(),
            neighbours: packetwalk_walk::tables::FlatMap::from_entries(builder.neighbour_entries),
            node_address: Some(NODE),
            loopback: Some(LO),
        },
    };
    tables.verify().expect("every number leads somewhere");
    tables
}

fn links() -> Box<[Link]> {
    let mut links = vec![Link { forwarding: true, proxy_arp: false }; LINKS];
    for workload in [CALI1, CALI2] {
        links[workload.index()].proxy_arp = true;
    }
    links.into_boxed_slice()
}

fn ports() -> Box<[Port]> {
    let member = Some(Membership { bridge: BridgeId(0), forwarding: true, hairpin: false });
    let port = |PortId(number), mac, role, bridge, vlans: &[u16]| Port {
        link: LinkId(number),
        mac: MacAddr(mac),
        role,
        up: true,
        mtu: 1500,
        bridge,
        vlans: vlans.into(),
    };
    Box::new([
        port(ETH0, ETH0_MAC, Role::Uplink, None, &[VLAN]),
        port(ETH1, ETH1_MAC, Role::Uplink, None, &[]),
        port(CALI1, CALI_MAC, Role::Workload, None, &[]),
        port(CALI2, CALI_MAC, Role::Workload, None, &[]),
        port(VETH1, VETH1_MAC, Role::Workload, member, &[]),
        port(VETH2, VETH2_MAC, Role::Workload, member, &[]),
    ])
}

fn bridge() -> Bridge {
    Bridge {
        link: CNI0,
        mac: MacAddr(CNI0_MAC),
        switches: true,
        own: [u64::from(u32::from(NODE_CNI0))].into_iter().collect(),
        stations: packetwalk_walk::tables::FlatMap::from_entries([
            (MacAddr(POD3_MAC).key(), u32::from(VETH1.0)),
            (MacAddr(POD4_MAC).key(), u32::from(VETH2.0)),
        ]),
    }
}

fn tunnels() -> Tunnels {
    let tunnel = |link, kind| Tunnel { link, kind, up: true, any_peer: false };
    let vxlan =
        |vni, port, mac| TunnelKind::Vxlan { vni: Vni::new(vni), port, mac: MacAddr(mac), bridge: None };
    Tunnels::new(
        vec![
            tunnel(TUNL0, TunnelKind::Ipip { remote: None, local: None }),
            tunnel(IPIP1, TunnelKind::Ipip { remote: Some(PEER1), local: Some(NODE) }),
            tunnel(FLANNEL, vxlan(1, 8472, FLANNEL_MAC)),
            tunnel(VXLAN2, vxlan(2, 4789, VXLAN2_MAC)),
        ],
        [(TUNL0, PEER), (IPIP1, PEER1), (FLANNEL, VTEP), (VXLAN2, VTEP2)],
    )
}

/// Numbers adjacencies, groups and tables as they come.
#[derive(Default)]
struct Builder {
    adjacencies: Vec<Adjacency>,
    groups: Vec<Group>,
    fibs: Vec<Arc<Fib4>>,
    neighbour_entries: Vec<(u64, u32)>,
}

impl Builder {
    fn adjacency(&mut self, action: Action, link: LinkId, mtu: u32, source: Option<Ipv4Addr>) -> AdjacencyId {
        self.adjacencies.push(Adjacency { action, link, mtu, source });
        AdjacencyId(u32::try_from(self.adjacencies.len()).unwrap() - 1)
    }

    /// By an Ethernet header alone.
    fn native(
        &mut self,
        port: PortId,
        (to, from): (Mac, Mac),
        link: LinkId,
        mtu: u32,
        source: Option<Ipv4Addr>,
    ) -> AdjacencyId {
        let rewrite = ethernet(to, from, 0x0800, &[]).into_iter().collect();
        self.adjacency(Action::Send { rewrite, port, encapsulation: Encapsulation::None }, link, mtu, source)
    }

    fn ipip(
        &mut self,
        (remote, mac): (Ipv4Addr, Mac),
        entry: IpipEntry,
        ttl: u8,
        link: LinkId,
        mtu: u32,
    ) -> AdjacencyId {
        let outer = Ip::new(NODE, remote, 4, Vec::new()).id(0).ttl(ttl);
        let rewrite = ethernet(mac, ETH0_MAC, 0x0800, &outer.bytes()).into_iter().collect();
        let action = Action::Send { rewrite, port: ETH0, encapsulation: Encapsulation::Ipip(entry) };
        let source = (link == TUNL0).then_some(NODE_TUNL0);
        self.adjacency(action, link, mtu, source)
    }

    fn vxlan(
        &mut self,
        (remote, mac): (Ipv4Addr, Mac),
        (inner_to, inner_from): (Mac, Mac),
        (port, vni): (u16, u32),
        entry: VxlanEntry,
        link: LinkId,
        mtu: u32,
    ) -> AdjacencyId {
        let mut bytes = Ip::new(NODE, remote, 17, Vec::new()).id(0).bytes();
        bytes.extend_from_slice(&UdpHeader::without_ipv4_checksum(0, port, 0).unwrap().to_bytes());
        bytes.extend_from_slice(&[8, 0, 0, 0]);
        bytes.extend_from_slice(&(vni << 8).to_be_bytes());
        bytes.extend_from_slice(&ethernet(inner_to, inner_from, 0x0800, &[]));
        let rewrite = ethernet(mac, ETH0_MAC, 0x0800, &bytes).into_iter().collect();
        let action = Action::Send { rewrite, port: ETH0, encapsulation: Encapsulation::Vxlan(entry) };
        let source = (link == FLANNEL).then_some(NODE_FLANNEL);
        self.adjacency(action, link, mtu, source)
    }

    fn table(&mut self, routes: &[(&str, HopId)]) -> FibId {
        self.fibs.push(Fib4::from_routes(routes.iter().map(|(text, hop)| (prefix(text), hop.0))));
        FibId(u16::try_from(self.fibs.len()).unwrap() - 1)
    }

    /// Who is known on the connected subnets.
    fn neighbours(&mut self, router: AdjacencyId, router2: AdjacencyId) {
        for (link, address, adjacency) in [(LinkId(0), ROUTER, router), (LinkId(1), ROUTER2, router2)] {
            self.neighbour_entries.push((link.key(address), adjacency.0));
        }
        for (address, mac) in [
            (PEER, PEER_MAC),
            (PEER1, PEER1_MAC),
            (VTEP, VTEP_MAC),
            (VTEP2, VTEP2_MAC),
            (STRANGER, STRANGER_MAC),
        ] {
            let neighbour = self.native(ETH0, (mac, ETH0_MAC), LinkId(0), 1500, Some(NODE));
            self.neighbour_entries.push((LinkId(0).key(address), neighbour.0));
        }
        for (port, address, mac) in [(VETH1, POD3, POD3_MAC), (VETH2, POD4, POD4_MAC)] {
            let neighbour = self.native(port, (mac, CNI0_MAC), CNI0, 1500, Some(NODE_CNI0));
            self.neighbour_entries.push((CNI0.key(address), neighbour.0));
        }
    }

    /// The ways into tunl0, ipip1, flannel.1 and vxlan2.
    fn tunnel_entries(&mut self) -> [AdjacencyId; 4] {
        let inherit = IpipEntry { remote: PEER, inherit_ttl: true, set_df: false };
        let tunl0 = self.ipip((PEER, PEER_MAC), inherit, 64, TUNL0, 1480);
        let fixed = IpipEntry { remote: PEER1, inherit_ttl: false, set_df: true };
        let ipip1 = self.ipip((PEER1, PEER1_MAC), fixed, 33, IPIP1, 1400);
        let flannel = VxlanEntry {
            remote: VTEP,
            inherit_df: false,
            inherit_ttl: false,
            checksum: UdpChecksum::Zero,
            port_low: 49_152,
            port_count: 16_384,
        };
        let inner = (VTEP_INNER_MAC, FLANNEL_MAC);
        let flannel = self.vxlan((VTEP, VTEP_MAC), inner, (8472, 1), flannel, FLANNEL, 1450);
        let vxlan2 = VxlanEntry {
            remote: VTEP2,
            inherit_df: true,
            inherit_ttl: true,
            checksum: UdpChecksum::Full,
            port_low: 50_000,
            port_count: 100,
        };
        let inner = (VTEP2_INNER_MAC, VXLAN2_MAC);
        let vxlan2 = self.vxlan((VTEP2, VTEP2_MAC), inner, (4789, 2), vxlan2, VXLAN2, 1450);
        [tunl0, ipip1, flannel, vxlan2]
    }

    /// The tables `local` (0) and `main` (1). Returns the way by [`ROUTER2`].
    fn routes(&mut self) -> AdjacencyId {
        let local = self.adjacency(Action::Local, LO, 65_535, None);
        let eth0 = Some(NODE);
        let router = self.native(ETH0, (ROUTER_MAC, ETH0_MAC), LinkId(0), 1500, eth0);
        let router2 = self.native(ETH1, (ROUTER2_MAC, ETH1_MAC), LinkId(1), 1500, Some(NODE_ETH1));
        let narrow = self.native(ETH0, (ROUTER_MAC, ETH0_MAC), LinkId(0), 1000, eth0);
        let preferred = self.native(ETH0, (ROUTER_MAC, ETH0_MAC), LinkId(0), 1500, Some(NODE_ETH1));
        let pod1 = self.native(CALI1, (POD1_MAC, CALI_MAC), LinkId(2), 1500, None);
        let pod2 = self.native(CALI2, (POD2_MAC, CALI_MAC), LinkId(3), 1500, None);
        let on_eth0 = self.adjacency(Action::Connected, LinkId(0), 1500, eth0);
        let on_eth1 = self.adjacency(Action::Connected, LinkId(1), 1500, Some(NODE_ETH1));
        let on_cni0 = self.adjacency(Action::Connected, CNI0, 1500, Some(NODE_CNI0));
        self.neighbours(router, router2);
        let [tunl0, ipip1, flannel, vxlan2] = self.tunnel_entries();

        let refuse = |reason, code| Action::Refuse { reason, code };
        let blackhole = self.adjacency(refuse(DropReason::Blackhole, None), LO, 65_535, None);
        let unreachable = self.adjacency(refuse(DropReason::Unreachable, Some(1)), LO, 65_535, None);
        let prohibit = self.adjacency(refuse(DropReason::Prohibit, Some(13)), LO, 65_535, None);
        let not_held = self.adjacency(Action::Punt(PuntReason::NotHeld), DOCKER0, 1500, None);
        let mut fail = |reason, link| self.adjacency(Action::Fail(reason), link, 1500, None);
        let link_down = fail(DropReason::LinkDown, LinkId(1));
        let fdb_missing = fail(DropReason::FdbMissing, FLANNEL);
        let unroutable = fail(DropReason::TunnelUnroutable, TUNL0);
        let unresolved = fail(DropReason::NeighbourUnresolved, LinkId(0));
        let tunnel_loop = fail(DropReason::TunnelLoop, TUNL0);

        // One flow in four by ROUTER, three by ROUTER2.
        self.groups.push(Group::new(&[(0x1111, 1, router), (0x2222, 3, router2)]).unwrap());

        let hop = HopId::adjacency;
        let own = hop(local);
        self.table(&[
            ("192.0.2.10/32", own),
            ("192.0.2.255/32", own),
            ("198.51.100.10/32", own),
            ("198.51.100.255/32", own),
            ("10.244.1.0/32", own),
            ("10.244.1.1/32", own),
            ("10.244.1.255/32", own),
            ("10.65.0.1/32", own),
            ("127.0.0.0/8", own),
        ]);
        self.table(&[
            ("192.0.2.0/24", hop(on_eth0)),
            ("198.51.100.0/24", hop(on_eth1)),
            ("10.65.0.2/32", hop(pod1)),
            ("10.65.0.3/32", hop(pod2)),
            ("10.244.1.0/24", hop(on_cni0)),
            ("10.65.1.0/24", hop(tunl0)),
            ("10.66.0.0/16", hop(ipip1)),
            ("10.244.2.0/24", hop(flannel)),
            ("10.245.0.0/16", hop(vxlan2)),
            ("172.17.0.0/16", hop(not_held)),
            ("198.18.0.0/15", hop(router)),
            ("198.18.1.0/24", hop(preferred)),
            ("198.18.4.0/24", hop(narrow)),
            ("203.0.113.0/24", HopId::group(0)),
            ("10.77.0.0/16", hop(router)),
            ("10.78.0.0/16", hop(router)),
            ("10.79.0.0/16", hop(router)),
            ("10.80.0.0/16", hop(router)),
            ("10.81.0.0/16", hop(router)),
            ("10.99.1.0/24", hop(blackhole)),
            ("10.99.2.0/24", hop(unreachable)),
            ("10.99.3.0/24", hop(prohibit)),
            ("10.99.4.0/24", hop(link_down)),
            ("10.99.5.0/24", hop(fdb_missing)),
            ("10.99.6.0/24", hop(unroutable)),
            ("10.99.7.0/24", hop(unresolved)),
            ("10.99.8.0/24", hop(tunnel_loop)),
        ]);
        router2
    }

    /// The policy rules; `router2` is where the tables beside `main` lead.
    fn rules(&mut self, router2: AdjacencyId) -> Vec<RuleStep> {
        let blackhole =
            self.adjacency(Action::Refuse { reason: DropReason::Blackhole, code: None }, LO, 65_535, None);
        let prohibit =
            self.adjacency(Action::Refuse { reason: DropReason::Prohibit, code: Some(13) }, LO, 65_535, None);
        // A rule, not a route: 3/0.
        let unreachable = self.adjacency(
            Action::Refuse { reason: DropReason::Unreachable, code: Some(0) },
            LO,
            65_535,
            None,
        );
        let not_held = self.adjacency(Action::Punt(PuntReason::NotHeld), LO, 65_535, None);
        let hop = HopId::adjacency;
        let by_router2 =
            |routes: &[&'static str]| routes.iter().map(|route| (*route, hop(router2))).collect::<Vec<_>>();

        // 10.77.9.0/24 is a `throw` route: the rules go on.
        let from_pod2 = self.table(&[("10.77.0.0/16", hop(blackhole)), ("10.77.9.0/24", HopId::NONE)]);
        let from_cali1 = self.table(&by_router2(&["10.77.0.0/16", "10.78.0.0/16"]));
        let not_from_pods = self.table(&by_router2(&["10.79.0.0/16"]));
        let low_delay = self.table(&by_router2(&["10.80.0.0/16"]));
        let only_tcp = self.table(&by_router2(&["10.81.0.0/16"]));

        let to = |text: &str| {
            let prefix = prefix(text);
            Selector { destination: (u32::from(prefix.address()), prefix.mask()), ..Selector::ALL }
        };
        let pods = Selector::masked(Ipv4Addr::new(10, 65, 0, 0), 16);
        let step = |priority, selector, action| RuleStep { priority, selector, action };
        let decides = |adjacency| RuleAction::Hop(hop(adjacency));
        vec![
            step(0, Selector::ALL, RuleAction::Lookup(FibId(0))),
            step(
                100,
                Selector { source: Selector::masked(POD2, 32), ..Selector::ALL },
                RuleAction::Lookup(from_pod2),
            ),
            step(
                200,
                Selector { iif: Some(LinkId(CALI1.0)), ..Selector::ALL },
                RuleAction::Lookup(from_cali1),
            ),
            step(300, to("10.5.0.0/16"), decides(prohibit)),
            step(301, to("10.6.0.0/16"), decides(unreachable)),
            step(302, to("10.7.0.0/16"), decides(blackhole)),
            step(
                400,
                Selector { source: pods, invert: true, ..Selector::ALL },
                RuleAction::Lookup(not_from_pods),
            ),
            step(500, Selector { tos: Some(0x10), ..Selector::ALL }, RuleAction::Lookup(low_delay)),
            step(501, Selector { protocol: Some(6), ..Selector::ALL }, RuleAction::Lookup(only_tcp)),
            // A firewall mark is not implemented: what the rule could be for is the kernel's.
            step(600, to("10.82.0.0/16"), decides(not_held)),
            step(32_766, Selector::ALL, RuleAction::Lookup(FibId(1))),
        ]
    }
}

pub fn prefix(text: &str) -> Prefix4 {
    let (address, length) = text.split_once('/').unwrap();
    Prefix4::new(address.parse().unwrap(), length.parse().unwrap()).unwrap()
}
