//! Policy rules, compiled: which table is asked for which packet.

use super::{HopId, LinkId};
use core::net::Ipv4Addr;

/// Index into [`super::Ipv4Tables::fibs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FibId(pub u16);

/// One step of the way through the rules. Several kernel rules that always follow one another may be one step, its
/// table holding what they say together.
#[derive(Clone, Debug)]
pub struct RuleStep {
    /// The priority of the kernel's rule, or of the first of them.
    pub priority: u32,
    /// Which packets it is for.
    pub selector: Selector,
    /// What it says of them.
    pub action: RuleAction,
}

/// What a rule says of the packets that it selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// Look the destination up; go on with the next rule where it is not found.
    Lookup(FibId),
    /// The rule itself decides.
    Hop(HopId),
}

/// Which packets a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Source address and mask, host byte order.
    pub source: (u32, u32),
    /// Destination address and mask, host byte order.
    pub destination: (u32, u32),
    /// The link that it came in by.
    pub iif: Option<LinkId>,
    /// The TOS byte, compared without its ECN bits.
    pub tos: Option<u8>,
    /// The IP protocol.
    pub protocol: Option<u8>,
    /// The rule is for all other packets (`not`).
    pub invert: bool,
}

impl Selector {
    /// Every packet.
    pub const ALL: Self =
        Self { source: (0, 0), destination: (0, 0), iif: None, tos: None, protocol: None, invert: false };

    /// Whether the rule is for this packet.
    #[inline]
    pub fn selects(&self, key: &RouteKey) -> bool {
        let hit = (key.source ^ self.source.0) & self.source.1 == 0
            && (key.destination ^ self.destination.0) & self.destination.1 == 0
            && (self.iif.is_none() || self.iif == key.iif)
            && self.tos.is_none_or(|tos| (tos ^ key.tos) & 0xfc == 0)
            && self.protocol.is_none_or(|protocol| protocol == key.protocol);
        hit != self.invert
    }

    /// Whether every packet is selected.
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// An address and a prefix length as address and mask.
    pub fn masked(address: Ipv4Addr, length: u8) -> (u32, u32) {
        let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
        (u32::from(address) & mask, mask)
    }
}

/// What the rules look at. Addresses in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteKey {
    /// IP source.
    pub source: u32,
    /// IP destination.
    pub destination: u32,
    /// The link that it came in by.
    pub iif: Option<LinkId>,
    /// TOS byte.
    pub tos: u8,
    /// IP protocol.
    pub protocol: u8,
}
