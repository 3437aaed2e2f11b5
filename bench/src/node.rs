//! The node that is measured: as Calico makes one, with a route for every other node's block of pod addresses.
//!
//! Its main table holds 2,110 routes: 2,000 blocks (/26) of 500 other nodes, 106 pods (/32), 2 blackholes for the
//! node's own blocks, the underlay's subnet and a default. Blocks lie scattered over a pool of 4,096, as
//! Calico's IPAM hands them out.

use crate::random::Random;
use packetwalk_walk::wire::MacAddr;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// Other nodes, all on the underlay's subnet.
pub(crate) const PEERS: usize = 500;
/// Blocks of pod addresses that the other nodes hold.
pub(crate) const BLOCKS: usize = 2000;
/// Pods of this node, each behind a port of its own.
pub(crate) const PODS: usize = 106;
/// Addresses in a block.
const BLOCK: u32 = 64;
/// Blocks in the pool 10.128.0.0/14.
const POOL: u32 = 4096;
const POOL_START: u32 = u32::from_be_bytes([10, 128, 0, 0]);
/// Pods in one block: the first address is the tunnel's.
const PODS_IN_BLOCK: usize = BLOCK as usize - 2;

/// The uplink.
pub(crate) const UPLINK: &str = "eth0";
/// Its address.
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 10);
/// Its MAC address.
pub(crate) const NODE_MAC: MacAddr = MacAddr([0x02, 0x42, 0xac, 0x12, 0, 0x0a]);
/// The MAC address of every pod's port.
pub(crate) const POD_PORT_MAC: MacAddr = MacAddr([0xee; 6]);
/// The MAC address of the VXLAN link.
pub(crate) const VXLAN_MAC: MacAddr = MacAddr([0x66, 0xd8, 0, 0, 0, 0x0a]);
/// VNI and UDP port of Calico's VXLAN.
pub(crate) const VNI: u32 = 4096;
/// UDP destination port of VXLAN.
pub(crate) const VXLAN_PORT: u16 = 4789;
const ROUTER: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 1);

/// How blocks of other nodes are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the other node as gateway.
    Gateway,
    /// Through the IPIP link `tunl0`.
    Ipip,
    /// Through the VXLAN link `vxlan.calico`.
    Vxlan,
}

/// Who lives where.
pub(crate) struct Layout {
    /// The first address of each block of the others; block `n` is peer `n % PEERS`'s.
    blocks: Vec<Ipv4Addr>,
    /// The node's own blocks.
    own: [Ipv4Addr; PODS.div_ceil(PODS_IN_BLOCK)],
}

impl Layout {
    /// The same layout whenever it is made.
    pub(crate) fn new() -> Self {
        let mut numbers: Vec<u32> = (0..POOL).collect();
        Random::new(2110).shuffle(&mut numbers);
        let mut blocks = numbers.into_iter().map(|number| Ipv4Addr::from(POOL_START + number * BLOCK));
        let own = std::array::from_fn(|_| blocks.next().unwrap_or(Ipv4Addr::UNSPECIFIED));
        Self { own, blocks: blocks.take(BLOCKS).collect() }
    }

    /// The address of pod `number`.
    pub(crate) fn pod(&self, number: usize) -> Ipv4Addr {
        after(self.own[number / PODS_IN_BLOCK], 1 + (number % PODS_IN_BLOCK) as u32)
    }

    /// The address of `host` in block `number` of another node.
    pub(crate) fn remote(&self, number: usize, host: u32) -> Ipv4Addr {
        after(self.blocks[number], host % BLOCK)
    }

    /// The address of a peer's VXLAN link: the first of its first block.
    fn vtep(&self, peer: usize) -> Ipv4Addr {
        self.blocks[peer]
    }

    /// What iproute2 would print of the node.
    pub(crate) fn state(&self, way: Way) -> String {
        let mut neighbours = vec![neighbour(ROUTER, UPLINK, router_mac(), "REACHABLE")];
        neighbours.extend(
            (0..PEERS).map(|peer| neighbour(peer_address(peer), UPLINK, peer_mac(peer), "REACHABLE")),
        );
        neighbours
            .extend((0..PODS).map(|pod| neighbour(self.pod(pod), &pod_port(pod), pod_mac(pod), "STALE")));
        let mut fdb = Vec::new();
        if way == Way::Vxlan {
            for peer in 0..PEERS {
                neighbours.push(neighbour(self.vtep(peer), "vxlan.calico", vtep_mac(peer), "PERMANENT"));
                fdb.push(json!({"mac": vtep_mac(peer).to_string(), "ifname": "vxlan.calico",
                    "dst": peer_address(peer), "flags": ["self"], "state": "permanent"}));
            }
        }
        json!({"addr": self.links(way), "route": self.routes(way), "neigh": neighbours, "fdb": fdb})
            .to_string()
    }

    fn links(&self, way: Way) -> Vec<Value> {
        let mut links = vec![
            json!({"ifindex": 1, "ifname": "lo", "flags": ["LOOPBACK", "UP", "LOWER_UP"], "mtu": 65536,
                "link_type": "loopback", "address": "00:00:00:00:00:00",
                "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]}),
            json!({"ifindex": 2, "ifname": UPLINK, "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"], "mtu": 1500,
                "link_type": "ether", "address": NODE_MAC.to_string(),
                "addr_info": [{"family": "inet", "local": NODE, "prefixlen": 20, "scope": "global"}]}),
        ];
        links.extend(match way {
            Way::Gateway => None,
            Way::Ipip => Some(json!({"ifindex": 3, "ifname": "tunl0", "flags": ["NOARP", "UP", "LOWER_UP"],
                "mtu": 1480, "link_type": "ipip", "address": "0.0.0.0",
                "linkinfo": {"info_kind": "ipip",
                    "info_data": {"proto": "ipip", "remote": "any", "local": "any", "ttl": 0, "pmtudisc": false}},
                "addr_info": [self.tunnel_address()]})),
            Way::Vxlan => Some(json!({"ifindex": 3, "ifname": "vxlan.calico",
                "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"], "mtu": 1450, "link_type": "ether",
                "address": VXLAN_MAC.to_string(),
                "linkinfo": {"info_kind": "vxlan", "info_data": {"id": VNI, "local": NODE, "link": UPLINK,
                    "port": VXLAN_PORT, "learning": false, "ttl": 0, "df": "unset", "udp_csum": false}},
                "addr_info": [self.tunnel_address()]})),
        });
        links.extend((0..PODS).map(|pod| {
            json!({"ifindex": 10 + pod, "ifname": pod_port(pod), "mtu": 1450, "link_type": "ether",
                "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"], "address": POD_PORT_MAC.to_string(),
                "link_netnsid": pod, "linkinfo": {"info_kind": "veth"}, "addr_info": []})
        }));
        links
    }

    /// The tunnel link has the first address of the node's first block.
    fn tunnel_address(&self) -> Value {
        json!({"family": "inet", "local": self.own[0], "prefixlen": 32, "scope": "global"})
    }

    fn routes(&self, way: Way) -> Vec<Value> {
        let mut routes = vec![
            json!({"dst": "default", "gateway": ROUTER, "dev": UPLINK}),
            json!({"dst": "172.18.0.0/20", "dev": UPLINK, "scope": "link", "prefsrc": NODE}),
        ];
        routes.extend(
            self.own
                .iter()
                .map(|block| json!({"type": "blackhole", "dst": format!("{block}/26"), "protocol": "bird"})),
        );
        routes.extend(
            (0..PODS).map(|pod| json!({"dst": self.pod(pod), "dev": pod_port(pod), "scope": "link"})),
        );
        routes.extend(self.blocks.iter().enumerate().map(|(number, block)| {
            let peer = number % PEERS;
            let (gateway, link) = match way {
                Way::Gateway => (peer_address(peer), UPLINK),
                Way::Ipip => (peer_address(peer), "tunl0"),
                Way::Vxlan => (self.vtep(peer), "vxlan.calico"),
            };
            json!({"dst": format!("{block}/26"), "gateway": gateway, "dev": link, "flags": ["onlink"]})
        }));
        routes
    }
}

/// The port of pod `number`.
pub(crate) fn pod_port(number: usize) -> String {
    format!("cali{number:011x}")
}

/// The MAC address inside pod `number`.
pub(crate) fn pod_mac(number: usize) -> MacAddr {
    numbered(0x7a, number)
}

/// The underlay address of another node.
pub(crate) fn peer_address(peer: usize) -> Ipv4Addr {
    after(Ipv4Addr::new(172, 18, 1, 0), peer as u32)
}

/// The MAC address of another node.
pub(crate) fn peer_mac(peer: usize) -> MacAddr {
    numbered(0x02, peer)
}

/// The MAC address of another node's VXLAN link.
pub(crate) fn vtep_mac(peer: usize) -> MacAddr {
    numbered(0x66, peer)
}

fn router_mac() -> MacAddr {
    MacAddr([0x02, 0x42, 0xac, 0x12, 0, 1])
}

fn numbered(kind: u8, number: usize) -> MacAddr {
    let [.., high, low] = number.to_be_bytes();
    MacAddr([kind, 0x20, 0, 0, high, low])
}

fn after(address: Ipv4Addr, count: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(address) + count)
}

fn neighbour(address: Ipv4Addr, link: &str, mac: MacAddr, state: &str) -> Value {
    json!({"dst": address, "dev": link, "lladdr": mac.to_string(), "state": [state]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_table_has_the_routes_that_it_is_said_to_have() {
        assert_eq!(Layout::new().routes(Way::Ipip).len(), 2110);
    }
}
