//! The values of the file that have a range or a form of their own.

use super::scalar::{Scalar, Written, number, required};
use ipnet::IpNet;
use packetwalk_walk::tables::Vni;
use packetwalk_walk::wire::MacAddr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// A routing table, 1 to 2^32 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(u32);

impl TableId {
    /// The table of the node's own addresses.
    pub const LOCAL: Self = Self(255);
    /// Where routes are unless they say otherwise.
    pub const MAIN: Self = Self(254);
    /// The last that is asked.
    pub const DEFAULT: Self = Self(253);

    /// None for 0, which the kernel takes for "unspecified".
    pub fn new(number: u32) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl Default for TableId {
    fn default() -> Self {
        Self::MAIN
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LOCAL => f.write_str("local"),
            Self::MAIN => f.write_str("main"),
            Self::DEFAULT => f.write_str("default"),
            Self(number) => fmt::Display::fmt(&number, f),
        }
    }
}

impl Serialize for TableId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        required::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for TableId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        required::deserialize(deserializer)
    }
}

impl Scalar for TableId {
    const EXPECTED: &'static str = "a table: local, main, default or a number from 1 to 4294967295 (`ip -N` prints numbers for other names)";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "local" => Some(Self::LOCAL),
            "main" => Some(Self::MAIN),
            "default" => Some(Self::DEFAULT),
            _ => Self::new(number(text)?),
        }
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.to_string())
    }
}

/// The largest packet of a link or a route, bytes: 68 (RFC 791's least) to 2^31 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mtu(u32);

impl Mtu {
    /// Ethernet's, for a link that does not say.
    pub const ETHERNET: Self = Self(1500);
    /// The least that a link may have on which IPv4 runs.
    pub const LEAST: Self = Self(68);

    /// None out of range.
    pub fn new(bytes: u32) -> Option<Self> {
        (bytes >= Self::LEAST.0 && i32::try_from(bytes).is_ok()).then_some(Self(bytes))
    }

    /// Bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Scalar for Mtu {
    const EXPECTED: &'static str = "an MTU from 68 to 2147483647 bytes";

    fn from_text(text: &str) -> Option<Self> {
        Self::new(number(text)?)
    }

    fn to_scalar(&self) -> Written {
        Written::Number(self.0.into())
    }
}

/// Where a route leads to, of either family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// `default`, whose family the other keys tell.
    #[default]
    Default,
    /// A prefix; a host address without a length is one of all bits.
    Prefix(IpNet),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Prefix(prefix) => f.write_str(&plain(*prefix)),
        }
    }
}

/// A prefix as iproute2 prints it: a host without its length.
pub(super) fn plain(prefix: IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}

impl Scalar for Destination {
    const EXPECTED: &'static str = "`default`, an address, or a prefix without bits beyond its length";

    fn from_text(text: &str) -> Option<Self> {
        if matches!(text, "default" | "all" | "any") {
            return Some(Self::Default);
        }
        let prefix: IpNet = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
        (prefix == prefix.trunc()).then_some(Self::Prefix(prefix))
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.to_string())
    }
}

/// An end of a tunnel: an address, or None where it is `any`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoint(pub Option<IpAddr>);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => fmt::Display::fmt(&address, f),
            None => f.write_str("any"),
        }
    }
}

impl Scalar for Endpoint {
    const EXPECTED: &'static str = "an address or `any`";

    fn from_text(text: &str) -> Option<Self> {
        if text == "any" {
            return Some(Self(None));
        }
        let address: IpAddr = text.parse().ok()?;
        Some(Self((!address.is_unspecified()).then_some(address)))
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.to_string())
    }
}

/// What a link has for a hardware address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkAddress {
    /// Of an Ethernet link.
    Mac(MacAddr),
    /// Of another kind of link: a tunnel's end, InfiniBand's 20 octets.
    Other(Box<str>),
}

impl LinkAddress {
    /// The MAC address, if it is one.
    pub fn mac(&self) -> Option<MacAddr> {
        match self {
            Self::Mac(mac) => Some(*mac),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Display for LinkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => fmt::Display::fmt(mac, f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Scalar for LinkAddress {
    const EXPECTED: &'static str = "a MAC address such as ee:ee:ee:ee:ee:ee";

    fn from_text(text: &str) -> Option<Self> {
        if let Ok(mac) = text.parse() {
            return Some(Self::Mac(mac));
        }
        // Eight octets or more are another link type's; fewer than a MAC address's are a slip of the pen.
        let octets = text.split(':').filter(|part| part.len() == 2 && u8::from_str_radix(part, 16).is_ok());
        let is_long = octets.count() >= 8 && text.split(':').all(|part| part.len() == 2);
        (is_long || text.parse::<IpAddr>().is_ok()).then(|| Self::Other(text.into()))
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.to_string())
    }
}

impl Scalar for MacAddr {
    const EXPECTED: &'static str = "a MAC address such as ee:ee:ee:ee:ee:ee";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.to_string())
    }
}

impl Scalar for Vni {
    const EXPECTED: &'static str = "a VXLAN network identifier from 0 to 16777215";

    fn from_text(text: &str) -> Option<Self> {
        Self::new(number(text)?)
    }

    fn to_scalar(&self) -> Written {
        Written::Number(self.value().into())
    }
}

/// The TTL of a tunnel's outer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// What the link's kind has where nothing is set: 0, `auto`.
    Auto,
    /// `inherit`: the inner packet's.
    Inherit,
    /// Set, 1 to 255.
    Fixed(u8),
}

impl Scalar for Ttl {
    const EXPECTED: &'static str = "a TTL from 0 to 255, `auto` or `inherit`";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "inherit" => Some(Self::Inherit),
            _ => match u8::try_from(number(text)?).ok()? {
                0 => Some(Self::Auto),
                ttl => Some(Self::Fixed(ttl)),
            },
        }
    }

    fn to_scalar(&self) -> Written {
        match *self {
            Self::Auto => Written::Number(0),
            Self::Inherit => Written::Text("inherit".to_owned()),
            Self::Fixed(ttl) => Written::Number(ttl.into()),
        }
    }
}

/// DF of a VXLAN link's outer header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DontFragment {
    /// Clear.
    #[default]
    Unset,
    /// Set.
    Set,
    /// The inner packet's.
    Inherit,
}

impl fmt::Display for DontFragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unset => "unset",
            Self::Set => "set",
            Self::Inherit => "inherit",
        })
    }
}

impl Scalar for DontFragment {
    const EXPECTED: &'static str = "`set`, `unset` or `inherit`";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "unset" => Some(Self::Unset),
            "set" => Some(Self::Set),
            "inherit" => Some(Self::Inherit),
            _ => None,
        }
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.to_string())
    }
}

/// How far a route or an address reaches, as the kernel numbers it: 0 everywhere, 255 nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(pub u8);

impl Scope {
    /// Everywhere.
    pub const GLOBAL: Self = Self(0);
    /// On the link.
    pub const LINK: Self = Self(253);
    /// Within the node.
    pub const HOST: Self = Self(254);
}

const SCOPES: [(&str, Scope); 5] = [
    ("global", Scope::GLOBAL),
    ("site", Scope(200)),
    ("link", Scope::LINK),
    ("host", Scope::HOST),
    ("nowhere", Scope(255)),
];

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SCOPES.iter().find(|(_, scope)| scope == self) {
            Some((name, _)) => f.write_str(name),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl Scalar for Scope {
    const EXPECTED: &'static str = "a scope: global, site, link, host, nowhere or a number from 0 to 255";

    fn from_text(text: &str) -> Option<Self> {
        let named = SCOPES.iter().find(|(name, _)| *name == text).map(|(_, scope)| *scope);
        named.or_else(|| number(text)?.try_into().ok().map(Self))
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.to_string())
    }
}

/// Who made a route: a name of iproute2's, or of the machine's own `rt_protos`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(Cow<'static, str>);

impl Protocol {
    /// The kernel itself.
    pub const KERNEL: Self = Self(Cow::Borrowed("kernel"));
    /// `ip route add`; what a route has that does not say, and what iproute2 does not print.
    pub const BOOT: Self = Self(Cow::Borrowed("boot"));

    /// Of the kernel's number: by name, or by number where iproute2 has no name for it.
    pub(crate) fn of_kernel(number: u8) -> Self {
        let known = PROTOCOLS.iter().find(|(known, _)| *known == number);
        Self(known.map_or_else(|| Cow::Owned(number.to_string()), |(_, name)| Cow::Borrowed(*name)))
    }

    /// As iproute2 prints it.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Default for Protocol {
    fn default() -> Self {
        Self::BOOT
    }
}

/// iproute2's names (`rt_protos`), by the kernel's numbers.
const PROTOCOLS: [(u8, &str); 22] = [
    (0, "unspec"),
    (1, "redirect"),
    (2, "kernel"),
    (3, "boot"),
    (4, "static"),
    (8, "gated"),
    (9, "ra"),
    (10, "mrt"),
    (11, "zebra"),
    (12, "bird"),
    (13, "dnrouted"),
    (14, "xorp"),
    (15, "ntk"),
    (16, "dhcp"),
    (18, "keepalived"),
    (42, "babel"),
    (99, "openr"),
    (186, "bgp"),
    (187, "isis"),
    (188, "ospf"),
    (189, "rip"),
    (192, "eigrp"),
];

impl Scalar for Protocol {
    const EXPECTED: &'static str = "the name or number of a routing protocol";

    fn from_text(text: &str) -> Option<Self> {
        // A million routes do not each own a copy of their maker's name.
        let known = PROTOCOLS.iter().find(|(_, name)| *name == text);
        Some(Self(known.map_or_else(|| Cow::Owned(text.to_owned()), |(_, name)| Cow::Borrowed(*name))))
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.name().to_owned())
    }
}

/// The share of a next hop among its group's, 1 to 65535 (the kernel's 65536 counts as 65535).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

impl Weight {
    /// What a next hop has that does not say.
    pub const ONE: Self = Self(1);

    /// Of a kernel's weight; None for 0 and beyond 65536.
    pub(crate) fn of_kernel(weight: u32) -> Option<Self> {
        match weight {
            0 => None,
            65536 => Some(Self(u16::MAX)),
            weight => u16::try_from(weight).ok().map(Self),
        }
    }

    /// The number.
    pub fn value(self) -> u16 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl Scalar for Weight {
    const EXPECTED: &'static str = "a weight from 1 to 65536";

    fn from_text(text: &str) -> Option<Self> {
        Self::of_kernel(number(text)?)
    }

    fn to_scalar(&self) -> Written {
        Written::Number(self.0.into())
    }
}

/// What a route does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // iproute2's words
pub enum RouteKind {
    #[default]
    Unicast,
    Local,
    Broadcast,
    Anycast,
    Multicast,
    Blackhole,
    Unreachable,
    Prohibit,
    Throw,
    Nat,
    Xresolve,
}

const ROUTE_KINDS: [(&str, RouteKind); 11] = [
    ("unicast", RouteKind::Unicast),
    ("local", RouteKind::Local),
    ("broadcast", RouteKind::Broadcast),
    ("anycast", RouteKind::Anycast),
    ("multicast", RouteKind::Multicast),
    ("blackhole", RouteKind::Blackhole),
    ("unreachable", RouteKind::Unreachable),
    ("prohibit", RouteKind::Prohibit),
    ("throw", RouteKind::Throw),
    ("nat", RouteKind::Nat),
    ("xresolve", RouteKind::Xresolve),
];

impl RouteKind {
    /// As iproute2 prints it.
    pub fn name(self) -> &'static str {
        ROUTE_KINDS.iter().find(|(_, kind)| *kind == self).map_or("unicast", |(name, _)| name)
    }
}

impl Scalar for RouteKind {
    const EXPECTED: &'static str = "a route type: unicast, local, broadcast, anycast, multicast, blackhole, unreachable, prohibit or throw";

    fn from_text(text: &str) -> Option<Self> {
        ROUTE_KINDS.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind)
    }

    fn from_number(_: u64) -> Option<Self> {
        None
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.name().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_names_and_numbers() {
        assert_eq!(TableId::from_text("main"), Some(TableId::MAIN));
        assert_eq!(TableId::from_text("77"), TableId::new(77));
        assert_eq!(TableId::from_number(254), Some(TableId::MAIN));
        assert_eq!(TableId::from_text("0"), None);
        assert_eq!(TableId::from_text("mian"), None);
        assert_eq!(TableId::MAIN.to_string(), "main");
        assert_eq!(TableId(1000).to_string(), "1000");
    }

    #[test]
    fn destinations_are_whole_prefixes() {
        let prefix = |text: &str| Some(Destination::Prefix(text.parse().expect("a prefix")));
        assert_eq!(Destination::from_text("10.0.0.1"), prefix("10.0.0.1/32"));
        assert_eq!(Destination::from_text("10.0.0.0/24"), prefix("10.0.0.0/24"));
        assert_eq!(Destination::from_text("fd00::/64"), prefix("fd00::/64"));
        assert_eq!(Destination::from_text("default"), Some(Destination::Default));
        assert_eq!(Destination::from_text("10.0.0.1/24"), None);
        assert_eq!(Destination::from_text("10.0.0.0/33"), None);
    }

    #[test]
    fn link_addresses_of_all_kinds() {
        assert!(LinkAddress::from_text("02:00:00:00:00:01").is_some_and(|address| address.mac().is_some()));
        assert!(LinkAddress::from_text("0.0.0.0").is_some_and(|address| address.mac().is_none()));
        let infiniband = "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:17:5b:21";
        assert!(LinkAddress::from_text(infiniband).is_some());
        assert_eq!(LinkAddress::from_text("02:00:00:00:00"), None);
        assert_eq!(LinkAddress::from_text("02:00:00:00:00:0g"), None);
    }

    #[test]
    fn ranges_are_kept() {
        assert_eq!(Mtu::from_number(67), None);
        assert_eq!(Mtu::from_number(68), Some(Mtu::LEAST));
        assert_eq!(Mtu::from_number(1 << 31), None);
        assert_eq!(Vni::from_text("16777216"), None);
        assert_eq!(Ttl::from_text("0"), Some(Ttl::Auto));
        assert_eq!(Ttl::from_number(256), None);
        assert_eq!(Weight::from_number(0), None);
        assert_eq!(Weight::from_number(65536).map(Weight::value), Some(65535));
        assert_eq!(Scope::from_text("link"), Some(Scope::LINK));
        assert_eq!(Scope::from_text("100").map(|scope| scope.to_string()), Some("100".to_owned()));
        assert_eq!(Endpoint::from_text("any"), Some(Endpoint(None)));
        assert_eq!(Endpoint::from_text("0.0.0.0"), Some(Endpoint(None)));
    }
}
