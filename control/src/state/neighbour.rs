//! Neighbours, forwarding entries and per-interface switches: `ip -j neigh`, `bridge -j fdb`, `ip -j netconf`.

use super::scalar::{optional, required};
use super::value::LinkAddress;
use packetwalk_walk::tables::Vni;
use packetwalk_walk::wire::MacAddr;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct NeighbourEntry {
    /// Its address.
    #[serde(with = "required")]
    pub dst: IpAddr,
    /// The link that it is on.
    pub dev: String,
    /// Its hardware address; absent while it is not resolved.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub lladdr: Option<LinkAddress>,
    /// `REACHABLE`, `STALE`, `FAILED`, ...; absent: usable.
    #[serde(default)]
    pub state: Vec<String>,
}

impl NeighbourEntry {
    /// The MAC address to send to; None while the kernel could not.
    pub fn usable_mac(&self) -> Option<MacAddr> {
        let is_unresolved =
            self.state.iter().any(|state| matches!(state.as_str(), "FAILED" | "INCOMPLETE" | "NONE"));
        self.lladdr.as_ref().filter(|_| !is_unresolved)?.mac()
    }
}

/// A forwarding entry of a bridge or a VXLAN link.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct FdbEntry {
    /// The station; all zeros: whatever a VXLAN link does not know.
    #[serde(with = "required")]
    pub mac: MacAddr,
    /// The member or the VXLAN link.
    pub ifname: String,
    /// The VTEP behind which the station is.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub dst: Option<IpAddr>,
    /// Where it differs from the link's.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Where it differs from the link's.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub vni: Option<Vni>,
    /// The nexthop group of VTEPs instead of one.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub nhid: Option<u32>,
    /// The bridge whose table it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// `permanent`, `static`, `stale`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// `self`, `extern_learn`, ...
    #[serde(default)]
    pub flags: Vec<String>,
}

/// Per-interface switches of one family; those of `all` and `default` among them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct NetconfEntry {
    /// `inet` or `inet6`; absent: inet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The link, `all` or `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Whether what comes in by it is forwarded; absent: yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarding: Option<bool>,
    /// Proxy ARP.
    #[serde(default)]
    pub proxy_neigh: bool,
    /// Whether next hops on it without carrier are skipped.
    #[serde(default)]
    pub ignore_routes_with_linkdown: bool,
}

impl NetconfEntry {
    /// Whether it is about IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.family.as_deref().is_none_or(|family| family == "inet")
    }
}
