//! The names of a node made by hand; [`super::tables`] holds what a worker reads of it.
//!
//! ```text
//! eth0       192.0.2.10/24, uplink; routers .1, IPIP peers .20 .21, VTEPs .30 .31, .66 no peer, .99 unresolved
//! eth1       198.51.100.10/24, uplink; router .1
//! cali1      workload 10.65.0.2      cali2      workload 10.65.0.3        proxy ARP, /32 routes
//! cni0       10.244.1.1/24, bridge; veth1 has .2 behind it, veth2 has .3; .9 unresolved
//! tunl0      10.65.0.1, IPIP any/any, TTL inherited, MTU 1480: 10.65.1.0/24 via .20
//! ipip1      IPIP from 192.0.2.10 to .21, TTL 33, pmtudisc, MTU 1400: 10.66.0.0/16
//! flannel.1  10.244.1.0, VXLAN 1 on 8472, MTU 1450: 10.244.2.0/24 behind .30
//! vxlan2     VXLAN 2 on 4789, UDP checksum, df and TTL inherited, ports 50000-50099: 10.245.0.0/16 behind .31
//! docker0    not held: 172.17.0.0/16
//! ```
//!
//! and the routes and rules that [`super::tables`] lists.

use super::packets::Mac;
use packetwalk_walk::tables::{LinkId, PortId};
use std::net::Ipv4Addr;

pub const ETH0: PortId = PortId(0);
pub const ETH1: PortId = PortId(1);
pub const CALI1: PortId = PortId(2);
pub const CALI2: PortId = PortId(3);
pub const VETH1: PortId = PortId(4);
pub const VETH2: PortId = PortId(5);
pub const PORTS: usize = 6;

/// A port's link has the port's number; these are the others.
pub const CNI0: LinkId = LinkId(6);
pub const TUNL0: LinkId = LinkId(7);
pub const IPIP1: LinkId = LinkId(8);
pub const FLANNEL: LinkId = LinkId(9);
pub const VXLAN2: LinkId = LinkId(10);
pub const DOCKER0: LinkId = LinkId(11);
pub const LO: LinkId = LinkId(12);
pub const LINKS: usize = 13;

pub const ETH0_MAC: Mac = [0x02, 0x19, 0, 0, 0, 0x10];
pub const ETH1_MAC: Mac = [0x02, 0x23, 0, 0, 0, 0x10];
pub const CALI_MAC: Mac = [0xee; 6];
pub const VETH1_MAC: Mac = [0x02, 0x1e, 0, 0, 1, 1];
pub const VETH2_MAC: Mac = [0x02, 0x1e, 0, 0, 1, 2];
pub const CNI0_MAC: Mac = [0x0a, 0x58, 0x0a, 0xf4, 1, 1];
pub const FLANNEL_MAC: Mac = [0x0a, 0xf1, 0, 0, 0, 1];
pub const VXLAN2_MAC: Mac = [0x0a, 0xf2, 0, 0, 0, 1];

pub const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
pub const NODE_ETH1: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
pub const NODE_CNI0: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 1);
pub const NODE_TUNL0: Ipv4Addr = Ipv4Addr::new(10, 65, 0, 1);
pub const NODE_FLANNEL: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 0);

pub const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub const ROUTER_MAC: Mac = [0x02, 0x19, 0, 0, 0, 1];
pub const ROUTER2: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub const ROUTER2_MAC: Mac = [0x02, 0x23, 0, 0, 0, 1];
/// The other end of tunl0's route.
pub const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 20);
pub const PEER_MAC: Mac = [0x02, 0x19, 0, 0, 0, 20];
/// The other end of ipip1.
pub const PEER1: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 21);
pub const PEER1_MAC: Mac = [0x02, 0x19, 0, 0, 0, 21];
/// flannel.1's other end: its address and MAC address on the underlay, and the MAC address of its own flannel.1.
pub const VTEP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 30);
pub const VTEP_MAC: Mac = [0x02, 0x19, 0, 0, 0, 30];
pub const VTEP_INNER_MAC: Mac = [0x0a, 0xf1, 0, 0, 0, 2];
/// vxlan2's other end.
pub const VTEP2: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 31);
pub const VTEP2_MAC: Mac = [0x02, 0x19, 0, 0, 0, 31];
pub const VTEP2_INNER_MAC: Mac = [0x0a, 0xf2, 0, 0, 0, 2];
/// On eth0's subnet, and no peer of any tunnel.
pub const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 66);
pub const STRANGER_MAC: Mac = [0x02, 0x19, 0, 0, 0, 66];
/// On eth0's subnet, and nobody has seen it.
pub const UNSEEN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);

pub const POD1: Ipv4Addr = Ipv4Addr::new(10, 65, 0, 2);
pub const POD1_MAC: Mac = [0x02, 0x0d, 0, 0, 0, 1];
pub const POD2: Ipv4Addr = Ipv4Addr::new(10, 65, 0, 3);
pub const POD2_MAC: Mac = [0x02, 0x0d, 0, 0, 0, 2];
pub const POD3: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 2);
pub const POD3_MAC: Mac = [0x0a, 0x58, 0x0a, 0xf4, 1, 2];
pub const POD4: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 3);
pub const POD4_MAC: Mac = [0x0a, 0x58, 0x0a, 0xf4, 1, 3];

/// Behind tunl0, ipip1, flannel.1, vxlan2, [`ROUTER`], the equal-cost group, and a route of MTU 1000.
pub const FAR_IPIP: Ipv4Addr = Ipv4Addr::new(10, 65, 1, 7);
pub const FAR_IPIP1: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 7);
pub const FAR_VXLAN: Ipv4Addr = Ipv4Addr::new(10, 244, 2, 7);
pub const FAR_VXLAN2: Ipv4Addr = Ipv4Addr::new(10, 245, 0, 7);
pub const WORLD: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 5);
pub const SHARED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
pub const NARROW: Ipv4Addr = Ipv4Addr::new(198, 18, 4, 5);
/// Behind [`ROUTER`] too, by a route whose preferred source is eth1's address.
pub const PREFERRED: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 5);

/// Where the tables' routes lead to an end without a next hop.
pub const BLACKHOLE: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 1);
pub const UNREACHABLE: Ipv4Addr = Ipv4Addr::new(10, 99, 2, 1);
pub const PROHIBIT: Ipv4Addr = Ipv4Addr::new(10, 99, 3, 1);
pub const LINK_DOWN: Ipv4Addr = Ipv4Addr::new(10, 99, 4, 1);
pub const FDB_MISSING: Ipv4Addr = Ipv4Addr::new(10, 99, 5, 1);
pub const TUNNEL_UNROUTABLE: Ipv4Addr = Ipv4Addr::new(10, 99, 6, 1);
pub const UNRESOLVED: Ipv4Addr = Ipv4Addr::new(10, 99, 7, 1);
pub const TUNNEL_LOOP: Ipv4Addr = Ipv4Addr::new(10, 99, 8, 1);
pub const NOT_HELD: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 2);
pub const NOWHERE: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);

/// VLAN that another link of the node carries on eth0.
pub const VLAN: u16 = 25;
