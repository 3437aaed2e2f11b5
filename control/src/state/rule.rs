//! Policy rules: `ip -j -d rule`.

use super::raw_rule::RawRule;
use super::scalar::{Scalar, Written, number};
use super::value::{TableId, plain};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A policy rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "RawRule", into = "RawRule")]
pub struct RuleEntry {
    /// Rules are tried in ascending order of it.
    pub priority: u32,
    /// Packets from this prefix; None: all.
    pub source: Option<IpNet>,
    /// Packets to this prefix; None: all.
    pub destination: Option<IpNet>,
    /// Packets that came in by this link; `lo`: the node's own.
    pub iif: Option<String>,
    /// The node's own packets bound to this link.
    pub oif: Option<String>,
    /// Packets of this TOS.
    pub tos: Option<Tos>,
    /// Packets of this IP protocol.
    pub protocol: Option<IpProtocol>,
    /// The node's own packets of these users, first and last.
    pub users: Option<(u32, u32)>,
    /// All other packets (`not`).
    pub invert: bool,
    /// Selectors that are not implemented.
    pub unimplemented: Vec<OtherSelector>,
    /// What it says.
    pub action: RuleVerb,
}

/// A selector that is not implemented, as `ip rule` writes it: `fwmark 0x10/0xff`, `dport 80-90`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherSelector {
    /// `fwmark`, `sport`, ...
    pub name: &'static str,
    /// What it selects.
    pub value: String,
}

impl fmt::Display for OtherSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.value)
    }
}

/// What a rule says of the packets that it selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleVerb {
    /// Look the destination up in this table.
    Lookup(TableId),
    /// Look it up in the table of the packet's VRF.
    L3mdev,
    /// Go on at the first rule of this priority.
    Goto(u32),
    /// Nothing: go on.
    Nop,
    /// Drop silently.
    Blackhole,
    /// Drop and say so.
    Unreachable,
    /// Drop and say that it is forbidden.
    Prohibit,
}

impl Default for RuleVerb {
    fn default() -> Self {
        Self::Lookup(TableId::MAIN)
    }
}

impl fmt::Display for RuleEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.invert {
            f.write_str("not ")?;
        }
        match self.source {
            Some(prefix) => write!(f, "from {}", plain(prefix))?,
            None => f.write_str("from all")?,
        }
        if let Some(prefix) = self.destination {
            write!(f, " to {}", plain(prefix))?;
        }
        if let Some(tos) = &self.tos {
            write!(f, " tos {tos}")?;
        }
        if let Some(name) = &self.iif {
            write!(f, " iif {name}")?;
        }
        if let Some(name) = &self.oif {
            write!(f, " oif {name}")?;
        }
        if let Some((first, last)) = self.users {
            write!(f, " uidrange {first}-{last}")?;
        }
        if let Some(protocol) = &self.protocol {
            write!(f, " ipproto {protocol}")?;
        }
        for selector in &self.unimplemented {
            write!(f, " {selector}")?;
        }
        match self.action {
            RuleVerb::Lookup(table) => write!(f, " lookup {table}"),
            RuleVerb::L3mdev => f.write_str(" lookup [l3mdev-table]"),
            RuleVerb::Goto(priority) => write!(f, " goto {priority}"),
            RuleVerb::Nop => f.write_str(" nop"),
            RuleVerb::Blackhole => f.write_str(" blackhole"),
            RuleVerb::Unreachable => f.write_str(" unreachable"),
            RuleVerb::Prohibit => f.write_str(" prohibit"),
        }
    }
}

/// A TOS byte, or a name of the machine's `rt_dsfield` that is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tos {
    /// The byte.
    Byte(u8),
    /// A name.
    Named(Box<str>),
}

impl fmt::Display for Tos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(byte) => write!(f, "{byte:#04x}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// Names of RFC 2474, 2597 and 3246 as iproute2 has them.
fn dscp(name: &str) -> Option<u8> {
    let digit = |text: &str| text.parse::<u8>().ok();
    if name == "EF" {
        return Some(46 << 2);
    }
    if let Some(class) = name.strip_prefix("CS") {
        return digit(class).filter(|class| *class < 8).map(|class| class << 5);
    }
    let assured = digit(name.strip_prefix("AF")?)?;
    let (class, drop) = (assured / 10, assured % 10);
    ((1..=4).contains(&class) && (1..=3).contains(&drop)).then_some(class << 5 | drop << 3)
}

impl Scalar for Tos {
    const EXPECTED: &'static str = "a TOS byte such as 0x10";

    fn from_text(text: &str) -> Option<Self> {
        // iproute2 prints the byte in hexadecimal with and without 0x.
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if let Ok(byte) = u8::from_str_radix(digits, 16) {
            return Some(Self::Byte(byte));
        }
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        Some(dscp(text).map_or_else(|| Self::Named(text.into()), Self::Byte))
    }

    fn from_number(number: u64) -> Option<Self> {
        u8::try_from(number).ok().map(Self::Byte)
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.to_string())
    }
}

/// An IP protocol, or a name of the machine's `/etc/protocols` that is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpProtocol {
    /// Its number.
    Number(u8),
    /// A name.
    Named(Box<str>),
}

const IP_PROTOCOLS: [(&str, u8); 11] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ospf", 89),
    ("sctp", 132),
];

impl fmt::Display for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => match IP_PROTOCOLS.iter().find(|(_, known)| known == number) {
                Some((name, _)) => f.write_str(name),
                None => fmt::Display::fmt(number, f),
            },
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl Scalar for IpProtocol {
    const EXPECTED: &'static str = "an IP protocol's name or its number from 0 to 255";

    fn from_text(text: &str) -> Option<Self> {
        // iproute2 prints a protocol without a name with this before its number.
        let digits = text.strip_prefix("ipproto-").unwrap_or(text);
        if digits.starts_with(|first: char| first.is_ascii_digit()) {
            return number(digits)?.try_into().ok().map(Self::Number);
        }
        let known = IP_PROTOCOLS.iter().find(|(name, _)| *name == text);
        Some(known.map_or_else(|| Self::Named(text.into()), |(_, number)| Self::Number(*number)))
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.to_string())
    }
}
