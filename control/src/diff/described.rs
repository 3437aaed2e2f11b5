//! What workers do with a packet, in words that mean the same in another process: names and bytes, no numbers.

use crate::links::Links;
use crate::node::Node;
use crate::state::TableId;
use packetwalk_walk::tables::{
    Action, AdjacencyId, BUCKETS, Encapsulation, Group, HopId, PortId, Selector, UdpChecksum,
};
use packetwalk_walk::wire::{MacAddr, ethernet};
use packetwalk_walk::{DropReason, Tables};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;

/// What is done, field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// As `ip route` would name it. It is not compared: it is not what workers read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub way: String,
    /// What workers read.
    pub does: BTreeMap<String, String>,
    /// The members of a group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its buckets, of 4096.
    pub buckets: u32,
    /// What its packets get.
    pub hop: Described,
}

impl Described {
    /// Of these fields.
    pub fn of<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let does = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { does, ..Self::default() }
    }

    /// The same for two that do the same.
    pub fn key(&self) -> String {
        let mut key = String::new();
        for (name, value) in &self.does {
            let _ = write!(key, "{name}={value};");
        }
        for Member { buckets, hop } in &self.members {
            let _ = write!(key, "[{buckets}*{}]", hop.key());
        }
        key
    }

    /// In words: its way, and those fields in which `other` differs where the ways do not tell them apart.
    pub fn unlike(&self, other: &Self) -> String {
        let mut text = self.way.clone();
        if self.way == other.way || self.way.is_empty() {
            for (name, value) in &self.does {
                if other.does.get(name) != Some(value) {
                    let _ = write!(text, "{}{name} {value}", if text.is_empty() { "" } else { " " });
                }
            }
            for (place, member) in self.members.iter().enumerate() {
                match other.members.get(place) {
                    Some(theirs)
                        if theirs.hop.key() == member.hop.key() && theirs.buckets == member.buckets => {}
                    Some(theirs) if theirs.hop.key() != member.hop.key() => {
                        let _ = write!(text, " nexthop {}", member.hop.unlike(&theirs.hop));
                    }
                    _ => {
                        let _ = write!(
                            text,
                            " nexthop {} with {} of {BUCKETS} flows",
                            member.hop.way, member.buckets
                        );
                    }
                }
            }
        }
        if text.is_empty() { "nothing of it".to_owned() } else { text }
    }
}

/// A rule that workers go through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its priority; of several kernel rules in one, the first's.
    pub priority: u32,
    /// Which packets it is for.
    pub selector: String,
    /// The number of the table that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fib: Option<u16>,
    /// The kernel's tables that lie in it, the one that is asked first before the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableId>,
    /// What is done, where the rule itself decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<Described>,
}

/// A selector, as `ip rule` would print it.
pub fn describe_rule(selector: &Selector, links: &Links) -> String {
    let prefix = |(address, mask): (u32, u32)| match mask.count_ones() {
        0 => "all".to_owned(),
        32 => Ipv4Addr::from(address).to_string(),
        length => format!("{}/{length}", Ipv4Addr::from(address)),
    };
    let mut text = if selector.invert { "not " } else { "" }.to_owned();
    text += "from ";
    text += &prefix(selector.source);
    if selector.destination.1 != 0 {
        let _ = write!(text, " to {}", prefix(selector.destination));
    }
    if let Some(tos) = selector.tos {
        let _ = write!(text, " tos {tos:#04x}");
    }
    if let Some(iif) = selector.iif {
        let _ = write!(text, " iif {}", links.name(iif));
    }
    if let Some(protocol) = selector.protocol {
        let _ = write!(text, " ipproto {protocol}");
    }
    text
}

/// What turns the numbers in tables into names.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// As workers read them.
    pub tables: &'a Tables,
    /// What they were made from.
    pub node: &'a Node,
}

impl Names<'_> {
    /// What a lookup's result does. A number that leads nowhere does "nothing that exists".
    pub fn hop(&self, hop: HopId) -> Described {
        match hop.resolve() {
            Ok(id) => self.adjacency(id),
            Err(number) => match self.tables.groups.get(number) {
                Some(group) => self.group(group),
                None => nowhere(&format!("group {number}")),
            },
        }
    }

    /// What an adjacency does.
    pub fn adjacency(&self, id: AdjacencyId) -> Described {
        let Some(adjacency) = self.tables.adjacencies.get(id.index()) else {
            return nowhere(&format!("adjacency {}", id.0));
        };
        let link = self.node.links.name(adjacency.link);
        let mut described = Described::of([("dev", link.to_owned()), ("mtu", adjacency.mtu.to_string())]);
        let mut put = |name: &str, value: String| {
            described.does.insert(name.to_owned(), value);
        };
        if let Some(source) = adjacency.source {
            put("src", source.to_string());
        }
        let (action, verdict) = match &adjacency.action {
            Action::Send { rewrite, port, encapsulation } => {
                put("port", self.port(*port));
                for (name, value) in header(rewrite) {
                    put(name, value);
                }
                put("encap", encap(encapsulation));
                ("send", None)
            }
            Action::Connected => ("connected", None),
            Action::Local => ("local", Some(format!("local dev {link}"))),
            Action::Refuse { reason, code } => {
                put("reason", reason.name().to_owned());
                put("icmp", code.map_or("none".to_owned(), |code| format!("3/{code}")));
                let name = match reason {
                    DropReason::NoRoute => "no route",
                    reason => reason.name(),
                };
                ("refuse", Some(name.to_owned()))
            }
            Action::Punt(reason) => {
                put("reason", reason.name().to_owned());
                ("punt", Some(format!("left to the kernel ({reason})")))
            }
            Action::Fail(reason) => {
                put("reason", reason.name().to_owned());
                ("fail", None)
            }
        };
        put("action", action.to_owned());
        described.way = verdict.unwrap_or_else(|| self.way_of(id, link));
        described
    }

    fn way_of(&self, id: AdjacencyId, link: &str) -> String {
        match self.node.way(id).and_then(|way| way.gateway) {
            Some(gateway) => format!("via {gateway} dev {link}"),
            None => format!("dev {link}"),
        }
    }

    fn group(&self, group: &Group) -> Described {
        let mut shares: BTreeMap<AdjacencyId, u32> = BTreeMap::new();
        for id in group.buckets() {
            *shares.entry(*id).or_default() += 1;
        }
        // Two that do the same are one.
        let mut members: BTreeMap<String, Member> = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for (id, buckets) in shares {
            let hop = self.adjacency(id);
            let key = hop.key();
            keys.insert(id, key.clone());
            members.entry(key).or_insert_with(|| Member { buckets: 0, hop }).buckets += buckets;
        }
        let places: BTreeMap<&String, u32> = members.keys().zip(0..).collect();
        // Which flow goes where is part of what workers do (FNV-1a).
        let layout = group.buckets().iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, id| {
            let place = keys.get(id).and_then(|key| places.get(key)).copied().unwrap_or(u32::MAX);
            (hash ^ u64::from(place)).wrapping_mul(0x0100_0000_01b3)
        });
        let way = members
            .values()
            .map(|member| format!("nexthop {}", member.hop.way))
            .collect::<Vec<_>>()
            .join(" ");
        let mut described =
            Described::of([("action", "group".to_owned()), ("layout", format!("{layout:016x}"))]);
        described.way = way;
        described.members = members.into_values().collect();
        described
    }

    /// A port's name.
    pub fn port(&self, id: PortId) -> String {
        self.node
            .port_names
            .get(id.index())
            .cloned()
            .unwrap_or_else(|| format!("port {}, which does not exist", id.0))
    }
}

fn nowhere(what: &str) -> Described {
    let mut described = Described::of([("action", format!("{what}, which does not exist"))]);
    described.way = format!("{what}, which does not exist");
    described
}

/// The bytes before a packet: the outermost Ethernet header by its parts, the rest as it is.
fn header(rewrite: &[u8]) -> Vec<(&'static str, String)> {
    let mac =
        |bytes: &[u8]| <[u8; 6]>::try_from(bytes).map_or_else(|_| hex(bytes), |mac| MacAddr(mac).to_string());
    if rewrite.len() < ethernet::HEADER {
        return vec![("rewrite", hex(rewrite))];
    }
    let (ethernet, rest) = rewrite.split_at(ethernet::HEADER);
    let mut fields = vec![
        ("lladdr", mac(&ethernet[..6])),
        ("own", mac(&ethernet[6..12])),
        ("ethertype", hex(&ethernet[12..])),
    ];
    if !rest.is_empty() {
        fields.push(("outer", hex(rest)));
    }
    fields
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn encap(encapsulation: &Encapsulation) -> String {
    match encapsulation {
        Encapsulation::None => "none".to_owned(),
        Encapsulation::Ipip(entry) => {
            let (ttl, df) = (flag(entry.inherit_ttl, " ttl inherit"), flag(entry.set_df, " df set"));
            format!("ipip remote {}{ttl}{df}", entry.remote)
        }
        Encapsulation::Vxlan(entry) => {
            let (ttl, df) = (flag(entry.inherit_ttl, " ttl inherit"), flag(entry.inherit_df, " df inherit"));
            let checksum = flag(entry.checksum == UdpChecksum::Full, " udpcsum");
            let (low, count) = (entry.port_low, entry.port_count);
            format!("vxlan remote {}{ttl}{df}{checksum} srcport {low}+{count}", entry.remote)
        }
    }
}

fn flag(set: bool, text: &'static str) -> &'static str {
    if set { text } else { "" }
}
