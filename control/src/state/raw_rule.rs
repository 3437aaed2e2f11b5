//! A policy rule under the keys of `ip -j -d rule`, from which [`RuleEntry`] is parsed and to which it is written.

use super::rule::{IpProtocol, OtherSelector, RuleEntry, RuleVerb, Tos};
use super::scalar::{flag, is_false, number, optional};
use super::value::{Destination, TableId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The keys as iproute2 prints them.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct RawRule {
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    priority: Option<u32>,
    #[serde(default, with = "flag", skip_serializing_if = "is_false")]
    not: bool,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    src: Option<Destination>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    srclen: Option<u8>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    dst: Option<Destination>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    dstlen: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iif: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oif: Option<String>,
    #[serde(default, alias = "dsfield", with = "optional", skip_serializing_if = "Option::is_none")]
    tos: Option<Tos>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    ipproto: Option<IpProtocol>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    uid_start: Option<u32>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    uid_end: Option<u32>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    table: Option<TableId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    goto: Option<u32>,
    #[serde(default, with = "flag", skip_serializing_if = "is_false")]
    nop: bool,
    #[serde(default, with = "flag", skip_serializing_if = "is_false")]
    l3mdev: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fwmark: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fwmask: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sport: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sport_start: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sport_end: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dport: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dport_start: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dport_end: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tun_id: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dscp: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flowlabel: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suppress_prefixlen: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suppress_ifgroup: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flow_from: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flow_to: Option<Value>,
}

/// What is written between the two values of a selector that has two.
const BETWEEN_MASK: char = '/';
const BETWEEN_PORTS: char = '-';
const BETWEEN_REALMS: char = '/';

impl RawRule {
    fn unimplemented(&self) -> Vec<OtherSelector> {
        let pair = |first: &Option<Value>, between: char, last: &Option<Value>| {
            let first = first.as_ref().map(text);
            match last.as_ref().map(text) {
                Some(last) => Some(format!("{}{between}{last}", first.unwrap_or_else(|| "0".to_owned()))),
                None => first,
            }
        };
        let one = |value: &Option<Value>| value.as_ref().map(text);
        let ports =
            |one: &Option<Value>, first, last| one.as_ref().map(text).or(pair(first, BETWEEN_PORTS, last));
        let selectors = [
            ("fwmark", pair(&self.fwmark, BETWEEN_MASK, &self.fwmask)),
            ("sport", ports(&self.sport, &self.sport_start, &self.sport_end)),
            ("dport", ports(&self.dport, &self.dport_start, &self.dport_end)),
            ("tun_id", one(&self.tun_id)),
            ("dscp", one(&self.dscp)),
            ("flowlabel", one(&self.flowlabel)),
            ("suppress_prefixlength", one(&self.suppress_prefixlen)),
            ("suppress_ifgroup", one(&self.suppress_ifgroup)),
            ("realms", pair(&self.flow_from, BETWEEN_REALMS, &self.flow_to)),
            // A type of rule that iproute2 has no name for.
            ("action", self.action.clone().filter(|action| number(action).is_some())),
        ];
        let selectors =
            selectors.into_iter().filter_map(|(name, value)| Some(OtherSelector { name, value: value? }));
        selectors.collect()
    }

    /// What [`RawRule::unimplemented`] reads, put back under its keys.
    fn put(&mut self, selector: &OtherSelector) {
        let value = selector.value.as_str();
        let pair = |between| match value.split_once(between) {
            Some((first, last)) => (Some(first), Some(last)),
            None => (Some(value), None),
        };
        let as_text = |part: Option<&str>| part.map(Value::from);
        let as_number = |part: Option<&str>| {
            part.map(|part| part.parse::<u64>().map_or_else(|_| part.into(), Value::from))
        };
        match selector.name {
            "fwmark" => {
                let (mark, mask) = pair(BETWEEN_MASK);
                (self.fwmark, self.fwmask) = (as_text(mark), as_text(mask));
            }
            "sport" => match pair(BETWEEN_PORTS) {
                (first, Some(last)) => {
                    (self.sport_start, self.sport_end) = (as_number(first), as_number(Some(last)));
                }
                (port, None) => self.sport = as_number(port),
            },
            "dport" => match pair(BETWEEN_PORTS) {
                (first, Some(last)) => {
                    (self.dport_start, self.dport_end) = (as_number(first), as_number(Some(last)));
                }
                (port, None) => self.dport = as_number(port),
            },
            "tun_id" => self.tun_id = as_number(Some(value)),
            "dscp" => self.dscp = as_text(Some(value)),
            "flowlabel" => self.flowlabel = as_text(Some(value)),
            "suppress_prefixlength" => self.suppress_prefixlen = as_number(Some(value)),
            "suppress_ifgroup" => self.suppress_ifgroup = as_text(Some(value)),
            "action" => self.action = Some(value.to_owned()),
            _ => {
                let (from, to) = pair(BETWEEN_REALMS);
                (self.flow_from, self.flow_to) = (as_text(from), as_text(to));
            }
        }
    }
}

/// A value of the file as `ip rule` writes it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl From<RuleEntry> for RawRule {
    fn from(rule: RuleEntry) -> Self {
        let (src, srclen) = parts(rule.source);
        let (dst, dstlen) = parts(rule.destination);
        let mut raw = Self {
            priority: Some(rule.priority),
            not: rule.invert,
            src,
            srclen,
            dst,
            dstlen,
            iif: rule.iif,
            oif: rule.oif,
            tos: rule.tos,
            ipproto: rule.protocol,
            uid_start: rule.users.map(|(first, _)| first),
            uid_end: rule.users.map(|(_, last)| last),
            ..Self::default()
        };
        match rule.action {
            RuleVerb::Lookup(table) => raw.table = Some(table),
            RuleVerb::L3mdev => raw.l3mdev = true,
            RuleVerb::Goto(priority) => raw.goto = Some(priority),
            RuleVerb::Nop => raw.nop = true,
            RuleVerb::Blackhole => raw.action = Some("blackhole".to_owned()),
            RuleVerb::Unreachable => raw.action = Some("unreachable".to_owned()),
            RuleVerb::Prohibit => raw.action = Some("prohibit".to_owned()),
        }
        for selector in &rule.unimplemented {
            raw.put(selector);
        }
        raw
    }
}

/// The inverse of [`prefix`].
fn parts(prefix: Option<IpNet>) -> (Option<Destination>, Option<u8>) {
    let Some(prefix) = prefix else { return (None, None) };
    let length = (prefix.prefix_len() < prefix.max_prefix_len()).then(|| prefix.prefix_len());
    (Some(Destination::Prefix(prefix.addr().into())), length)
}

impl TryFrom<RawRule> for RuleEntry {
    type Error = String;

    fn try_from(raw: RawRule) -> Result<Self, String> {
        let unimplemented = raw.unimplemented();
        let action = match raw.action.as_deref() {
            _ if raw.l3mdev => RuleVerb::L3mdev,
            _ if raw.nop => RuleVerb::Nop,
            _ if raw.goto.is_some() => RuleVerb::Goto(raw.goto.unwrap_or_default()),
            None | Some("lookup" | "to_tbl") => RuleVerb::Lookup(raw.table.unwrap_or_default()),
            Some("blackhole") => RuleVerb::Blackhole,
            Some("unreachable") => RuleVerb::Unreachable,
            Some("prohibit") => RuleVerb::Prohibit,
            Some("nop") => RuleVerb::Nop,
            Some(other) if number(other).is_some() => RuleVerb::default(),
            Some(other) => {
                return Err(format!(
                    "action \"{other}\": expected blackhole, unreachable, prohibit or a table"
                ));
            }
        };
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
