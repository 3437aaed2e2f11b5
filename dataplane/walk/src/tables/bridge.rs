//! What the walk does of a bridge: frames for the bridge itself, and unicast between members that it knows.

use super::{FlatMap, FlatSet, LinkId, PortId};
use crate::wire::MacAddr;

/// Index into [`super::Tables::bridges`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BridgeId(pub u16);

/// A bridge.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// Its link, by which its routed packets come in.
    pub link: LinkId,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Whether it is up and switches without VLAN filtering; else all its members' frames are the kernel's.
    pub switches: bool,
    /// Its own IPv4 addresses, which members' ARP requests are answered for (host byte order).
    pub own: FlatSet,
    /// [`MacAddr::key`] -> [`PortId`] of the member behind which the station is.
    pub stations: FlatMap,
}

impl Bridge {
    /// The member behind which `mac` is known to be.
    #[inline]
    pub fn station(&self, mac: MacAddr) -> Option<PortId> {
        self.stations.find(mac.key()).map(|port| PortId(port as u16))
    }
}

/// A port's place in a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Which bridge.
    pub bridge: BridgeId,
    /// Whether its spanning-tree state is forwarding.
    pub forwarding: bool,
    /// Whether a frame may leave by the member that it came in by.
    pub hairpin: bool,
}
