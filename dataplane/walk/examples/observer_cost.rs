//! Walks frames of every kind, for scripts/observer-cost to count the instructions of the walk alone.
//!
//! It needs only the walk and its tables, so that it can be built without the feature `observe`, which everything that
//! depends on control has. It prints what became of the frames, which must not depend on how it was built. Where
//! `OBSERVE_ALL` is in the environment when it is built, the walk is observed.

use core::net::Ipv4Addr;
use packetwalk_fib::{Fib4, Prefix4};
use packetwalk_walk::tables::{
    Action, Adjacency, AdjacencyId, Bridge, BridgeId, Encapsulation, FibId, FlatMap, FlatSet, HopId,
    IpipEntry, Ipv4Tables, Link, LinkId, Membership, Port, PortId, Rewrite, Role, RuleAction, RuleStep,
    Selector, Tables, Tunnel, TunnelKind, Tunnels, UdpChecksum, Vni, VxlanEntry,
};
use packetwalk_walk::wire::checksum::checksum;
use packetwalk_walk::wire::{MacAddr, ethernet};
use packetwalk_walk::{
    BATCH, Batch, DropReason, Event, Frame, HEADROOM, Instant, Observer, PuntReason, Settings, Sink,
    Transmitted, Worker, walk_observed,
};

/// How often the frames are walked: as many ICMP errors as the burst of the rate limit, and then none.
const PASSES: u64 = 100;
const BUFFER: usize = 2048;

const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const UPLINK: Place = Place { id: PortId(0), link: LinkId(1), mac: MacAddr([2, 0, 0, 0, 0, 1]) };
const POD: Place = Place { id: PortId(1), link: LinkId(2), mac: MacAddr([0xee; 6]) };
const MEMBERS: [Place; 2] = [
    Place { id: PortId(2), link: LinkId(3), mac: MacAddr([2, 0, 0, 0, 0, 3]) },
    Place { id: PortId(3), link: LinkId(4), mac: MacAddr([2, 0, 0, 0, 0, 4]) },
];
const BRIDGE_LINK: LinkId = LinkId(5);
const IPIP_LINK: LinkId = LinkId(6);
const VXLAN_LINK: LinkId = LinkId(7);
const LINKS: usize = 8;
const BRIDGE_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 5]);
const VXLAN_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);
const FAR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 1, 0]);
const VNI: u32 = 4096;

/// A port, its link and its MAC address.
struct Place {
    id: PortId,
    link: LinkId,
    mac: MacAddr,
}

fn main() {
    let tables = tables();
    let frames = frames();
    let mut worker = Worker::new(tables.ports.len(), Settings::default());
    let mut events = Events(0);
    let mut buffers = vec![[0u8; BUFFER]; frames.len()];
    let mut pool = vec![[0u8; BUFFER]; 8];
    for pass in 0..PASSES {
        let mut batch = Batch::new();
        for (buffer, (port, bytes)) in buffers.iter_mut().zip(&frames) {
            buffer[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
            batch.extend(Frame::new(buffer, HEADROOM, bytes.len(), *port));
        }
        let spares = pool.iter_mut().filter_map(|buffer| Frame::empty(buffer, UPLINK.id)).collect();
        let mut sink = Count { spares, sum: 0 };
        counted(&tables, &mut worker, Instant(pass), &mut batch, &mut sink, &mut events);
        std::hint::black_box(sink.sum);
    }
    print(&worker, &events);
}

/// The instructions counted are those between entry and return. A function of its own, so that callgrind finds it.
#[inline(never)]
fn counted<'f>(
    tables: &Tables,
    worker: &mut Worker,
    now: Instant,
    batch: &mut Batch<'f>,
    sink: &mut Count<'f>,
    events: &mut Events,
) {
    walk_observed(tables, worker, now, batch, sink, events);
}

/// Counts events, or wants none. Chosen when it is built and not when it runs: a binary that held both walks would not
/// be laid out as one that holds one.
struct Events(u64);

impl Observer for Events {
    const ON: bool = option_env!("OBSERVE_ALL").is_some();

    fn event(&mut self, _: usize, event: Event<'_>) {
        std::hint::black_box(event);
        self.0 += 1;
    }
}

/// Reads where each frame begins and how long it is, as a driver would.
struct Count<'f> {
    spares: Vec<Frame<'f>>,
    sum: usize,
}

impl<'f> Sink<'f> for Count<'f> {
    fn transmit(&mut self, port: PortId, frame: Frame<'f>) -> Transmitted {
        self.sum += port.index() + frame.start() + frame.length();
        Transmitted::Queued
    }

    fn punt(&mut self, frame: Frame<'f>, _: PuntReason) {
        self.sum += frame.start();
    }

    fn recycle(&mut self, frame: Frame<'f>, _: DropReason) {
        self.sum += frame.start();
    }

    fn spare(&mut self) -> Option<Frame<'f>> {
        self.spares.pop()
    }

    fn restore(&mut self, frame: Frame<'f>) {
        self.spares.push(frame);
    }
}

fn print(worker: &Worker, events: &Events) {
    let counters = &worker.counters;
    assert!(counters.balance(), "{counters:?}");
    println!(
        "rx {} forwarded {} answered {} icmp_error {} fragment {}",
        counters.rx, counters.forwarded, counters.answered, counters.icmp_errors, counters.fragments
    );
    for reason in PuntReason::ALL.iter().filter(|reason| counters.punt[**reason as usize] > 0) {
        println!("punt {reason} {}", counters.punt[*reason as usize]);
    }
    for reason in DropReason::ALL.iter().filter(|reason| counters.drop[**reason as usize] > 0) {
        println!("drop {reason} {}", counters.drop[*reason as usize]);
    }
    println!("events {}", events.0);
}

/// A node with an uplink, a pod, a bridge of two members, an IPIP and a VXLAN tunnel, and a policy rule.
fn tables() -> Tables {
    let mut adjacencies = vec![
        adjacency(Action::Refuse { reason: DropReason::NoRoute, code: Some(0) }, LinkId(0), 1500),
        adjacency(Action::Local, LinkId(0), 65_535),
        adjacency(Action::Connected, UPLINK.link, 1500),
        adjacency(Action::Refuse { reason: DropReason::Blackhole, code: None }, LinkId(0), 1500),
    ];
    let mut next_hop = |adjacency: Adjacency| {
        adjacencies.push(adjacency);
        HopId::adjacency(AdjacencyId(adjacencies.len() as u32 - 1)).0
    };
    let to_pod = next_hop(send(&POD, Encapsulation::None, &[]));
    let to_far = next_hop(send(&UPLINK, Encapsulation::None, &[]));
    let ipip = IpipEntry { remote: PEER, inherit_ttl: false, set_df: false };
    let to_ipip = next_hop(send(&UPLINK, Encapsulation::Ipip(ipip), &outer(4)));
    let vxlan = VxlanEntry {
        remote: PEER,
        inherit_df: false,
        inherit_ttl: false,
        checksum: UdpChecksum::Zero,
        port_low: 49_152,
        port_count: 16_384,
    };
    let headers = [&outer(17)[..], &vxlan_header(), &inner_ethernet(FAR_MAC)].concat();
    let to_vxlan = next_hop(send(&UPLINK, Encapsulation::Vxlan(vxlan), &headers));

    let main = Fib4::from_routes([
        (Prefix4::host(NODE), 1),
        (prefix([192, 0, 2, 0], 24), 2),
        (prefix([10, 0, 0, 0], 16), to_far),
        (prefix([10, 1, 0, 0], 26), to_pod),
        (prefix([10, 2, 0, 0], 26), to_ipip),
        (prefix([10, 3, 0, 0], 24), to_vxlan),
        (prefix([10, 4, 0, 0], 26), 3),
    ]);
    let policy = Fib4::from_routes([(prefix([10, 5, 0, 0], 24), to_far)]);
    let selector = Selector { source: Selector::masked(Ipv4Addr::new(10, 1, 0, 9), 32), ..Selector::ALL };
    Tables {
        links: vec![Link { forwarding: true, proxy_arp: false }; LINKS].into(),
        ports: ports(),
        bridges: Box::new([Bridge {
            link: BRIDGE_LINK,
            mac: BRIDGE_MAC,
            switches: true,
            own: FlatSet::default(),
            stations: FlatMap::from_entries([(MEMBERS[1].mac.key() | 1 << 20, u32::from(MEMBERS[1].id.0))]),
        }]),
        adjacencies: adjacencies.into(),
        tunnels: Tunnels::new(
            vec![
                Tunnel {
                    link: IPIP_LINK,
                    kind: TunnelKind::Ipip { remote: None, local: Some(NODE) },
                    up: true,
                    any_peer: false,
                },
                Tunnel {
                    link: VXLAN_LINK,
                    kind: TunnelKind::Vxlan { vni: Vni::new(VNI), port: 4789, mac: VXLAN_MAC, bridge: None },
                    up: true,
                    any_peer: false,
                },
            ],
            [(IPIP_LINK, PEER), (VXLAN_LINK, PEER)],
        ),
        ipv4: Ipv4Tables {
            own: [u64::from(u32::from(NODE))].into_iter().collect(),
            rules: Box::new([
                RuleStep { priority: 100, selector, action: RuleAction::Lookup(FibId(1)) },
                RuleStep { priority: 32_766, selector: Selector::ALL, action: RuleAction::Lookup(FibId(0)) },
            ]),
            fibs: Box::new([main, policy]),
            neighbours: FlatMap::from_entries([(UPLINK.link.key(PEER), to_far)]),
            node_address: Some(NODE),
            loopback: Some(LinkId(0)),
        },
        ..Tables::default()
    }
}

fn ports() -> Box<[Port]> {
    let port = |port: &Place, role, bridge| Port {
        link: port.link,
        mac: port.mac,
        role,
        up: true,
        mtu: 1500,
        bridge,
        vlans: Box::default(),
    };
    let member = Some(Membership { bridge: BridgeId(0), forwarding: true, hairpin: false });
    Box::new([
        port(&UPLINK, Role::Uplink, None),
        port(&POD, Role::Workload, None),
        port(&MEMBERS[0], Role::Workload, member),
        port(&MEMBERS[1], Role::Workload, member),
    ])
}

fn adjacency(action: Action, link: LinkId, mtu: u32) -> Adjacency {
    Adjacency { action, link, mtu, source: None }
}

/// A next hop behind `port`: its Ethernet header, and `headers` of a tunnel behind it.
fn send(port: &Place, encapsulation: Encapsulation, headers: &[u8]) -> Adjacency {
    let mut rewrite = Rewrite::new();
    rewrite.extend(ethernet_header(FAR_MAC, port.mac, ethernet::IPV4));
    rewrite.extend(headers.iter().copied());
    let mtu = 1500 + ethernet::HEADER as u32 - rewrite.len() as u32;
    adjacency(Action::Send { rewrite, port: port.id, encapsulation }, port.link, mtu)
}

fn prefix(address: [u8; 4], length: u8) -> Prefix4 {
    Prefix4::new(Ipv4Addr::from(address), length).expect("no host bits")
}

fn ethernet_header(to: MacAddr, from: MacAddr, ethertype: u16) -> [u8; ethernet::HEADER] {
    let mut header = [0; ethernet::HEADER];
    ethernet::emit(&mut header, to, from, ethertype);
    header
}

fn inner_ethernet(to: MacAddr) -> [u8; ethernet::HEADER] {
    ethernet_header(to, if to == VXLAN_MAC { FAR_MAC } else { VXLAN_MAC }, ethernet::IPV4)
}

fn outer(protocol: u8) -> [u8; 20] {
    let mut header = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// UDP without ports' hash and length, and VXLAN.
fn vxlan_header() -> [u8; 16] {
    let mut header = [0; 16];
    header[2..4].copy_from_slice(&4789u16.to_be_bytes());
    header[8] = 8;
    header[12..16].copy_from_slice(&(VNI << 8).to_be_bytes());
    header
}

/// An IPv4 packet of `length` bytes with a good checksum.
fn packet(
    from: Ipv4Addr,
    to: Ipv4Addr,
    (ttl, protocol, flags): (u8, u8, u16),
    payload: &[u8],
    length: usize,
) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 7, 0, 0, ttl, protocol, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    packet[6..8].copy_from_slice(&flags.to_be_bytes());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet.resize(length, 0);
    packet
}

/// Every kind of frame that the walk knows, many of one kind and single ones, so that neighbours in the batch differ.
fn frames() -> Vec<(PortId, Vec<u8>)> {
    const DF: u16 = 0x4000;
    let pod = Ipv4Addr::new(10, 1, 0, 8);
    let on = |port: &Place, packet: Vec<u8>| {
        (port.id, [&ethernet_header(port.mac, FAR_MAC, ethernet::IPV4)[..], &packet].concat())
    };
    let udp = |to: [u8; 4], ttl, flags, length| {
        packet(pod, Ipv4Addr::from(to), (ttl, 17, flags), &[4, 0, 0, 53, 0, 26], length)
    };
    let mut frames = Vec::new();
    for flow in 0..8 {
        frames.push(on(&POD, udp([10, 0, 7, flow], 64, 0, 46)));
        frames.push(on(&POD, udp([10, 2, 0, flow], 64, DF, 46)));
        frames.push(on(&POD, udp([10, 3, 0, flow], 64, 0, 46)));
        let inner =
            packet(Ipv4Addr::new(10, 2, 0, flow), Ipv4Addr::new(10, 1, 0, flow), (63, 17, 0), &[0; 8], 46);
        frames.push(on(&UPLINK, packet(PEER, NODE, (64, 4, 0), &inner, 66)));
        let udp = [&[200, flow, 0x12, 0xb5, 0, 76, 0, 0][..], &vxlan_header()[8..]].concat();
        let datagram = [&udp[..], &inner_ethernet(VXLAN_MAC), &inner].concat();
        frames.push(on(&UPLINK, packet(PEER, NODE, (64, 17, 0), &datagram, 96)));
    }
    frames.push(on(&POD, udp([10, 0, 7, 1], 1, 0, 46)));
    frames.push(on(&POD, udp([10, 0, 7, 1], 64, DF, 1501)));
    frames.push(on(&POD, udp([10, 2, 0, 1], 64, 0, 1500)));
    frames.push(on(&POD, udp([172, 16, 0, 1], 64, 0, 46)));
    frames.push(on(&POD, udp([10, 4, 0, 1], 64, 0, 46)));
    frames.push(on(&POD, udp([192, 0, 2, 1], 64, 0, 46)));
    frames.push(on(&POD, udp([192, 0, 2, 2], 64, 0, 46)));
    frames.push(on(&POD, udp([192, 0, 2, 77], 64, 0, 46)));
    frames.push(on(&POD, packet(Ipv4Addr::new(10, 1, 0, 9), Ipv4Addr::new(10, 5, 0, 1), (9, 6, 0), &[], 40)));
    let mut broken = on(&POD, udp([10, 0, 7, 1], 64, 0, 46));
    broken.1[24] ^= 1;
    frames.push(broken);
    frames.push((POD.id, vec![0; 9]));
    frames.push((POD.id, ethernet_header(POD.mac, FAR_MAC, ethernet::IPV6).to_vec()));
    frames.push((POD.id, ethernet_header(BRIDGE_MAC, FAR_MAC, ethernet::IPV4).to_vec()));
    let station = MacAddr([2, 0, 0, 0x10, 0, 4]);
    frames.push((MEMBERS[0].id, ethernet_header(station, FAR_MAC, ethernet::IPV4).to_vec()));
    for target in [[169, 254, 1, 1], [192, 0, 2, 1], [10, 0, 7, 1]] {
        let request = [
            &ethernet_header(MacAddr::BROADCAST, FAR_MAC, ethernet::ARP)[..],
            &[0, 1, 8, 0, 6, 4, 0, 1],
            &FAR_MAC.0,
            &pod.octets(),
            &[0; 6],
            &target,
        ];
        frames.push((POD.id, request.concat()));
    }
    assert!(frames.len() <= BATCH);
    frames
}
