//! Policy rules, reduced to what a packet from a wire can match.

use crate::finding::Finding;
use crate::links::{LinkKind, Links};
use crate::state::{IpProtocol, NodeState, RuleEntry, RuleVerb, TableId, Tos};
use ipnet::IpNet;
use packetwalk_walk::DropReason;
use packetwalk_walk::tables::Selector;

/// A policy rule that some packet may match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its priority.
    pub priority: u32,
    /// Which packets it is for.
    pub selector: Selector,
    /// What it says.
    pub action: RuleAction,
    /// As `ip rule` prints it, without the priority.
    pub text: String,
}

/// What a rule says of the packets that it selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// Look the destination up in this table, and go on with the next rule where it has no route.
    Lookup(TableId),
    /// Drop, with this code of ICMP destination unreachable; None: silently.
    Refuse(DropReason, Option<u8>),
    /// Something that only the kernel can evaluate.
    NotHeld,
}

/// The rules of the state, or the kernel's own three, in the order in which they are tried.
pub(super) fn compile(state: &NodeState, links: &Links, findings: &mut Vec<Finding>) -> Vec<Rule> {
    let defaults = [(0, TableId::LOCAL), (32766, TableId::MAIN), (32767, TableId::DEFAULT)];
    let defaults = defaults.map(|(priority, table)| RuleEntry {
        priority,
        action: RuleVerb::Lookup(table),
        ..RuleEntry::default()
    });
    let stated = state.rule.as_deref().filter(|rules| !rules.is_empty());
    let mut entries: Vec<&RuleEntry> =
        stated.unwrap_or(&defaults).iter().filter(|rule| is_ipv4(rule)).collect();
    entries.sort_by_key(|rule| rule.priority);

    let has_vrf = links.iter().any(|link| link.kind == LinkKind::Vrf);
    let mut rules = Vec::new();
    let mut skip_to = None;
    for entry in &entries {
        if skip_to.is_some_and(|target| entry.priority < target) {
            continue;
        }
        skip_to = None;
        let Some((selector, unknown)) = selector(entry, links) else { continue };
        let action = match entry.action {
            RuleVerb::Nop => continue,
            // The packets of a VRF's members only: without a VRF there are none.
            RuleVerb::L3mdev if !has_vrf => continue,
            RuleVerb::Goto(target) if !entries.iter().any(|rule| rule.priority == target) => continue,
            RuleVerb::Goto(target) if selector.is_all() && !unknown => {
                skip_to = Some(target);
                continue;
            }
            _ if unknown => RuleAction::NotHeld,
            RuleVerb::Goto(_) | RuleVerb::L3mdev => RuleAction::NotHeld,
            RuleVerb::Lookup(table) => RuleAction::Lookup(table),
            RuleVerb::Blackhole => RuleAction::Refuse(DropReason::Blackhole, None),
            // RFC 1812 5.2.7.1: network unreachable, and communication administratively prohibited.
            RuleVerb::Unreachable => RuleAction::Refuse(DropReason::Unreachable, Some(0)),
            RuleVerb::Prohibit => RuleAction::Refuse(DropReason::Prohibit, Some(13)),
        };
        let text = entry.to_string();
        if action == RuleAction::NotHeld {
            findings.push(Finding::warning(format!(
                "rule {}: {text}: it is not walked, so packets that it could match are punted (not_held)",
                entry.priority
            )));
        }
        rules.push(Rule { priority: entry.priority, selector, action, text });
    }
    rules
}

fn is_ipv4(rule: &RuleEntry) -> bool {
    let is_ipv6 = |prefix: Option<IpNet>| matches!(prefix, Some(IpNet::V6(_)));
    !is_ipv6(rule.source) && !is_ipv6(rule.destination)
}

/// Which packets a rule is for, and whether it has parts that are not implemented: then the selector holds all that
/// the rule could match. None: no packet that is walked.
fn selector(rule: &RuleEntry, links: &Links) -> Option<(Selector, bool)> {
    let masked = |prefix: Option<IpNet>| match prefix {
        Some(IpNet::V4(prefix)) => Selector::masked(prefix.addr(), prefix.prefix_len()),
        _ => (0, 0),
    };
    let mut selector = Selector {
        source: masked(rule.source),
        destination: masked(rule.destination),
        invert: rule.invert,
        ..Selector::ALL
    };
    let mut unknown = !rule.unimplemented.is_empty();
    match &rule.tos {
        Some(Tos::Byte(tos)) => selector.tos = Some(*tos),
        Some(Tos::Named(_)) => unknown = true,
        None => {}
    }
    match &rule.protocol {
        Some(IpProtocol::Number(protocol)) => selector.protocol = Some(*protocol),
        Some(IpProtocol::Named(_)) => unknown = true,
        None => {}
    }
    // A packet that is forwarded is bound to no link, and belongs to user 0 of the namespace (`ip_route_input_slow`).
    let mut never = rule.oif.is_some() || rule.users.is_some_and(|(first, _)| first > 0);
    if let Some(name) = &rule.iif {
        selector.iif = links.id(name);
        never |= selector.iif.is_none();
    }
    match (never, rule.invert) {
        (true, false) => None,
        (true, true) => Some((Selector::ALL, false)),
        (false, true) if unknown => Some((Selector::ALL, true)),
        // `not from all` selects nothing.
        (false, true) if (Selector { invert: false, ..selector.clone() }).is_all() => None,
        (false, _) => Some((selector, unknown)),
    }
}
