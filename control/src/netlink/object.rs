//! The kinds of objects that the kernel lists and announces.

use super::family::Family;
use std::fmt;

/// A kind of object. Their order is the one in which they are asked for: links first, because the kernel answers that
/// under the lock which every change of a link or an address holds to its end, so what is listed after it has seen
/// all that the change does to routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// Links.
    Links,
    /// Addresses of both families.
    Addresses,
    /// Switches of interfaces, IPv4.
    Netconf4,
    /// Switches of interfaces, IPv6.
    Netconf6,
    /// Policy rules, IPv4.
    Rules4,
    /// Policy rules, IPv6.
    Rules6,
    /// Neighbours of both families.
    Neighbours,
    /// Forwarding entries of bridges and VXLAN links.
    Fdb,
    /// Nexthop objects.
    Nexthops,
    /// IPv4 routes of all tables.
    Routes4,
    /// IPv6 routes of all tables.
    Routes6,
}

impl Object {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Links,
        Self::Addresses,
        Self::Netconf4,
        Self::Netconf6,
        Self::Rules4,
        Self::Rules6,
        Self::Neighbours,
        Self::Fdb,
        Self::Nexthops,
        Self::Routes4,
        Self::Routes6,
    ];
}

impl Object {
    /// The routes of a family.
    pub(super) fn routes(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Routes4,
            Family::Ipv6 => Self::Routes6,
        }
    }
}

/// A list that the kernel is asked for. In the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Question {
    /// All objects of a kind.
    All(Object),
    /// The routes of a family that have a next hop by this link.
    RoutesBy(Family, u32),
}

impl Question {
    /// The kind of objects that are asked for.
    pub(super) fn object(self) -> Object {
        match self {
            Self::All(object) => object,
            Self::RoutesBy(family, _) => Object::routes(family),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Links => "links",
            Self::Addresses => "addresses",
            Self::Netconf4 => "IPv4 netconf",
            Self::Netconf6 => "IPv6 netconf",
            Self::Rules4 => "IPv4 rules",
            Self::Rules6 => "IPv6 rules",
            Self::Neighbours => "neighbours",
            Self::Fdb => "forwarding entries",
            Self::Nexthops => "nexthop objects",
            Self::Routes4 => "IPv4 routes",
            Self::Routes6 => "IPv6 routes",
        })
    }
}
