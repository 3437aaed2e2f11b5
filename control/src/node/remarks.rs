//! What was found odd, kept by what it is about, so that it goes when its cause goes.

use crate::finding::Finding;
use crate::state::TableId;
use ipnet::Ipv4Net;
use std::collections::BTreeMap;

/// So many routes are remarked on; a full table may have a fault in each.
const MOST: usize = 1000;

/// Findings by what they are about.
#[derive(Clone, Debug, Default)]
pub(super) struct Remarks {
    pub(super) links: Vec<Finding>,
    pub(super) rules: Vec<Finding>,
    routes: BTreeMap<(TableId, Ipv4Net), Vec<Finding>>,
    pub(super) next_hops: Vec<Finding>,
    /// The number of findings about next hops when all were last collected, if routes have not changed since.
    collected: Option<usize>,
}

impl Remarks {
    /// The same list, empty.
    pub(super) fn anew(list: &mut Vec<Finding>) -> &mut Vec<Finding> {
        list.clear();
        list
    }

    /// What there is to say of the routes of a prefix, instead of what there was.
    pub(super) fn set_route(&mut self, table: TableId, prefix: Ipv4Net, findings: Vec<Finding>) {
        let key = (table, prefix);
        let is_changed = if findings.is_empty() {
            self.routes.remove(&key).is_some()
        } else if self.routes.len() < MOST || self.routes.contains_key(&key) {
            self.routes.insert(key, findings);
            true
        } else {
            false
        };
        if is_changed {
            self.collected = None;
        }
    }

    /// All of them.
    pub(super) fn all(&mut self) -> Vec<Finding> {
        self.collected = Some(self.next_hops.len());
        let lists =
            [&self.links, &self.rules].into_iter().chain(self.routes.values()).chain([&self.next_hops]);
        lists.flatten().cloned().collect()
    }

    /// All of them, if there are others than when they were last collected.
    pub(super) fn take_changed(&mut self) -> Option<Vec<Finding>> {
        (self.collected != Some(self.next_hops.len())).then(|| self.all())
    }
}
