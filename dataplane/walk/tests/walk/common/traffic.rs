//! One frame for each way through the walk, on the node as it is made.

use super::node::*;
use super::packets::*;
use packetwalk_walk::tables::PortId;
use std::net::Ipv4Addr;

/// A frame that takes a way of its own.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: &'static str,
    pub port: PortId,
    pub frame: Vec<u8>,
}

pub fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut add = |name, port, frame| samples.push(Sample { name, port, frame });
    ethernet_and_arp(&mut add);
    headers_and_routes(&mut add);
    tunnel_entries(&mut add);
    tunnel_exits(&mut add);
    bridge(&mut add);
    samples
}

fn from_pod1(ip: &Ip) -> Vec<u8> {
    ip_frame(CALI_MAC, POD1_MAC, ip)
}

fn from_pod3(ip: &Ip) -> Vec<u8> {
    ip_frame(CNI0_MAC, POD3_MAC, ip)
}

/// A packet for pod 1 with one thing changed and its checksum made right again.
fn changed(at: usize, value: u8) -> Vec<u8> {
    let mut bytes = udp(POD1, WORLD, 100).bytes();
    bytes[at] = value;
    mend(&mut bytes);
    ethernet(CALI_MAC, POD1_MAC, 0x0800, &bytes)
}

fn ethernet_and_arp(add: &mut impl FnMut(&'static str, PortId, Vec<u8>)) {
    let plain = from_pod1(&udp(POD1, WORLD, 100));
    add("runt", CALI1, plain[..20].to_vec());
    add("another host's", CALI1, ip_frame([2, 9, 9, 9, 9, 9], POD1_MAC, &udp(POD1, WORLD, 100)));
    add("priority tag", CALI1, tagged(&plain, 0xa000));
    add("unknown VLAN", CALI1, tagged(&plain, 7));
    add("another link's VLAN", ETH0, tagged(&ip_frame(ETH0_MAC, ROUTER_MAC, &udp(WORLD, POD1, 100)), VLAN));
    add("IPv6", CALI1, ethernet(CALI_MAC, POD1_MAC, 0x86dd, &pattern(60)));
    add("LLDP", CALI1, ethernet(BROADCAST, POD1_MAC, 0x88cc, &pattern(60)));
    let asker = (POD1_MAC, POD1);
    add("ARP for an own address", CALI1, who_has(asker, NODE));
    add("ARP for the fake gateway", CALI1, who_has(asker, Ipv4Addr::new(169, 254, 1, 1)));
    add("ARP for a proxied address", CALI1, padded(who_has(asker, POD2)));
    add("ARP probe", CALI1, who_has((POD1_MAC, Ipv4Addr::UNSPECIFIED), POD1));
    add(
        "ARP of a false sender",
        CALI1,
        ethernet(BROADCAST, POD1_MAC, 0x0806, &arp(1, (POD2_MAC, POD1), (NOBODY, NODE))),
    );
    let reply = arp(2, (ROUTER_MAC, ROUTER), (ETH0_MAC, NODE));
    add("ARP reply to us", ETH0, ethernet(ETH0_MAC, ROUTER_MAC, 0x0806, &reply));
}

fn headers_and_routes(add: &mut impl FnMut(&'static str, PortId, Vec<u8>)) {
    add("version 6", CALI1, changed(0, 0x65));
    add("header of 16 bytes", CALI1, changed(0, 0x44));
    add("total length beyond the frame", CALI1, changed(3, 200));
    let mut broken = from_pod1(&udp(POD1, WORLD, 100));
    broken[24] ^= 1;
    add("wrong checksum", CALI1, broken);
    add("loopback source", CALI1, from_pod1(&udp(Ipv4Addr::LOCALHOST, WORLD, 100)));
    add("own source", ETH0, ip_frame(ETH0_MAC, ROUTER_MAC, &udp(NODE, POD1, 100)));
    add("loopback destination", CALI1, from_pod1(&udp(POD1, Ipv4Addr::LOCALHOST, 100)));
    add("unicast in a broadcast frame", CALI1, ip_frame(BROADCAST, POD1_MAC, &udp(POD1, WORLD, 100)));
    add("multicast", CALI1, from_pod1(&udp(POD1, Ipv4Addr::new(224, 0, 0, 251), 100)));
    add("for the node", CALI1, from_pod1(&ping(POD1, NODE)));
    add("limited broadcast", CALI1, ip_frame(BROADCAST, POD1_MAC, &udp(POD1, Ipv4Addr::BROADCAST, 100)));
    for (name, destination) in [
        ("to the world", WORLD),
        ("to a pod", POD2),
        ("to a pod behind the bridge", POD3),
        ("to a neighbour", STRANGER),
        ("to a group", SHARED),
        ("no route", NOWHERE),
        ("blackhole", BLACKHOLE),
        ("unreachable", UNREACHABLE),
        ("prohibit", PROHIBIT),
        ("link down", LINK_DOWN),
        ("FDB entry missing", FDB_MISSING),
        ("peer unroutable", TUNNEL_UNROUTABLE),
        ("gateway unresolved", UNRESOLVED),
        ("neighbour unresolved", UNSEEN),
        ("peer in its own tunnel", TUNNEL_LOOP),
        ("link not held", NOT_HELD),
        ("rule says prohibit", Ipv4Addr::new(10, 5, 0, 1)),
        ("rule not understood", Ipv4Addr::new(10, 82, 0, 1)),
    ] {
        add(name, CALI1, from_pod1(&udp(POD1, destination, 100)));
    }
    add("with options", CALI1, from_pod1(&udp(POD1, WORLD, 100).options(&[7, 7, 4, 0, 0, 0, 0, 1])));
    add("TCP", CALI1, from_pod1(&tcp(POD1, SHARED, (40_000, 80), b"GET / HTTP/1.1\r\n\r\n")));
    add("TTL 1", CALI1, from_pod1(&udp(POD1, WORLD, 900).ttl(1)));
    add("TTL 1, later fragment", CALI1, from_pod1(&Ip { offset: 10, ..udp(POD1, WORLD, 100) }.ttl(1)));
    add("too big with DF", CALI1, from_pod1(&udp(POD1, NARROW, 1400).flags(DF)));
    add("too big without DF", CALI1, from_pod1(&udp(POD1, NARROW, 1400).options(&[1, 1, 1, 0])));
    add(
        "too big, later fragment",
        CALI1,
        from_pod1(&Ip { offset: 100, ..udp(POD1, NARROW, 1400) }.flags(MF)),
    );
    add("from the world", ETH0, padded(ip_frame(ETH0_MAC, ROUTER_MAC, &udp(WORLD, POD1, 40))));
}

fn tunnel_entries(add: &mut impl FnMut(&'static str, PortId, Vec<u8>)) {
    add("into IPIP", CALI1, from_pod1(&udp(POD1, FAR_IPIP, 100).tos(0xb9)));
    add("into IPIP with pmtudisc", CALI1, from_pod1(&udp(POD1, FAR_IPIP1, 100)));
    add("too big for IPIP with DF", CALI1, from_pod1(&udp(POD1, FAR_IPIP, 1500).flags(DF)));
    add("too big for IPIP", CALI1, from_pod1(&udp(POD1, FAR_IPIP, 1500)));
    add("into IPIP from its peer", CALI1, from_pod1(&udp(PEER, FAR_IPIP, 100)));
    add("into VXLAN", VETH1, from_pod3(&udp(POD3, FAR_VXLAN, 100).tos(0x02)));
    add("into VXLAN with a checksum", VETH1, from_pod3(&udp(POD3, FAR_VXLAN2, 101).flags(DF)));
    add("too big for VXLAN with DF", VETH1, from_pod3(&udp(POD3, FAR_VXLAN, 1500).flags(DF)));
    add("too big for VXLAN", VETH1, from_pod3(&udp(POD3, FAR_VXLAN, 1500)));
}

fn tunnel_exits(add: &mut impl FnMut(&'static str, PortId, Vec<u8>)) {
    let from_peer = |ip: &Ip| ip_frame(ETH0_MAC, PEER_MAC, ip);
    let inner = udp(FAR_IPIP, POD1, 100);
    add("out of IPIP", ETH0, from_peer(&ipip(PEER, NODE, &inner)));
    add("out of IPIP, congested", ETH0, from_peer(&ipip(PEER, NODE, &inner.clone().tos(2)).tos(3)));
    add("out of IPIP, congestion untold", ETH0, from_peer(&ipip(PEER, NODE, &inner).tos(3)));
    add("out of IPIP, anomalous", ETH0, from_peer(&ipip(PEER, NODE, &inner).tos(1)));
    add("out of IPIP, TTL 1", ETH0, from_peer(&ipip(PEER, NODE, &inner.clone().ttl(1))));
    add("out of IPIP for the node", ETH0, from_peer(&ipip(PEER, NODE, &ping(FAR_IPIP, NODE))));
    add("out of IPIP, source ours", ETH0, from_peer(&ipip(PEER, NODE, &udp(NODE, POD1, 100))));
    add("out of IPIP into VXLAN", ETH0, from_peer(&ipip(PEER, NODE, &udp(FAR_IPIP, FAR_VXLAN, 100))));
    add("IPIP nested", ETH0, from_peer(&ipip(PEER, NODE, &ipip(FAR_IPIP, NODE, &inner))));
    add("IPIP from a workload", CALI1, from_pod1(&ipip(POD1, NODE, &inner)));
    add("IPIP from a stranger", ETH0, from_peer(&ipip(STRANGER, NODE, &inner)));
    add("IPIP fragment", ETH0, from_peer(&ipip(PEER, NODE, &inner).flags(MF)));
    add("IPIP cut short", ETH0, from_peer(&Ip::new(PEER, NODE, 4, inner.bytes()[..50].to_vec())));
    let frame = ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &udp(FAR_VXLAN, POD3, 100));
    let outer = |vni, frame: &[u8]| vxlan(VTEP, NODE, (50_000, 8472), vni, frame);
    let from_vtep = |ip: &Ip| ip_frame(ETH0_MAC, VTEP_MAC, ip);
    add("out of VXLAN", ETH0, from_vtep(&outer(1, &frame)));
    add("out of VXLAN with a checksum", ETH0, from_vtep(&with_udp_checksum(outer(1, &frame))));
    let mut wrong = with_udp_checksum(outer(1, &frame));
    wrong.payload[6] ^= 1;
    add("VXLAN with a wrong checksum", ETH0, from_vtep(&wrong));
    let mut long = outer(1, &frame);
    long.payload[4] = 0x7f;
    add("VXLAN with a wrong UDP length", ETH0, from_vtep(&long));
    let mut flagless = outer(1, &frame);
    flagless.payload[8] = 0;
    add("VXLAN without the I flag", ETH0, from_vtep(&flagless));
    add("VXLAN of an unknown network", ETH0, from_vtep(&outer(9, &frame)));
    add(
        "VXLAN carrying LLDP",
        ETH0,
        from_vtep(&outer(1, &ethernet(FLANNEL_MAC, VTEP_INNER_MAC, 0x88cc, &pattern(50)))),
    );
    add(
        "VXLAN carrying ARP",
        ETH0,
        from_vtep(&outer(1, &who_has((VTEP_INNER_MAC, FAR_VXLAN), NODE_FLANNEL))),
    );
    add(
        "out of VXLAN, TTL 1",
        ETH0,
        from_vtep(&outer(1, &ip_frame(FLANNEL_MAC, VTEP_INNER_MAC, &udp(FAR_VXLAN, POD3, 100).ttl(1)))),
    );
}

fn bridge(add: &mut impl FnMut(&'static str, PortId, Vec<u8>)) {
    let ip = udp(POD3, POD4, 100);
    add("between members", VETH1, ip_frame(POD4_MAC, POD3_MAC, &ip));
    add("to a member unknown", VETH1, ip_frame([2, 9, 9, 9, 9, 9], POD3_MAC, &ip));
    add("back to its own member", VETH1, ip_frame(POD3_MAC, POD4_MAC, &ip));
    add("broadcast in the bridge", VETH1, ip_frame(BROADCAST, POD3_MAC, &ip));
    add("ARP for the bridge", VETH1, who_has((POD3_MAC, POD3), NODE_CNI0));
    add("ARP for another member", VETH1, who_has((POD3_MAC, POD3), POD4));
    add("by the bridge to a pod", VETH1, from_pod3(&udp(POD3, POD1, 100)));
}
