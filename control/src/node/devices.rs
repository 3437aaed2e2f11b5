//! Ports, bridges and the exits of tunnels.

use crate::config::{Accept, AcceptVni, Config};
use crate::links::{Link, LinkKind, Links};
use crate::resolve::Entries;
use crate::rib::Rib;
use crate::state::RouteKind;
use packetwalk_walk::tables::{
    Bridge, BridgeId, FlatMap, LinkId, Membership, Port, Tunnel, TunnelKind, Tunnels,
};
use std::net::{IpAddr, Ipv4Addr};

/// The ports, in the order of their numbers.
pub(super) fn ports(links: &Links) -> Box<[Port]> {
    let port = |link: &Link| {
        let LinkKind::Port { mac, role, .. } = link.kind else { return None };
        let membership = bridge_of(links, link).map(|bridge| Membership {
            bridge,
            forwarding: link.member_forwards,
            hairpin: link.hairpin,
        });
        Some(Port {
            link: link.id,
            mac,
            role,
            up: link.up,
            mtu: link.mtu,
            bridge: membership,
            vlans: vlans(links, link.id),
        })
    };
    links.iter().filter_map(port).collect()
}

/// The names of the ports, in the order of their numbers.
pub(super) fn port_names(links: &Links) -> Vec<String> {
    let ports = links.iter().filter(|link| matches!(link.kind, LinkKind::Port { .. }));
    ports.map(|link| link.name.clone()).collect()
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
pub(super) fn tunnels(links: &Links, rib: &Rib, entries: &Entries, config: &Config) -> Tunnels {
    let any_peer = config.tunnel.accept == Accept::Any;
    let mut tunnels = Vec::new();
    // Behind those with a network of their own, so that they get what is left.
    let mut any_network = Vec::new();
    let mut peers = Vec::new();
    for link in links.iter() {
        let tunnel = |kind| Tunnel { link: link.id, kind, up: link.up, any_peer };
        match &link.kind {
            LinkKind::Ipip(ipip) => {
                tunnels.push(tunnel(TunnelKind::Ipip { remote: ipip.remote, local: ipip.local }));
                peers.extend(ipip.remote.map(|remote| (link.id, remote)));
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
                peers.extend(vxlan.remote.map(|remote| (link.id, remote)));
            }
            _ => {}
        }
    }
    tunnels.append(&mut any_network);
    peers.extend(entries.peers());
    peers.extend(gateways(links, rib));
    Tunnels::new(tunnels, peers)
}

/// The next hops of routes through IPIP links: the far ends of those that have no `remote`.
fn gateways(links: &Links, rib: &Rib) -> Vec<(LinkId, Ipv4Addr)> {
    let mut gateways = Vec::new();
    for (prefix, route) in rib.tables().flat_map(|(_, table)| table.iter()) {
        for hop in route.usable_hops().filter(|_| route.kind == RouteKind::Unicast) {
            let Some(link) = hop.link.filter(|link| matches!(links.link(*link).kind, LinkKind::Ipip(_)))
            else {
                continue;
            };
            match hop.gateway {
                Some(IpAddr::V4(gateway)) => gateways.push((link, gateway)),
                // A host behind a tunnel without gateway is its own far end.
                None if prefix.prefix_len() == 32 => gateways.push((link, prefix.addr())),
                _ => {}
            }
        }
    }
    gateways.sort_unstable();
    gateways.dedup();
    gateways
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
