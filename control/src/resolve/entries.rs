//! Neighbours and forwarding entries, by what they are looked up by.

use crate::links::{LinkKind, Links};
use crate::state::NodeState;
use ipnet::Ipv4Net;
use packetwalk_walk::tables::{LinkId, Vni};
use packetwalk_walk::wire::MacAddr;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

/// Neighbours, bridge stations and VTEPs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    neighbours: BTreeMap<(LinkId, IpAddr), MacAddr>,
    /// (bridge, station) -> member.
    stations: HashMap<(LinkId, MacAddr), LinkId>,
    /// (VXLAN link, station) -> where to; the first entry of a station, as the kernel takes it.
    vteps: HashMap<(LinkId, MacAddr), VtepEntry>,
    /// How many entries a VXLAN link has for stations that no other names.
    defaults: HashMap<LinkId, usize>,
    /// (VXLAN link, VTEP), each once.
    peers: Vec<(LinkId, Ipv4Addr)>,
}

/// Where a VXLAN link sends frames for a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VtepEntry {
    /// All zeros: for stations that no other entry names.
    pub(crate) mac: MacAddr,
    pub(crate) remote: Ipv4Addr,
    /// Where they differ from the link's.
    pub(crate) port: Option<u16>,
    pub(crate) vni: Option<Vni>,
}

const ANY_STATION: MacAddr = MacAddr([0; 6]);

impl Entries {
    pub(crate) fn index(state: &NodeState, links: &Links) -> Self {
        let mut entries = Self::default();
        for neighbour in &state.neigh {
            if let (Some(link), Some(mac)) = (links.id(&neighbour.dev), neighbour.usable_mac()) {
                entries.neighbours.entry((link, neighbour.dst)).or_insert(mac);
            }
        }
        for entry in &state.fdb {
            let Some(link) = links.id(&entry.ifname) else { continue };
            if let Some(IpAddr::V4(remote)) = entry.dst {
                // A group floods.
                if remote.is_multicast() {
                    continue;
                }
                let vtep = VtepEntry { mac: entry.mac, remote, port: entry.port, vni: entry.vni };
                entries.vteps.entry((link, entry.mac)).or_insert(vtep);
                *entries.defaults.entry(link).or_default() += usize::from(entry.mac == ANY_STATION);
                entries.peers.push((link, remote));
                continue;
            }
            // An entry without `master` is the device's own filter; a permanent one is the bridge's own address.
            let is_station = entry.state.as_deref() != Some("permanent")
                && !entry.mac.is_group()
                && entry.dst.is_none()
                && (entry.master.is_some() || !entry.flags.iter().any(|flag| flag == "self"));
            let bridge = entry.master.as_deref().and_then(|name| links.id(name)).or(links.link(link).master);
            if let Some(bridge) = bridge.filter(|_| is_station) {
                entries.stations.entry((bridge, entry.mac)).or_insert(link);
            }
        }
        entries.peers.sort_unstable();
        entries.peers.dedup();
        entries
    }

    /// The MAC address of a neighbour that can be sent to.
    pub(crate) fn neighbour(&self, link: LinkId, address: IpAddr) -> Option<MacAddr> {
        self.neighbours.get(&(link, address)).copied()
    }

    /// All IPv4 neighbours that can be sent to, in order.
    pub(crate) fn neighbours(&self) -> impl Iterator<Item = (LinkId, Ipv4Addr)> {
        self.neighbours.keys().filter_map(|(link, address)| match address {
            IpAddr::V4(address) => Some((*link, *address)),
            IpAddr::V6(_) => None,
        })
    }

    /// Whether a neighbour on `link` that can be sent to has an address within `prefix`.
    pub(crate) fn has_neighbour_in(&self, link: LinkId, prefix: Ipv4Net) -> bool {
        let key = |address: Ipv4Addr| (link, IpAddr::V4(address));
        self.neighbours.range(key(prefix.network())..=key(prefix.broadcast())).next().is_some()
    }

    /// The member of `bridge` behind which a station is.
    pub(crate) fn station(&self, bridge: LinkId, mac: MacAddr) -> Option<LinkId> {
        self.stations.get(&(bridge, mac)).copied()
    }

    /// The stations of `bridge`, in order.
    pub(crate) fn stations(&self, bridge: LinkId) -> Vec<(MacAddr, LinkId)> {
        let stations = self.stations.iter().filter(|((of, _), _)| *of == bridge);
        let mut stations: Vec<_> = stations.map(|((_, mac), member)| (*mac, *member)).collect();
        stations.sort_unstable();
        stations
    }

    /// Where a VXLAN link sends frames for a station.
    pub(crate) fn vtep(&self, links: &Links, link: LinkId, mac: MacAddr) -> Option<VtepEntry> {
        if let Some(entry) = self.vteps.get(&(link, mac)) {
            return Some(*entry);
        }
        // Several default entries mean that a copy goes to each, which is flooding.
        match self.defaults.get(&link) {
            Some(1) => self.vteps.get(&(link, ANY_STATION)).copied(),
            Some(_) => None,
            None => match &links.link(link).kind {
                LinkKind::Vxlan(vxlan) => {
                    let remote = vxlan.remote?;
                    Some(VtepEntry { mac: ANY_STATION, remote, port: None, vni: None })
                }
                _ => None,
            },
        }
    }

    /// The VTEPs of all VXLAN links.
    pub(crate) fn peers(&self) -> &[(LinkId, Ipv4Addr)] {
        &self.peers
    }
}
