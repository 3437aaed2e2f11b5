//! Where tunnels end: which packets for this node are ours to take apart.

use super::{BridgeId, FlatMap, FlatSet, LinkId};
use crate::wire::MacAddr;
use core::fmt;
use core::net::Ipv4Addr;

/// A VXLAN network identifier, 0 to 2^24 - 1 (RFC 7348 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vni(u32);

impl Vni {
    /// None above 24 bits.
    pub fn new(vni: u32) -> Option<Self> {
        (vni < 1 << 24).then_some(Self(vni))
    }

    /// The number.
    #[inline]
    pub fn value(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Index into the tunnels of [`Tunnels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TunnelId(pub u16);

/// What a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelKind {
    /// IPv4 in IPv4.
    Ipip {
        /// Its `remote`; None: any.
        remote: Option<Ipv4Addr>,
        /// Its `local`; None: any.
        local: Option<Ipv4Addr>,
    },
    /// Ethernet in VXLAN in UDP.
    Vxlan {
        /// The network that it carries; None: any.
        vni: Option<Vni>,
        /// UDP destination port.
        port: u16,
        /// The MAC address of its link.
        mac: MacAddr,
        /// The bridge that its link is a member of.
        bridge: Option<BridgeId>,
    },
}

/// A tunnel link, seen from its exit.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// Its link, by which inner packets come in.
    pub link: LinkId,
    /// What it carries.
    pub kind: TunnelKind,
    /// Whether the link is up; a tunnel that is down accepts nothing.
    pub up: bool,
    /// Whether it accepts packets from any address (`tunnel.accept = "any"`).
    pub any_peer: bool,
}

/// All tunnels that end here.
#[derive(Clone, Debug, Default)]
pub struct Tunnels {
    all: Box<[Tunnel]>,
    /// `remote << 32 | local`, 0 for any -> number.
    ipip: FlatMap,
    /// `port << 32 | vni` -> number; [`ANY_VNI`] stands for any.
    vxlan: FlatMap,
    vxlan_ports: Box<[u16]>,
    has_ipip: bool,
    /// [`LinkId::key`] of each known peer.
    peers: FlatSet,
}

const ANY_VNI: u32 = u32::MAX;

impl Tunnels {
    /// The exits of `tunnels`, and who may send to each (link of the tunnel, outer source). Of tunnels with equal
    /// endpoints the first is meant.
    pub fn new(tunnels: Vec<Tunnel>, peers: impl IntoIterator<Item = (LinkId, Ipv4Addr)>) -> Self {
        let number = |address: Option<Ipv4Addr>| address.map_or(0, u32::from);
        let mut ipip = Vec::new();
        let mut vxlan = Vec::new();
        let mut vxlan_ports = Vec::new();
        for (index, tunnel) in tunnels.iter().enumerate().rev() {
            match tunnel.kind {
                TunnelKind::Ipip { remote, local } => {
                    ipip.push((endpoints(number(remote), number(local)), index as u32));
                }
                TunnelKind::Vxlan { vni, port, .. } => {
                    vxlan.push((network(port, vni.map_or(ANY_VNI, Vni::value)), index as u32));
                    if !vxlan_ports.contains(&port) {
                        vxlan_ports.push(port);
                    }
                }
            }
        }
        Self {
            has_ipip: !ipip.is_empty(),
            all: tunnels.into_boxed_slice(),
            ipip: FlatMap::from_entries(ipip),
            vxlan: FlatMap::from_entries(vxlan),
            vxlan_ports: vxlan_ports.into_boxed_slice(),
            peers: peers.into_iter().map(|(link, address)| link.key(address)).collect(),
        }
    }

    /// Whether the node has any IPIP tunnel.
    #[inline]
    pub fn has_ipip(&self) -> bool {
        self.has_ipip
    }

    /// Whether a VXLAN link listens on this UDP port.
    #[inline]
    pub fn is_vxlan_port(&self, port: u16) -> bool {
        self.vxlan_ports.contains(&port)
    }

    /// The IPIP tunnel of these outer addresses (host byte order): the one that names both, else the remote, else the local, else
    /// neither, as Linux's `ip_tunnel_lookup` has it.
    #[inline]
    pub fn ipip(&self, source: u32, destination: u32) -> Option<TunnelId> {
        [(source, destination), (source, 0), (0, destination), (0, 0)]
            .into_iter()
            .find_map(|(remote, local)| self.ipip.find(endpoints(remote, local)))
            .map(|index| TunnelId(index as u16))
    }

    /// The VXLAN tunnel of this UDP port and network.
    #[inline]
    pub fn vxlan(&self, port: u16, vni: Vni) -> Option<TunnelId> {
        self.vxlan
            .find(network(port, vni.value()))
            .or_else(|| self.vxlan.find(network(port, ANY_VNI)))
            .map(|index| TunnelId(index as u16))
    }

    /// A tunnel by number.
    #[inline]
    pub fn tunnel(&self, id: TunnelId) -> &Tunnel {
        &self.all[usize::from(id.0)]
    }

    /// All tunnels.
    pub fn all(&self) -> &[Tunnel] {
        &self.all
    }

    /// Who may send to which tunnel: [`LinkId::key`]s, in no order.
    pub fn peers(&self) -> impl Iterator<Item = u64> {
        self.peers.keys()
    }

    /// Whether `source` (host byte order) may send to this tunnel.
    #[inline]
    pub fn accepts(&self, tunnel: &Tunnel, source: u32) -> bool {
        tunnel.any_peer || self.peers.contains(tunnel.link.key(Ipv4Addr::from(source)))
    }
}

fn endpoints(remote: u32, local: u32) -> u64 {
    u64::from(remote) << 32 | u64::from(local)
}

fn network(port: u16, vni: u32) -> u64 {
    u64::from(port) << 32 | u64::from(vni)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipip(link: u16, remote: Option<[u8; 4]>, local: Option<[u8; 4]>) -> Tunnel {
        let kind = TunnelKind::Ipip { remote: remote.map(Into::into), local: local.map(Into::into) };
        Tunnel { link: LinkId(link), kind, up: true, any_peer: false }
    }

    fn find(tunnels: &Tunnels, source: [u8; 4], destination: [u8; 4]) -> Option<u16> {
        tunnels
            .ipip(u32::from_be_bytes(source), u32::from_be_bytes(destination))
            .map(|id| tunnels.tunnel(id).link.0)
    }

    #[test]
    fn the_most_specific_ipip_tunnel_is_meant() {
        let (a, b, c) = ([192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]);
        let tunnels = Tunnels::new(
            vec![
                ipip(1, Some(a), Some(b)),
                ipip(2, Some(a), None),
                ipip(3, None, Some(b)),
                ipip(4, None, None),
            ],
            [],
        );
        assert_eq!(find(&tunnels, a, b), Some(1));
        assert_eq!(find(&tunnels, a, c), Some(2));
        assert_eq!(find(&tunnels, c, b), Some(3));
        assert_eq!(find(&tunnels, c, c), Some(4));
        let tunnels = Tunnels::new(vec![ipip(1, Some(a), Some(b))], []);
        assert_eq!(find(&tunnels, c, b), None);
        assert!(tunnels.has_ipip());
    }

    #[test]
    fn a_vxlan_network_is_found_by_port_and_vni() {
        let vxlan = |link, vni: Option<u32>, port| Tunnel {
            link: LinkId(link),
            kind: TunnelKind::Vxlan { vni: vni.and_then(Vni::new), port, mac: MacAddr([2; 6]), bridge: None },
            up: true,
            any_peer: false,
        };
        let tunnels = Tunnels::new(
            vec![vxlan(1, Some(1), 8472), vxlan(2, Some(1), 4789), vxlan(3, None, 4789)],
            [(LinkId(1), Ipv4Addr::new(192, 0, 2, 1))],
        );
        let find = |port, vni| {
            tunnels.vxlan(port, Vni::new(vni).expect("24 bits")).map(|id| tunnels.tunnel(id).link.0)
        };
        assert_eq!(find(8472, 1), Some(1));
        assert_eq!(find(8472, 2), None);
        assert_eq!(find(4789, 1), Some(2));
        assert_eq!(find(4789, 77), Some(3));
        assert!(tunnels.is_vxlan_port(4789) && !tunnels.is_vxlan_port(53));
        assert!(tunnels.accepts(tunnels.tunnel(TunnelId(0)), 0xc000_0201));
        assert!(!tunnels.accepts(tunnels.tunnel(TunnelId(0)), 0xc000_0202));
        assert!(Vni::new(1 << 24).is_none());
    }
}
