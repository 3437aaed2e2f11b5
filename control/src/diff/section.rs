//! The small tables, entry by entry.

use super::described::{Described, Names};
use crate::api::Section;
use packetwalk_walk::tables::{AdjacencyId, FlatSet, LinkId, PortId, Role, Tunnel, TunnelKind};
use packetwalk_walk::wire::MacAddr;
use std::net::Ipv4Addr;

/// The entries of one of the small tables, each with a name that means the same in another process.
pub fn entries<'a>(of: Section, names: Names<'a>) -> Box<dyn Iterator<Item = (String, Described)> + 'a> {
    let Names { tables, node } = names;
    let link = move |id: LinkId| names.node.links.name(id).to_owned();
    match of {
        Section::Links => Box::new(node.links.iter().filter_map(|link| {
            let entry = tables.links.get(link.id.index())?;
            let fields = [("forwarding", on_off(entry.forwarding)), ("proxy_arp", on_off(entry.proxy_arp))];
            Some((link.name.clone(), Described::of(fields)))
        })),
        // A number that is not in use has no name.
        Section::Ports => Box::new((0..).zip(&tables.ports).filter_map(move |(number, port)| {
            let name = Some(names.port(PortId(number))).filter(|name| !name.is_empty())?;
            let bridge = port.bridge.map_or("none".to_owned(), |member| {
                let (forwarding, hairpin) = (on_off(member.forwarding), on_off(member.hairpin));
                let bridge = tables.bridges.get(usize::from(member.bridge.0)).map(|bridge| link(bridge.link));
                format!("{} forwarding {forwarding} hairpin {hairpin}", bridge.unwrap_or_default())
            });
            let mut vlans = port.vlans.to_vec();
            vlans.sort_unstable();
            let role = match port.role {
                Role::Workload => "workload",
                Role::Uplink => "uplink",
            };
            let fields = [
                ("dev", link(port.link)),
                ("address", port.mac.to_string()),
                ("role", role.to_owned()),
                ("state", if port.up { "up" } else { "down" }.to_owned()),
                ("mtu", port.mtu.to_string()),
                ("bridge", bridge),
                ("vlans", format!("{vlans:?}")),
            ];
            Some((name, Described::of(fields)))
        })),
        Section::Bridges => Box::new(tables.bridges.iter().map(move |bridge| {
            let fields = [
                ("address", bridge.mac.to_string()),
                ("switches", on_off(bridge.switches)),
                ("own", addresses(&bridge.own)),
            ];
            (link(bridge.link), Described::of(fields))
        })),
        Section::Stations => Box::new(tables.bridges.iter().flat_map(move |bridge| {
            bridge.stations.entries().map(move |(key, port)| {
                let name = format!("{} dev {}", mac(key), link(bridge.link));
                (name, Described::of([("port", names.port(PortId(port as u16)))]))
            })
        })),
        Section::Tunnels => Box::new(tables.tunnels.all().iter().map(move |tunnel| {
            let (name, fields) = describe_tunnel(tunnel, names);
            (name, Described::of(fields))
        })),
        Section::Peers => Box::new(tables.tunnels.peers().map(move |key| {
            let (of, address) = link_and_address(key);
            (format!("{address} dev {}", link(of)), Described::default())
        })),
        Section::Own => Box::new(
            tables.ipv4.own.keys().map(|key| (Ipv4Addr::from(key as u32).to_string(), Described::default())),
        ),
        Section::Neighbours => Box::new(tables.ipv4.neighbours.entries().map(move |(key, adjacency)| {
            let (of, address) = link_and_address(key);
            (format!("{address} dev {}", link(of)), names.adjacency(AdjacencyId(adjacency)))
        })),
    }
}

fn describe_tunnel(tunnel: &Tunnel, names: Names<'_>) -> (String, Vec<(&'static str, String)>) {
    let any = |address: Option<Ipv4Addr>| address.map_or("any".to_owned(), |address| address.to_string());
    let link = names.node.links.name(tunnel.link);
    let mut fields = vec![
        ("state", if tunnel.up { "up" } else { "down" }.to_owned()),
        ("accept", if tunnel.any_peer { "any" } else { "known" }.to_owned()),
    ];
    let name = match &tunnel.kind {
        TunnelKind::Ipip { remote, local } => {
            fields.extend([("remote", any(*remote)), ("local", any(*local))]);
            format!("{link} ipip")
        }
        TunnelKind::Vxlan { vni, port, mac, bridge } => {
            let bridge = bridge.and_then(|id| names.tables.bridges.get(usize::from(id.0)));
            let bridge = bridge.map_or("none", |bridge| names.node.links.name(bridge.link));
            fields.extend([
                ("dstport", port.to_string()),
                ("address", mac.to_string()),
                ("bridge", bridge.to_owned()),
            ]);
            format!("{link} vxlan {}", vni.map_or("any".to_owned(), |vni| vni.to_string()))
        }
    };
    (name, fields)
}

fn on_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn addresses(set: &FlatSet) -> String {
    let mut addresses: Vec<_> = set.keys().map(|key| Ipv4Addr::from(key as u32)).collect();
    addresses.sort_unstable();
    format!("{addresses:?}")
}

fn link_and_address(key: u64) -> (LinkId, Ipv4Addr) {
    (LinkId((key >> 32) as u16), Ipv4Addr::from(key as u32))
}

/// The address that [`MacAddr::key`] was made of.
fn mac(key: u64) -> MacAddr {
    let [_, _, mac @ ..] = key.to_be_bytes();
    MacAddr(mac)
}
