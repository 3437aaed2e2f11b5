//! The links of a node, numbered: what each is, and which address of it is meant.

mod numbering;

pub use numbering::Numbering;

use crate::config::Config;
use crate::finding::Finding;
use crate::state::{AddressEntry, DontFragment, Endpoint, LinkEntry, Mtu, NodeState, PortRange, Scope, Ttl};
use ipnet::{IpNet, Ipv4Net};
use packetwalk_walk::tables::{LinkId, PortId, Role, Vni};
use packetwalk_walk::wire::MacAddr;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

/// A link.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its number: of a state file its place in `addr`.
    pub id: LinkId,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: LinkKind,
    /// Its MAC address, if it has one.
    pub mac: Option<MacAddr>,
    /// Largest packet, bytes.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// The bridge, bond or VRF that it is a member of.
    pub master: Option<LinkId>,
    /// Whether a bridge forwards by it (spanning tree).
    pub member_forwards: bool,
    /// Whether a bridge may send a frame back by it.
    pub hairpin: bool,
    /// Its IPv4 addresses in the order of the state.
    pub addresses: Vec<Address>,
    /// Whether what comes in by it is forwarded.
    pub forwarding: bool,
    /// Proxy ARP.
    pub proxy_arp: bool,
    /// Whether next hops on it without carrier are skipped.
    pub ignore_linkdown: bool,
}

/// An IPv4 address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub local: Ipv4Addr,
    /// The subnet that it puts the link into.
    pub subnet: Ipv4Net,
    /// The subnet's broadcast address where it was set.
    pub broadcast: Option<Ipv4Addr>,
    /// How far it reaches.
    pub scope: Scope,
    /// Whether another address of its subnet is the primary one.
    pub secondary: bool,
}

/// What a link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// An Ethernet link that frames are taken from and sent by.
    Port {
        /// Its number.
        port: PortId,
        /// Its MAC address.
        mac: MacAddr,
        /// On which side of the node.
        role: Role,
        /// The link that it is a VLAN of, and the VLAN.
        vlan: Option<(LinkId, u16)>,
    },
    /// A bridge.
    Bridge {
        /// Its MAC address.
        mac: MacAddr,
        /// Whether it filters by VLAN.
        vlan_filtering: bool,
    },
    /// An IPIP tunnel.
    Ipip(IpipLink),
    /// A VXLAN tunnel.
    Vxlan(VxlanLink),
    /// The loopback link.
    Loopback,
    /// A routing domain's link.
    Vrf,
    /// Anything else; routes by it are the kernel's.
    Other,
    /// A route, a neighbour or a tunnel names it, and `addr` does not have it; or it has gone, and its number is not in
    /// use.
    Missing,
}

/// An IPIP link's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpipLink {
    /// The far end; None: the route's gateway.
    pub remote: Option<Ipv4Addr>,
    /// The near end; None: what the underlay route prefers.
    pub local: Option<Ipv4Addr>,
    /// The link that outer packets must leave by.
    pub underlay: Option<String>,
    /// Outer TTL; None: the inner one.
    pub ttl: Option<u8>,
    /// Whether DF is always set outside.
    pub pmtudisc: bool,
}

/// A VXLAN link's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VxlanLink {
    /// The network that it sends to; None: it has none of its own (`external`).
    pub vni: Option<Vni>,
    /// Whether it receives every network (`external`).
    pub any_vni: bool,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Where stations are that no entry names.
    pub remote: Option<Ipv4Addr>,
    /// The near end; None: what the underlay route prefers.
    pub local: Option<Ipv4Addr>,
    /// The link that outer packets must leave by.
    pub underlay: Option<String>,
    /// UDP destination port.
    pub port: u16,
    /// UDP source ports, first and last.
    pub source_ports: (u16, u16),
    /// Outer TTL.
    pub ttl: Ttl,
    /// Outer DF.
    pub df: DontFragment,
}

/// The loopback link's name, where the state has none.
const LO: &str = "lo";

/// The kernel's default UDP port of VXLAN, older than IANA's 4789.
const VXLAN_PORT: u16 = 8472;

/// Source ports where the link sets none: RFC 7348 5 recommends the dynamic range.
const VXLAN_SOURCE_PORTS: (u16, u16) = (49152, 65535);

/// Kinds of tunnels and other links that look like Ethernet and are no ports.
const NO_PORTS: [&str; 14] = [
    "bareudp",
    "erspan",
    "geneve",
    "gre",
    "gretap",
    "gtp",
    "ip6erspan",
    "ip6gre",
    "ip6gretap",
    "ip6tnl",
    "macsec",
    "sit",
    "wireguard",
    "xfrm",
];

/// The links of a node.
#[derive(Clone, Debug)]
pub struct Links {
    /// By number.
    all: Vec<Link>,
    /// In the order of the state.
    order: Vec<LinkId>,
    by_name: HashMap<String, LinkId>,
    loopback: LinkId,
    ports: u16,
}

impl Links {
    /// Numbers the links of `state`, and those that only its routes name. Those that `numbering` knows keep their numbers.
    pub fn number(
        state: &NodeState,
        config: &Config,
        numbering: &mut Numbering,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut links = Self {
            all: Vec::new(),
            order: Vec::new(),
            by_name: HashMap::new(),
            loopback: LinkId(0),
            ports: 0,
        };
        let missing = missing(state);
        let present = state.addr.iter().map(|entry| entry.ifname.as_str());
        let present: HashSet<_> = present.chain(missing.iter().copied()).chain([LO]).collect();
        numbering.links.keep(&present);
        numbering.ports.keep(&present);
        for entry in &state.addr {
            if links.by_name.contains_key(&entry.ifname) {
                findings.push(Finding::warning(format!(
                    "link {} is there twice: the first is meant",
                    entry.ifname
                )));
                continue;
            }
            links.push(entry, state, config, numbering, findings);
        }
        let loopback = links.iter().find(|link| link.kind == LinkKind::Loopback).map(|link| link.id);
        links.loopback =
            loopback.or_else(|| links.stand_in(LO, LinkKind::Loopback, numbering)).unwrap_or(LinkId(0));
        for name in missing {
            if links.id(name).is_none() && links.stand_in(name, LinkKind::Missing, numbering).is_some() {
                let text = format!(
                    "link {name}: routes name it, and `addr` has no such link; they fail with link_down"
                );
                findings.push(Finding::warning(text));
            }
        }
        // A worker may still hold what names a link that has gone.
        links.reach(usize::from(numbering.links.end()));
        links.ports = numbering.ports.end();
        for entry in &state.addr {
            if let (Some(id), Some(master)) = (links.id(&entry.ifname), entry.master.as_deref()) {
                links.all[id.index()].master = links.id(master);
            }
        }
        links.attach_vlans(state);
        links.apply_netconf(state);
        links
    }

    /// A link by number.
    pub fn link(&self, id: LinkId) -> &Link {
        &self.all[id.index()]
    }

    /// A link's number by name.
    pub fn id(&self, name: &str) -> Option<LinkId> {
        self.by_name.get(name).copied()
    }

    /// A link's name.
    pub fn name(&self, id: LinkId) -> &str {
        &self.link(id).name
    }

    /// All links, in the order of the state.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.order.iter().map(|id| self.link(*id))
    }

    /// What each number stands for; one that is not in use, for a link that is missing and has no name.
    pub fn by_number(&self) -> &[Link] {
        &self.all
    }

    /// All ports have numbers below it.
    pub fn port_count(&self) -> u16 {
        self.ports
    }

    /// The link that the node's own packets come in by.
    pub fn loopback(&self) -> LinkId {
        self.loopback
    }

    /// The link of which `address` is on a subnet: the longest such subnet's.
    pub fn onlink(&self, address: Ipv4Addr) -> Option<LinkId> {
        let subnets =
            self.iter().flat_map(|link| link.addresses.iter().map(move |own| (own.subnet, link.id)));
        subnets
            .filter(|(net, _)| net.contains(&address))
            .max_by_key(|(net, _)| net.prefix_len())
            .map(|(_, id)| id)
    }

    /// The address of the link that is meant for `next_hop`: of its primary addresses that reach at least as far as
    /// `scope`, the one whose subnet holds it, else the first (the kernel's `inet_select_addr`).
    pub fn address(&self, id: LinkId, next_hop: Option<Ipv4Addr>, scope: Scope) -> Option<Ipv4Addr> {
        let mut primary =
            self.link(id).addresses.iter().filter(|address| !address.secondary && address.scope <= scope);
        let holds = |address: &&Address| next_hop.is_some_and(|hop| address.subnet.contains(&hop));
        primary.clone().find(holds).or_else(|| primary.next()).map(|address| address.local)
    }

    /// The node's first address of scope global.
    pub fn node_address(&self) -> Option<Ipv4Addr> {
        let mut addresses = self.iter().flat_map(|link| &link.addresses);
        addresses.find(|address| address.scope == Scope::GLOBAL).map(|address| address.local)
    }

    fn push(
        &mut self,
        entry: &LinkEntry,
        state: &NodeState,
        config: &Config,
        numbering: &mut Numbering,
        findings: &mut Vec<Finding>,
    ) {
        let Some(number) = numbering.links.number(&entry.ifname) else {
            let text = format!("link {}: more than {} links are not held", entry.ifname, u16::MAX);
            findings.push(Finding::warning(text));
            return;
        };
        let mut link = Link {
            id: LinkId(number),
            name: entry.ifname.clone(),
            kind: LinkKind::Other,
            mac: entry.address.as_ref().and_then(super::state::LinkAddress::mac),
            mtu: entry.mtu.map_or_else(|| default_mtu(entry), Mtu::bytes),
            up: entry.is_up(),
            master: None,
            member_forwards: entry
                .linkinfo
                .info_slave_data
                .state
                .as_deref()
                .is_none_or(|state| state == "forwarding"),
            hairpin: entry.linkinfo.info_slave_data.hairpin,
            addresses: entry.addr_info.iter().filter_map(ipv4).collect(),
            forwarding: true,
            proxy_arp: false,
            ignore_linkdown: false,
        };
        link.kind = kind(entry, &link, state, findings);
        if let LinkKind::Port { port, role, .. } = &mut link.kind {
            // There are no more ports than links, so there is a number.
            *port = PortId(numbering.ports.number(&entry.ifname).unwrap_or(u16::MAX));
            *role = config.role(&entry.ifname).unwrap_or_else(|| default_role(entry, &link.addresses));
        }
        self.place(link);
    }

    /// A link that the state does not describe; None: there is no number for it.
    fn stand_in(&mut self, name: &str, kind: LinkKind, numbering: &mut Numbering) -> Option<LinkId> {
        let id = LinkId(numbering.links.number(name)?);
        let up = kind != LinkKind::Missing;
        self.place(Link { name: name.to_owned(), up, kind, ..Link::missing(id) });
        Some(id)
    }

    fn place(&mut self, link: Link) {
        self.reach(link.id.index() + 1);
        self.by_name.insert(link.name.clone(), link.id);
        self.order.push(link.id);
        let place = link.id.index();
        self.all[place] = link;
    }

    /// Has all numbers below `count` stand for something.
    fn reach(&mut self, count: usize) {
        for number in self.all.len()..count {
            self.all.push(Link::missing(LinkId(number as u16)));
        }
    }

    fn attach_vlans(&mut self, state: &NodeState) {
        for entry in &state.addr {
            let info = &entry.linkinfo;
            if info.info_kind.as_deref() != Some("vlan") {
                continue;
            }
            let below = entry.link.as_deref().and_then(|name| self.id(name));
            let number = info.info_data.id.and_then(|id| u16::try_from(id.value()).ok());
            let Some(id) = self.id(&entry.ifname) else { continue };
            if let LinkKind::Port { vlan, .. } = &mut self.all[id.index()].kind {
                *vlan = below.zip(number);
            }
        }
    }

    fn apply_netconf(&mut self, state: &NodeState) {
        for entry in state.netconf.iter().filter(|entry| entry.is_ipv4()) {
            let Some(name) = entry.interface.as_deref() else { continue };
            if name == "all" {
                for link in &mut self.all {
                    link.proxy_arp |= entry.proxy_neigh;
                    link.ignore_linkdown |= entry.ignore_routes_with_linkdown;
                }
            } else if let Some(id) = self.id(name) {
                let link = &mut self.all[id.index()];
                link.forwarding = entry.forwarding.unwrap_or(true);
                link.proxy_arp |= entry.proxy_neigh;
                link.ignore_linkdown |= entry.ignore_routes_with_linkdown;
            }
        }
    }
}

impl Link {
    fn missing(id: LinkId) -> Self {
        Self {
            id,
            name: String::new(),
            kind: LinkKind::Missing,
            mac: None,
            mtu: Mtu::ETHERNET.bytes(),
            up: false,
            master: None,
            member_forwards: true,
            hairpin: false,
            addresses: Vec::new(),
            forwarding: true,
            proxy_arp: false,
            ignore_linkdown: false,
        }
    }
}

/// The links that routes and nexthop objects name, and `addr` does not have; each once.
fn missing(state: &NodeState) -> Vec<&str> {
    let routes = state.route.iter().filter(|route| route.ipv4().is_some());
    let devices = routes
        .flat_map(|route| route.dev.iter().chain(route.nexthops.iter().filter_map(|hop| hop.dev.as_ref())));
    let devices = devices.chain(state.nexthop.iter().filter_map(|object| object.dev.as_ref()));
    let mut known: HashSet<_> = state.addr.iter().map(|entry| entry.ifname.as_str()).collect();
    devices.map(String::as_str).filter(|name| known.insert(name)).collect()
}

fn default_mtu(entry: &LinkEntry) -> u32 {
    if entry.is_loopback() { 65536 } else { Mtu::ETHERNET.bytes() }
}

fn ipv4(entry: &AddressEntry) -> Option<Address> {
    let (IpAddr::V4(local), IpNet::V4(subnet)) = (entry.local, entry.subnet) else { return None };
    let broadcast = entry.broadcast.and_then(as_ipv4);
    Some(Address { local, subnet, broadcast, scope: entry.scope, secondary: entry.secondary })
}

fn as_ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// A veth without an address of its own, or with host addresses only, has a workload behind it.
fn default_role(entry: &LinkEntry, addresses: &[Address]) -> Role {
    let is_veth = entry.linkinfo.info_kind.as_deref() == Some("veth");
    if is_veth && addresses.iter().all(|address| address.subnet.prefix_len() == 32) {
        Role::Workload
    } else {
        Role::Uplink
    }
}

fn kind(entry: &LinkEntry, link: &Link, state: &NodeState, findings: &mut Vec<Finding>) -> LinkKind {
    let name = &entry.ifname;
    if entry.is_loopback() {
        return LinkKind::Loopback;
    }
    match (entry.linkinfo.info_kind.as_deref(), link.mac) {
        (Some("bridge"), Some(mac)) => LinkKind::Bridge {
            mac,
            vlan_filtering: entry.linkinfo.info_data.vlan_filtering.unwrap_or(0) != 0,
        },
        (Some("ipip"), _) => ipip(entry, findings),
        (Some("vxlan"), Some(mac)) => vxlan(entry, mac, findings),
        (Some("vrf"), _) => LinkKind::Vrf,
        (Some(kind), _) if NO_PORTS.contains(&kind) => LinkKind::Other,
        (_, Some(mac)) if entry.link_type.as_deref().is_none_or(|kind| kind == "ether") => {
            if is_bonded(entry, state) {
                return LinkKind::Other;
            }
            LinkKind::Port { port: PortId(0), mac, role: Role::Uplink, vlan: None }
        }
        (_, None) if entry.link_type.as_deref().is_none_or(|kind| kind == "ether") => {
            findings
                .push(Finding::warning(format!("link {name}: no MAC address (`address`), so it is no port")));
            LinkKind::Other
        }
        _ => LinkKind::Other,
    }
}

/// A bond's members: what they carry is the bond's.
fn is_bonded(entry: &LinkEntry, state: &NodeState) -> bool {
    let master = entry.master.as_deref().and_then(|name| state.addr.iter().find(|link| link.ifname == name));
    master.is_some_and(|master| matches!(master.linkinfo.info_kind.as_deref(), Some("bond" | "team")))
}

/// An end of a tunnel over IPv4: Err where it is of the other family.
fn over_ipv4(endpoint: Option<Endpoint>) -> Result<Option<Ipv4Addr>, IpAddr> {
    match endpoint.and_then(|endpoint| endpoint.0) {
        None => Ok(None),
        Some(IpAddr::V4(address)) => Ok(Some(address)),
        Some(address @ IpAddr::V6(_)) => Err(address),
    }
}

fn ipip(entry: &LinkEntry, findings: &mut Vec<Finding>) -> LinkKind {
    let data = &entry.linkinfo.info_data;
    let carries_ipv4 = data.proto.as_deref().is_none_or(|proto| matches!(proto, "ipip" | "any"));
    let (Ok(remote), Ok(local), true, false) =
        (over_ipv4(data.remote), over_ipv4(data.local), carries_ipv4, data.external)
    else {
        let text = format!(
            "link {}: an IPIP tunnel of a mode that is not walked; it stays the kernel's",
            entry.ifname
        );
        findings.push(Finding::warning(text));
        return LinkKind::Other;
    };
    let ttl = match data.ttl {
        Some(Ttl::Fixed(ttl)) => Some(ttl),
        None | Some(Ttl::Auto | Ttl::Inherit) => None,
    };
    LinkKind::Ipip(IpipLink { remote, local, underlay: data.link.clone(), ttl, pmtudisc: data.pmtudisc })
}

fn vxlan(entry: &LinkEntry, mac: MacAddr, findings: &mut Vec<Finding>) -> LinkKind {
    let data = &entry.linkinfo.info_data;
    let remote = over_ipv4(data.remote).and_then(|remote| over_ipv4(data.remote6).map(|_| remote));
    let local = over_ipv4(data.local).and_then(|local| over_ipv4(data.local6).map(|_| local));
    let (Ok(remote), Ok(local)) = (remote, local) else {
        let text = format!("link {}: VXLAN over IPv6 is not walked; it stays the kernel's", entry.ifname);
        findings.push(Finding::warning(text));
        return LinkKind::Other;
    };
    // A multicast group as remote floods; only what entries name can be walked.
    let remote = remote.filter(|remote| !remote.is_multicast());
    let set = |range: &PortRange| range.high != 0 && range.low <= range.high;
    LinkKind::Vxlan(VxlanLink {
        vni: data.id,
        any_vni: data.external || data.id.is_none(),
        mac,
        remote,
        local,
        underlay: data.link.clone(),
        port: data.port.unwrap_or(VXLAN_PORT),
        source_ports: data.port_range.filter(set).map_or(VXLAN_SOURCE_PORTS, |range| (range.low, range.high)),
        ttl: data.ttl.unwrap_or(Ttl::Auto),
        df: data.df.unwrap_or_default(),
    })
}
