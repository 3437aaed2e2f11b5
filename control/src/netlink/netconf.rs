//! Switches of interfaces, from `RTM_NEWNETCONF`.

use super::attribute::{Malformed, split};
use super::family::Family;

const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;
const NETCONFA_PROXY_NEIGH: u16 = 5;
const NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN: u16 = 6;

/// The pseudo-interfaces: what holds for all, and what a new one gets.
pub(super) const ALL: u32 = u32::MAX;
pub(super) const DEFAULT: u32 = u32::MAX - 1;

/// The switches of an interface; None: this message says nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Netconf {
    /// Whether what comes in by it is forwarded.
    pub forwarding: Option<bool>,
    /// Proxy ARP or neighbour discovery.
    pub proxy_neigh: Option<bool>,
    /// Whether next hops on it without carrier are skipped.
    pub ignore_routes_with_linkdown: Option<bool>,
}

impl Netconf {
    /// The family, the interface, and what the message says of it.
    pub(super) fn decode(payload: &[u8]) -> Result<Option<(Family, u32, Self)>, Malformed> {
        let (header, attributes) = split::<1>(payload)?;
        let Some(family) = Family::of_kernel(header[0]) else { return Ok(None) };
        let (mut link, mut netconf) = (None, Self::default());
        for attribute in attributes {
            let attribute = attribute?;
            match attribute.kind {
                NETCONFA_IFINDEX => link = Some(attribute.u32()?),
                NETCONFA_FORWARDING => netconf.forwarding = Some(attribute.u32()? != 0),
                NETCONFA_PROXY_NEIGH => netconf.proxy_neigh = Some(attribute.u32()? != 0),
                NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN => {
                    netconf.ignore_routes_with_linkdown = Some(attribute.u32()? != 0);
                }
                _ => {}
            }
        }
        let link = link.ok_or(Malformed::Missing(NETCONFA_IFINDEX))?;
        Ok(Some((family, link, netconf)))
    }

    /// What is known after `news`: a message about one switch leaves the others as they were.
    pub(super) fn updated(self, news: Self) -> Self {
        Self {
            forwarding: news.forwarding.or(self.forwarding),
            proxy_neigh: news.proxy_neigh.or(self.proxy_neigh),
            ignore_routes_with_linkdown: news
                .ignore_routes_with_linkdown
                .or(self.ignore_routes_with_linkdown),
        }
    }
}
