//! Policy rules, from `RTM_NEWRULE`.

use super::attribute::{Attribute, Malformed, split, word};
use super::family::Family;
use crate::state::{IpProtocol, OtherSelector, RuleEntry, RuleVerb, TableId, Tos};
use ipnet::IpNet;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_FLOW: u16 = 11;
const FRA_TUN_ID: u16 = 12;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_L3MDEV: u16 = 19;
const FRA_UID_RANGE: u16 = 20;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;
const FRA_DSCP: u16 = 25;
const FRA_FLOWLABEL: u16 = 26;
const FRA_FLOWLABEL_MASK: u16 = 27;
const FRA_SPORT_MASK: u16 = 28;
const FRA_DPORT_MASK: u16 = 29;
const FRA_DSCP_MASK: u16 = 30;

const FIB_RULE_INVERT: u32 = 2;

/// A rule under construction: what several attributes say together.
#[derive(Default)]
struct Draft {
    rule: RuleEntry,
    table: u32,
    goto: Option<u32>,
    l3mdev: bool,
    mark: Option<u32>,
    mark_mask: Option<u32>,
    dscp: [Option<u32>; 2],
    flow_label: [Option<u32>; 2],
    source_ports: Option<(u16, u16)>,
    destination_ports: Option<(u16, u16)>,
    source_port_mask: Option<u16>,
    destination_port_mask: Option<u16>,
}

/// A rule and its family; None for one of another.
pub(super) fn decode(payload: &[u8]) -> Result<Option<(Family, RuleEntry)>, Malformed> {
    let (header, attributes) = split::<12>(payload)?;
    let Some(family) = Family::of_kernel(header[0]) else { return Ok(None) };
    let (destination_length, source_length, tos) = (header[1], header[2], header[3]);
    let mut draft = Draft { table: header[4].into(), ..Draft::default() };
    draft.rule.invert = word(header, 8) & FIB_RULE_INVERT != 0;
    draft.rule.tos = (tos != 0).then_some(Tos::Byte(tos));
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            FRA_SRC => draft.rule.source = prefix(attribute, source_length)?,
            FRA_DST => draft.rule.destination = prefix(attribute, destination_length)?,
            _ => draft.read(attribute)?,
        }
    }
    Ok(Some((family, draft.finish(header[7]))))
}

fn prefix(attribute: Attribute<'_>, length: u8) -> Result<Option<IpNet>, Malformed> {
    let prefix = IpNet::new(attribute.address()?, length)
        .map_err(|_| Malformed::Range { kind: attribute.kind, value: length.into() })?;
    Ok((length > 0).then(|| prefix.trunc()))
}

impl Draft {
    fn read(&mut self, attribute: Attribute<'_>) -> Result<(), Malformed> {
        let rule = &mut self.rule;
        match attribute.kind {
            FRA_PRIORITY => rule.priority = attribute.u32()?,
            FRA_IIFNAME => rule.iif = Some(attribute.text()),
            FRA_OIFNAME => rule.oif = Some(attribute.text()),
            FRA_TABLE => self.table = attribute.u32()?,
            FRA_GOTO => self.goto = Some(attribute.u32()?),
            FRA_L3MDEV => self.l3mdev = attribute.u8()? != 0,
            FRA_IP_PROTO => rule.protocol = Some(IpProtocol::Number(attribute.u8()?)),
            FRA_UID_RANGE => {
                let last = Attribute { value: attribute.value.get(4..).unwrap_or_default(), ..attribute };
                rule.users = Some((attribute.u32()?, last.u32()?));
            }
            FRA_FWMARK => self.mark = Some(attribute.u32()?),
            FRA_FWMASK => self.mark_mask = Some(attribute.u32()?),
            FRA_SPORT_RANGE => self.source_ports = Some(attribute.u16_pair()?),
            FRA_DPORT_RANGE => self.destination_ports = Some(attribute.u16_pair()?),
            FRA_SPORT_MASK => self.source_port_mask = Some(attribute.u16()?),
            FRA_DPORT_MASK => self.destination_port_mask = Some(attribute.u16()?),
            FRA_DSCP => self.dscp[0] = Some(attribute.u8()?.into()),
            FRA_DSCP_MASK => self.dscp[1] = Some(attribute.u8()?.into()),
            FRA_FLOWLABEL => self.flow_label[0] = Some(u32::from_be(attribute.u32()?)),
            FRA_FLOWLABEL_MASK => self.flow_label[1] = Some(u32::from_be(attribute.u32()?)),
            FRA_TUN_ID => self.add("tun_id", attribute.be64()?.to_string()),
            // All bits set: it suppresses nothing.
            FRA_SUPPRESS_PREFIXLEN | FRA_SUPPRESS_IFGROUP if attribute.u32()? == u32::MAX => {}
            FRA_SUPPRESS_PREFIXLEN => self.add("suppress_prefixlength", attribute.u32()?.to_string()),
            FRA_SUPPRESS_IFGROUP => self.add("suppress_ifgroup", attribute.u32()?.to_string()),
            FRA_FLOW => {
                let realms = attribute.u32()?;
                self.add("realms", format!("{}/{}", realms >> 16, realms & 0xffff));
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, name: &'static str, value: String) {
        self.rule.unimplemented.push(OtherSelector { name, value });
    }

    /// `action` is `FR_ACT_*`.
    fn finish(mut self, action: u8) -> RuleEntry {
        if self.mark.is_some() || self.mark_mask.is_some() {
            let (mark, mask) = (self.mark.unwrap_or_default(), self.mark_mask.unwrap_or(u32::MAX));
            // As C's %#x has it.
            let mark = if mark == 0 { "0".to_owned() } else { format!("{mark:#x}") };
            let text = if mask == u32::MAX { mark } else { format!("{mark}/{mask:#x}") };
            self.add("fwmark", text);
        }
        if let Some(ports) = self.source_ports {
            self.add("sport", ports_text(ports, self.source_port_mask));
        }
        if let Some(ports) = self.destination_ports {
            self.add("dport", ports_text(ports, self.destination_port_mask));
        }
        for (name, [value, mask]) in [("dscp", self.dscp), ("flowlabel", self.flow_label)] {
            match (value, mask) {
                (Some(value), Some(mask)) => self.add(name, format!("{value:#x}/{mask:#x}")),
                (Some(value), None) => self.add(name, value.to_string()),
                (None, _) => {}
            }
        }
        self.rule.action = match (action, TableId::new(self.table)) {
            _ if self.l3mdev => RuleVerb::L3mdev,
            (1, Some(table)) => RuleVerb::Lookup(table),
            (2, _) => RuleVerb::Goto(self.goto.unwrap_or_default()),
            (3, _) => RuleVerb::Nop,
            (6, _) => RuleVerb::Blackhole,
            (7, _) => RuleVerb::Unreachable,
            (8, _) => RuleVerb::Prohibit,
            // What it does is not known, so nothing may be decided by it.
            (other, _) => {
                self.add("action", other.to_string());
                RuleVerb::default()
            }
        };
        self.rule.unimplemented.sort_by_key(|selector| ORDER.iter().position(|name| *name == selector.name));
        self.rule
    }
}

/// The order of the file's reader, so that equal rules are equal.
const ORDER: [&str; 9] = [
    "fwmark",
    "sport",
    "dport",
    "tun_id",
    "dscp",
    "flowlabel",
    "suppress_prefixlength",
    "suppress_ifgroup",
    "realms",
];

fn ports_text((first, last): (u16, u16), mask: Option<u16>) -> String {
    match mask {
        Some(mask) if mask != u16::MAX => format!("{first:#x}/{mask:#x}"),
        _ if first == last => first.to_string(),
        _ => format!("{first}-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::attribute::tests::attribute;
    use super::*;

    fn message(action: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![2, 24, 8, 0x10, 254, 0, 0, action];
        bytes.extend(FIB_RULE_INVERT.to_ne_bytes());
        bytes.extend(attributes.concat());
        bytes
    }

    fn text(bytes: &[u8]) -> String {
        let (family, rule) = decode(bytes).expect("a rule").expect("of a family");
        assert_eq!(family, Family::Ipv4);
        rule.to_string()
    }

    #[test]
    fn every_selector_is_kept() {
        let bytes = message(
            1,
            &[
                attribute(FRA_DST, &[10, 2, 3, 0]),
                attribute(FRA_SRC, &[10, 0, 0, 0]),
                attribute(FRA_IIFNAME, b"eth0\0"),
                attribute(FRA_OIFNAME, b"eth1\0"),
                attribute(FRA_FLOW, &0x0003_0004u32.to_ne_bytes()),
                attribute(FRA_FWMASK, &0xffu32.to_ne_bytes()),
                attribute(FRA_FWMARK, &0x10u32.to_ne_bytes()),
                attribute(FRA_TUN_ID, &7u64.to_be_bytes()),
                attribute(FRA_SUPPRESS_PREFIXLEN, &0u32.to_ne_bytes()),
                attribute(FRA_SUPPRESS_IFGROUP, &u32::MAX.to_ne_bytes()),
                attribute(FRA_UID_RANGE, &[5u32.to_ne_bytes(), 6u32.to_ne_bytes()].concat()),
                attribute(FRA_IP_PROTO, &[6]),
                attribute(FRA_SPORT_RANGE, &[5u16.to_ne_bytes(), 5u16.to_ne_bytes()].concat()),
                attribute(FRA_DPORT_RANGE, &[80u16.to_ne_bytes(), 90u16.to_ne_bytes()].concat()),
                attribute(FRA_DSCP, &[10]),
                attribute(FRA_FLOWLABEL, &7u32.to_be_bytes()),
                attribute(FRA_TABLE, &1000u32.to_ne_bytes()),
            ],
        );
        assert_eq!(
            text(&bytes),
            "not from 10.0.0.0/8 to 10.2.3.0/24 tos 0x10 iif eth0 oif eth1 uidrange 5-6 ipproto tcp fwmark 0x10/0xff \
             sport 5 dport 80-90 tun_id 7 dscp 10 flowlabel 7 suppress_prefixlength 0 realms 3/4 lookup 1000"
        );
    }

    #[test]
    fn an_action_that_is_not_known_decides_nothing() {
        assert_eq!(text(&message(9, &[])), "not from all tos 0x10 action 9 lookup main");
        assert_eq!(text(&message(7, &[])), "not from all tos 0x10 unreachable");
    }
}
