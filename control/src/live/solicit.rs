//! The kernel is asked for the neighbours that next hops need.

use crate::finding::Finding;
use crate::neighbours::{Key, Pace, Solicitations};
use crate::netlink::{Certainty, Neighbour, NetlinkError, Solicitor, Store};
use crate::node::Node;
use std::collections::HashMap;
use std::time::Instant;

/// Asks, at a pace.
#[derive(Debug)]
pub(super) struct Asker {
    /// None: the kernel does not let us.
    solicitor: Option<Solicitor>,
    solicitations: Solicitations,
    /// All that are needed.
    wanted: Vec<Key>,
    finding: Option<Finding>,
}

impl Asker {
    pub(super) fn open() -> Result<Self, NetlinkError> {
        Ok(Self {
            solicitor: Some(Solicitor::open()?),
            solicitations: Solicitations::new(Pace::default()),
            wanted: Vec::new(),
            finding: None,
        })
    }

    /// What `node` needs now.
    pub(super) fn want(&mut self, node: &Node, store: &Store) {
        let numbers: HashMap<_, _> =
            store.links().iter().map(|(number, link)| (link.entry.ifname.as_str(), *number)).collect();
        let wanted = node.wanted_neighbours().iter();
        let keys =
            wanted.filter_map(|(link, address)| Some((*numbers.get(node.links.name(*link))?, *address)));
        self.wanted = keys.collect();
    }

    /// Asks for those that are due, as the kernel knows them now.
    pub(super) fn ask(&mut self, store: &Store) {
        let Some(solicitor) = &mut self.solicitor else { return };
        let certainty =
            |key: &Key| store.neighbours().get(key).map_or(Certainty::Unresolved, Neighbour::certainty);
        let wanted = self.wanted.iter().map(|key| (*key, certainty(key)));
        for (link, address) in self.solicitations.ask(wanted, Instant::now()) {
            let Err(error) = solicitor.solicit(link, address) else { continue };
            // A link that has just gone is no matter; a right that is missing will not come.
            if error.is_permission() {
                let text = format!(
                    "{error}: next hops stay unresolved until something else on the node talks to them; run with \
                     CAP_NET_ADMIN"
                );
                self.finding = Some(Finding::warning(text));
                self.solicitor = None;
                return;
            }
        }
    }

    /// When to ask again though nothing changed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.solicitor.as_ref().and_then(|_| self.solicitations.next_deadline())
    }

    /// Why the kernel is not asked.
    pub(super) fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }
}
