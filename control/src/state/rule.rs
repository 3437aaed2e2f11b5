//! Policy rules: `ip -j -d rule`.

use super::scalar::{FromScalar, number, optional, present};
use super::value::{Destination, TableId};
use ipnet::IpNet;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fmt;

/// A policy rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "RawRule")]
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
    /// Selectors that are not implemented, as iproute2 writes them.
    pub unimplemented: Vec<String>,
    /// What it says.
    pub action: RuleVerb,
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

/// A host without its length.
fn plain(prefix: IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
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

impl FromScalar for Tos {
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

impl FromScalar for IpProtocol {
    const EXPECTED: &'static str = "an IP protocol's name or its number from 0 to 255";

    fn from_text(text: &str) -> Option<Self> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return number(text)?.try_into().ok().map(Self::Number);
        }
        let known = IP_PROTOCOLS.iter().find(|(name, _)| *name == text);
        Some(known.map_or_else(|| Self::Named(text.into()), |(_, number)| Self::Number(*number)))
    }
}

/// The keys as iproute2 prints them.
#[derive(Deserialize)]
struct RawRule {
    #[serde(default, deserialize_with = "optional")]
    priority: Option<u32>,
    #[serde(default, deserialize_with = "present")]
    not: bool,
    #[serde(default, deserialize_with = "optional")]
    src: Option<Destination>,
    #[serde(default, deserialize_with = "optional")]
    srclen: Option<u8>,
    #[serde(default, deserialize_with = "optional")]
    dst: Option<Destination>,
    #[serde(default, deserialize_with = "optional")]
    dstlen: Option<u8>,
    #[serde(default)]
    iif: Option<String>,
    #[serde(default)]
    oif: Option<String>,
    #[serde(default, alias = "dsfield", deserialize_with = "optional")]
    tos: Option<Tos>,
    #[serde(default, deserialize_with = "optional")]
    ipproto: Option<IpProtocol>,
    #[serde(default, deserialize_with = "optional")]
    uid_start: Option<u32>,
    #[serde(default, deserialize_with = "optional")]
    uid_end: Option<u32>,
    #[serde(default, deserialize_with = "optional")]
    table: Option<TableId>,
    #[serde(default)]
    action: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    goto: Option<u32>,
    #[serde(default, deserialize_with = "present")]
    nop: bool,
    #[serde(default, deserialize_with = "present")]
    l3mdev: bool,
    #[serde(default)]
    fwmark: Option<serde_json::Value>,
    #[serde(default)]
    fwmask: Option<serde_json::Value>,
    #[serde(default)]
    sport: Option<serde_json::Value>,
    #[serde(default)]
    sport_start: Option<serde_json::Value>,
    #[serde(default)]
    dport: Option<serde_json::Value>,
    #[serde(default)]
    dport_start: Option<serde_json::Value>,
    #[serde(default)]
    tun_id: Option<serde_json::Value>,
    #[serde(default)]
    dscp: Option<serde_json::Value>,
    #[serde(default)]
    flowlabel: Option<serde_json::Value>,
    #[serde(default)]
    suppress_prefixlen: Option<serde_json::Value>,
    #[serde(default)]
    suppress_ifgroup: Option<serde_json::Value>,
    #[serde(default)]
    flow_from: Option<IgnoredAny>,
}

impl TryFrom<RawRule> for RuleEntry {
    type Error = String;

    fn try_from(raw: RawRule) -> Result<Self, String> {
        let action = match raw.action.as_deref() {
            _ if raw.l3mdev => RuleVerb::L3mdev,
            _ if raw.nop => RuleVerb::Nop,
            _ if raw.goto.is_some() => RuleVerb::Goto(raw.goto.unwrap_or_default()),
            None | Some("lookup" | "to_tbl") => RuleVerb::Lookup(raw.table.unwrap_or_default()),
            Some("blackhole") => RuleVerb::Blackhole,
            Some("unreachable") => RuleVerb::Unreachable,
            Some("prohibit") => RuleVerb::Prohibit,
            Some("nop") => RuleVerb::Nop,
            Some(other) => {
                return Err(format!(
                    "action \"{other}\": expected blackhole, unreachable, prohibit or a table"
                ));
            }
        };
        let ranges = [("sport", &raw.sport, &raw.sport_start), ("dport", &raw.dport, &raw.dport_start)];
        let ranges = ranges
            .into_iter()
            .filter_map(|(name, one, first)| Some((name, one.as_ref().or(first.as_ref())?)));
        let others = [
            ("fwmark", raw.fwmark.as_ref().or(raw.fwmask.as_ref())),
            ("tun_id", raw.tun_id.as_ref()),
            ("dscp", raw.dscp.as_ref()),
            ("flowlabel", raw.flowlabel.as_ref()),
            ("suppress_prefixlength", raw.suppress_prefixlen.as_ref()),
            ("suppress_ifgroup", raw.suppress_ifgroup.as_ref()),
        ];
        let others = others.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let unimplemented = others.chain(ranges).map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name} {text}"),
            None => format!("{name} {value}"),
        });
        let mut unimplemented: Vec<String> = unimplemented.collect();
        if raw.flow_from.is_some() {
            unimplemented.push("realms".to_owned());
        }
        Ok(Self {
            priority: raw.priority.unwrap_or_default(),
            source: prefix("src", raw.src, raw.srclen)?,
            destination: prefix("dst", raw.dst, raw.dstlen)?,
            iif: raw.iif,
            oif: raw.oif,
            tos: raw.tos.filter(|tos| *tos != Tos::Byte(0)),
            protocol: raw.ipproto.filter(|protocol| *protocol != IpProtocol::Number(0)),
            users: raw.uid_start.map(|first| (first, raw.uid_end.unwrap_or(u32::MAX))),
            invert: raw.not,
            unimplemented,
            action,
        })
    }
}

/// `src` and `srclen` as a prefix: iproute2 prints the length apart, and not for a host.
fn prefix(key: &str, address: Option<Destination>, length: Option<u8>) -> Result<Option<IpNet>, String> {
    let Some(Destination::Prefix(whole)) = address else {
        return match length {
            None | Some(0) => Ok(None),
            Some(length) => Err(format!("{key}len {length}: expected `{key}` to be an address")),
        };
    };
    let Some(length) = length else { return Ok(Some(whole)) };
    let cut = IpNet::new(whole.addr(), length).map_err(|_| {
        format!("{key}len {length}: expected 0 to {} for {}", whole.max_prefix_len(), whole.addr())
    })?;
    if cut != cut.trunc() {
        return Err(format!("{key} {cut}: expected a prefix without bits beyond its length"));
    }
    Ok((length > 0).then_some(cut))
}
