//! How an adjacency came about: what `explain` names beside it.

use crate::links::Links;
use crate::state::TableId;
use ipnet::Ipv4Net;
use packetwalk_walk::tables::LinkId;
use packetwalk_walk::wire::MacAddr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The entries that were used from a route to a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Way {
    /// The next hop that the route names; None: the destination itself.
    pub gateway: Option<IpAddr>,
    /// The link that the route names.
    pub link: Option<LinkId>,
    /// The neighbour entry of the next hop on that link.
    pub neighbour: Option<Neighbour>,
    /// The forwarding entry of a bridge: the member behind which the neighbour is.
    pub station: Option<LinkId>,
    /// The forwarding entry of a VXLAN link: the VTEP behind which the neighbour is.
    pub vtep: Option<Vtep>,
    /// What carries a tunnel's packets.
    pub underlay: Option<Underlay>,
    /// What the MTU is the least of.
    pub mtu: Vec<MtuTerm>,
    /// What is missing, where the way does not lead to a port.
    pub fault: Option<String>,
}

/// A neighbour entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Neighbour {
    /// Its address.
    pub address: IpAddr,
    /// The link that it is on.
    pub link: LinkId,
    /// Its MAC address.
    pub mac: MacAddr,
}

/// A forwarding entry of a VXLAN link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vtep {
    /// The VXLAN link.
    pub link: LinkId,
    /// The station; all zeros: the entry for stations that no other names.
    pub mac: MacAddr,
    /// The VTEP's address.
    pub remote: Ipv4Addr,
}

/// The underlay route of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Underlay {
    /// The outer destination.
    pub peer: Ipv4Addr,
    /// The outer source.
    pub source: Ipv4Addr,
    /// The rule's priority, the table and the prefix; None: the link that the tunnel is bound to has the peer on it.
    pub route: Option<(u32, TableId, Ipv4Net)>,
    /// The next hop; None: the peer itself.
    pub gateway: Option<IpAddr>,
    /// The link that outer packets leave by.
    pub link: LinkId,
    /// The neighbour entry of the next hop.
    pub neighbour: Neighbour,
    /// The member of a bridge behind which it is.
    pub station: Option<LinkId>,
}

/// One of the numbers whose least is an adjacency's MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MtuTerm {
    /// A link's MTU, bytes.
    Link(LinkId, u32),
    /// The route's `mtu`, bytes.
    Route(u32),
    /// What the underlay carries, and the tunnel's own headers that it loses, bytes.
    Underlay(u32, u32),
}

impl MtuTerm {
    /// The largest packet that it leaves, bytes. Never below 68, as the kernel has it for tunnels.
    pub fn bytes(self) -> u32 {
        match self {
            Self::Link(_, mtu) | Self::Route(mtu) => mtu,
            Self::Underlay(mtu, overhead) => mtu.saturating_sub(overhead).max(68),
        }
    }
}

impl Way {
    /// The way in words, the entries that were used first to last.
    pub fn describe<'a>(&'a self, links: &'a Links) -> impl fmt::Display + 'a {
        Described { way: self, links }
    }
}

struct Described<'a> {
    way: &'a Way,
    links: &'a Links,
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |link: LinkId| self.links.name(link);
        match (self.way.gateway, self.way.link) {
            (Some(gateway), Some(link)) => write!(f, "via {gateway} dev {}", name(link))?,
            (None, Some(link)) => write!(f, "dev {}", name(link))?,
            (_, None) => f.write_str("no next hop")?,
        }
        if let Some(Neighbour { address, link, mac }) = self.way.neighbour {
            write!(f, ", neighbour {address} dev {} lladdr {mac}", name(link))?;
        }
        if let Some(Vtep { link, mac, remote }) = self.way.vtep {
            write!(f, ", fdb {mac} dev {} dst {remote}", name(link))?;
        }
        if let Some(member) = self.way.station {
            write!(f, ", fdb dev {}", name(member))?;
        }
        if let Some(underlay) = &self.way.underlay {
            write!(f, ", underlay {} src {}", underlay.peer, underlay.source)?;
            if let Some((priority, table, prefix)) = underlay.route {
                write!(f, " by rule {priority} table {table} route {prefix}")?;
            }
            if let Some(gateway) = underlay.gateway {
                write!(f, " via {gateway}")?;
            }
            let Neighbour { address, mac, .. } = underlay.neighbour;
            write!(f, " dev {}, neighbour {address} lladdr {mac}", name(underlay.link))?;
            if let Some(member) = underlay.station {
                write!(f, ", fdb dev {}", name(member))?;
            }
        }
        if let Some(fault) = &self.way.fault {
            write!(f, ": {fault}")?;
        }
        Ok(())
    }
}
