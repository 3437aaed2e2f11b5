//! The routes of one family, kept in step with what the kernel says of them.
//!
//! Several routes may have one key (table, destination, TOS, metric); the kernel prefers them in an order that messages
//! tell only by their flags: a new one goes last, first, or in the place of another.

use super::family::Family;
use super::route::{Placement, RouteBody, RouteKey, RouteMessage};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The routes of one key, the preferred first. Equal lists are one: a million routes share a few.
pub(super) type Aliases = Arc<Vec<RouteBody>>;

/// The routes of one family.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes {
    by_key: BTreeMap<RouteKey, Aliases>,
    lists: HashSet<Aliases>,
}

/// What a message did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// Nothing is other than before.
    Nothing,
    /// Its key's routes are.
    Changed,
    /// It does not fit what is known, so something was missed: the routes must be listed anew.
    Unknown,
}

impl Routes {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RouteKey, &[RouteBody])> {
        self.by_key.iter().map(|(key, aliases)| (key, aliases.as_slice()))
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The keys whose routes differ between the two.
    pub(super) fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = RouteKey> + 'a {
        super::adopt::difference(&self.by_key, &other.by_key).copied()
    }

    /// A route that is there now.
    pub(super) fn add(&mut self, message: RouteMessage) -> Applied {
        let RouteMessage { key, body, placement } = message;
        let Some(old) = self.by_key.get(&key).map(Arc::clone) else {
            self.set(key, vec![body]);
            return Applied::Changed;
        };
        if placement == Placement::Listed {
            // IPv6 may have two that are equal.
            let mut aliases = old.as_slice().to_vec();
            aliases.push(body);
            self.set(key, aliases);
            return Applied::Changed;
        }
        let place = old.iter().position(|alias| alias.is_same_route(&body));
        // A message that names all next hops of a route to which some were added.
        let place = place.or_else(|| match key.family() {
            Family::Ipv6 => old.iter().position(|alias| body.extends(alias)),
            Family::Ipv4 => None,
        });
        // The routes of a nexthop object are told anew when it is replaced.
        let replaces = placement == Placement::Replace;
        let place = place.or_else(|| {
            let nhid = body.nhid.filter(|_| replaces)?;
            old.iter().position(|alias| alias.nhid == Some(nhid))
        });
        let replaced = if replaces { replaced(&old, &body, key.family()) } else { None };
        // The kernel replaces one of several, and tells the routes of an object anew, with the same flag.
        if place.is_some() && replaced.is_some() && place != replaced {
            return Applied::Unknown;
        }
        let mut aliases = old.as_slice().to_vec();
        match (place.or(replaced), placement) {
            (Some(place), _) => aliases[place] = body,
            (None, Placement::First) => aliases.insert(0, body),
            (None, Placement::Listed | Placement::Last | Placement::Replace) => aliases.push(body),
        }
        if aliases == *old {
            return Applied::Nothing;
        }
        self.set(key, aliases);
        Applied::Changed
    }

    /// A route that is gone.
    pub(super) fn remove(&mut self, message: &RouteMessage) -> Applied {
        let RouteMessage { key, body, .. } = message;
        let Some(old) = self.by_key.get(key).map(Arc::clone) else { return Applied::Unknown };
        let mut aliases = old.as_slice().to_vec();
        if let Some(place) = aliases.iter().position(|alias| alias.is_same_route(body)) {
            aliases.remove(place);
        } else if let Some(place) = aliases.iter().position(|alias| alias.extends(body)) {
            // Some of its next hops, of IPv6.
            let alias = &mut aliases[place];
            alias.hops.retain(|hop| !body.hops.iter().any(|gone| gone.is_same_hop(hop)));
            match alias.hops.as_mut_slice() {
                [] => drop(aliases.remove(place)),
                [hop] => {
                    // A single next hop is told without a list and a share.
                    hop.weight = 1;
                    alias.flags = hop.flags;
                    alias.is_multipath = false;
                }
                _ => {}
            }
        } else if let ([_], None) = (aliases.as_slice(), body.from) {
            // The kernel may tell a dying route otherwise than it told the living one.
            aliases.clear();
        } else {
            return Applied::Unknown;
        }
        self.set(*key, aliases);
        Applied::Changed
    }

    fn set(&mut self, key: RouteKey, aliases: Vec<RouteBody>) {
        let old = if aliases.is_empty() {
            self.by_key.remove(&key)
        } else {
            let shared = self.lists.get(&aliases).map_or_else(|| Arc::new(aliases), Arc::clone);
            self.lists.insert(Arc::clone(&shared));
            self.by_key.insert(key, shared)
        };
        // The last route that said so is gone: one count is ours, the other the set's.
        if let Some(old) = old.filter(|old| Arc::strong_count(old) == 2) {
            self.lists.remove(&old);
        }
    }
}

/// Which of several the kernel replaces: the first; of IPv6 the first for the same sources, with a gateway where the new
/// one has a gateway (those share their flows), else any.
fn replaced(aliases: &[RouteBody], body: &RouteBody, family: Family) -> Option<usize> {
    if family == Family::Ipv4 {
        return (!aliases.is_empty()).then_some(0);
    }
    let shares = |body: &RouteBody| body.nhid.is_none() && body.hops.iter().any(|hop| hop.gateway.is_some());
    let is_alike = |alias: &RouteBody| alias.from == body.from && shares(alias) == shares(body);
    let alike = aliases.iter().position(is_alike);
    alike.or_else(|| aliases.iter().position(|alias| alias.from == body.from))
}
