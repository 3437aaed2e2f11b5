//! What the kernel would do, from a fresh dump.

use super::described::{Described, Names, Step, describe_rule};
use super::sweep::{self, Run};
use crate::config::Config;
use crate::netlink::{Family, NetlinkError, snapshot};
use crate::node::Node;
use crate::resolve::Behind;
use crate::rib::RuleAction;
use crate::state::TableId;
use ipnet::{IpNet, Ipv4Net};
use packetwalk_walk::tables::HopId;
use std::collections::BTreeMap;

/// The routes of a table, and where its addresses lead.
#[derive(Debug, Default)]
pub(super) struct ExpectedTable {
    /// Sorted by first address, the shorter of two prefixes first.
    pub(super) routes: Vec<(Ipv4Net, HopId)>,
    pub(super) runs: Vec<Run<u32>>,
}

/// What workers should do.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) node: Node,
    tables: BTreeMap<TableId, ExpectedTable>,
    empty: ExpectedTable,
}

impl Expected {
    /// Asks the kernel now.
    pub(super) fn read(config: &Config) -> Result<Self, NetlinkError> {
        let store = snapshot()?;
        let mut node = Node::new(&store.node_state_without_routes(), config, Behind::Kernel);
        for ((table, destination), _) in store.routes(Family::Ipv4) {
            if let IpNet::V4(prefix) = destination {
                node.set_routes(table, prefix, &store.route_entries(table, destination));
            }
        }
        drop(store);
        node.prepare();
        node.write();
        let named = node.looked_up();
        let mut tables = BTreeMap::new();
        for (id, table) in node.rib.tables().filter(|(id, _)| named.contains(id)) {
            let routes = table.iter().map(|(prefix, route)| (prefix, node.hop(prefix, route)));
            let mut routes: Vec<_> = routes.collect();
            routes.sort_unstable_by_key(|(prefix, _)| (prefix.network(), prefix.prefix_len()));
            let runs = sweep::runs(&routes);
            tables.insert(id, ExpectedTable { routes, runs });
        }
        let empty = ExpectedTable { routes: Vec::new(), runs: vec![(0, None)] };
        Ok(Self { node, tables, empty })
    }

    /// A table; an empty one where it has no routes.
    pub(super) fn table(&self, id: TableId) -> &ExpectedTable {
        self.tables.get(&id).unwrap_or(&self.empty)
    }

    /// How many prefixes have routes.
    pub(super) fn prefixes(&self) -> usize {
        self.tables.values().map(|table| table.routes.len()).sum()
    }

    /// What the result of a lookup does.
    pub(super) fn hop(&self, hop: HopId) -> Described {
        self.names().hop(hop)
    }

    /// The names of the numbers in the node's tables.
    pub(super) fn names(&self) -> Names<'_> {
        Names { tables: &self.node.tables, node: &self.node }
    }

    /// The rules, one a table: the kernel's own, less those that lead to tables without routes.
    pub(super) fn rules(&self) -> Vec<String> {
        let rules = self.node.rib.rules.iter().filter_map(|rule| {
            let selector = describe_rule(&rule.selector, &self.node.links);
            let verdict = |what: String| Some(format!("{selector} {what}"));
            match rule.action {
                RuleAction::Lookup(table) if self.table(table).routes.is_empty() => None,
                RuleAction::Lookup(table) => verdict(format!("lookup {table}")),
                RuleAction::Refuse(reason, None) => verdict(format!("{reason} none")),
                RuleAction::Refuse(reason, Some(code)) => verdict(format!("{reason} 3/{code}")),
                RuleAction::NotHeld => verdict("not_held".to_owned()),
            }
        });
        rules.collect()
    }

    /// The rules that workers go through, in the same words.
    pub(super) fn rules_of(&self, steps: &[Step]) -> Vec<String> {
        let mut rules = Vec::new();
        for step in steps {
            let tables = step.tables.iter().filter(|table| !self.table(**table).routes.is_empty());
            rules.extend(tables.map(|table| format!("{} lookup {table}", step.selector)));
            if let Some(hop) = &step.hop {
                let reason = hop.does.get("reason").map_or("", String::as_str);
                let icmp = hop.does.get("icmp").map(|icmp| format!(" {icmp}")).unwrap_or_default();
                rules.push(format!("{} {reason}{icmp}", step.selector));
            }
        }
        rules
    }
}
