//! Ports, bridges and the exits of tunnels.

use crate::config::{Accept, AcceptVni, Config};
use crate::links::{Link, LinkKind, Links};
use crate::resolve::{Entries, Hops};
use crate::rib::Rib;
use packetwalk_walk::tables::{
    Bridge, BridgeId, FlatMap, LinkId, Membership, Port, Role, Tunnel, TunnelKind, Tunnels,
};
use packetwalk_walk::wire::MacAddr;
use std::net::Ipv4Addr;

/// The ports by number. One that is not in use is down, and belongs to no link that sends.
pub(super) fn ports(links: &Links) -> Box<[Port]> {
    let unused = Port {
        link: links.loopback(),
        mac: MacAddr::default(),
        role: Role::Uplink,
        up: false,
        mtu: 0,
        bridge: None,
        vlans: Box::new([]),
    };
    by_number(links, unused, |link, mac, role| {
        let membership = bridge_of(links, link).map(|bridge| Membership {
            bridge,
            forwarding: link.member_forwards,
            hairpin: link.hairpin,
        });
        Port {
            link: link.id,
            mac,
            role,
            up: link.up,
            mtu: link.mtu,
            bridge: membership,
            vlans: vlans(links, link.id),
        }
    })
    .into()
}

/// The names of the ports by number; empty for one that is not in use.
pub(super) fn port_names(links: &Links) -> Vec<String> {
    by_number(links, String::new(), |link, _, _| link.name.clone())
}

fn by_number<T: Clone>(links: &Links, unused: T, make: impl Fn(&Link, MacAddr, Role) -> T) -> Vec<T> {
    let mut all = vec![unused; usize::from(links.port_count())];
    for link in links.iter() {
        let LinkKind::Port { port, mac, role, .. } = link.kind else { continue };
        if let Some(place) = all.get_mut(port.index()) {
            *place = make(link, mac, role);
        }
    }
    all
}

/// The bridges, in the order of their links.
pub(super) fn bridges(links: &Links, entries: &Entries) -> Box<[Bridge]> {
    let bridge = |link: &Link| {
        let LinkKind::Bridge { mac, vlan_filtering } = link.kind else { return None };
        let stations = entries.stations(link.id).into_iter().filter_map(|(mac, member)| {
            let LinkKind::Port { port, .. } = links.link(member).kind else { return None };
            Some((mac.key(), u32::from(port.0)))
        });
        Some(Bridge {
            link: link.id,
            mac,
            switches: link.up && !vlan_filtering,
            own: link.addresses.iter().map(|address| u64::from(u32::from(address.local))).collect(),
            stations: FlatMap::from_entries(stations),
        })
    };
    links.iter().filter_map(bridge).collect()
}

/// The exits of tunnels, and who may send to them.
pub(super) fn tunnels(links: &Links, config: &Config, peers: Vec<(LinkId, Ipv4Addr)>) -> Tunnels {
    let any_peer = config.tunnel.accept == Accept::Any;
    let mut tunnels = Vec::new();
    // Behind those with a network of their own, so that they get what is left.
    let mut any_network = Vec::new();
    for link in links.iter() {
        let tunnel = |kind| Tunnel { link: link.id, kind, up: link.up, any_peer };
        match &link.kind {
            LinkKind::Ipip(ipip) => {
                tunnels.push(tunnel(TunnelKind::Ipip { remote: ipip.remote, local: ipip.local }));
            }
            LinkKind::Vxlan(vxlan) => {
                let network = |vni| {
                    tunnel(TunnelKind::Vxlan {
                        vni,
                        port: vxlan.port,
                        mac: vxlan.mac,
                        bridge: bridge_of(links, link),
                    })
                };
                let any_vni = vxlan.any_vni || config.tunnel.vni == AcceptVni::Any;
                if !vxlan.any_vni {
                    tunnels.push(network(vxlan.vni));
                }
                if any_vni {
                    any_network.push(network(None));
                }
            }
            _ => {}
        }
    }
    tunnels.append(&mut any_network);
    Tunnels::new(tunnels, peers)
}

/// The far ends of tunnels: their `remote`, those of forwarding entries, and the next hops of routes through IPIP links.
pub(super) fn peers(links: &Links, rib: &Rib, hops: &Hops, entries: &Entries) -> Vec<(LinkId, Ipv4Addr)> {
    let remote = |link: &Link| match &link.kind {
        LinkKind::Ipip(ipip) => ipip.remote.map(|remote| (link.id, remote)),
        LinkKind::Vxlan(vxlan) => vxlan.remote.map(|remote| (link.id, remote)),
        _ => None,
    };
    let mut peers: Vec<_> = links.iter().filter_map(remote).collect();
    peers.extend(entries.peers());
    let is_ipip = |link: LinkId| matches!(links.link(link).kind, LinkKind::Ipip(_));
    peers.extend(rib.gateways().filter(|(link, _)| is_ipip(*link)));
    // A host behind a tunnel without gateway is its own far end.
    for (host, route) in hops.hosts() {
        let direct = route.usable_hops().filter(|hop| hop.gateway.is_none());
        peers
            .extend(direct.filter_map(|hop| hop.link).filter(|link| is_ipip(*link)).map(|link| (link, host)));
    }
    peers.sort_unstable();
    peers.dedup();
    peers
}

/// The bridge that a link is a member of.
fn bridge_of(links: &Links, link: &Link) -> Option<BridgeId> {
    let is_bridge = |link: &&Link| matches!(link.kind, LinkKind::Bridge { .. });
    let master = link.master?;
    let place = links.iter().filter(is_bridge).position(|bridge| bridge.id == master)?;
    Some(BridgeId(place as u16))
}

/// The VLANs that other links carry on `below`.
fn vlans(links: &Links, below: LinkId) -> Box<[u16]> {
    let vlan = |link: &Link| match link.kind {
        LinkKind::Port { vlan: Some((of, number)), .. } if of == below => Some(number),
        _ => None,
    };
    links.iter().filter_map(vlan).collect()
}
