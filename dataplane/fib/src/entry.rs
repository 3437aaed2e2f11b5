//! What an entry of a table says, in both families.
//!
//! An entry is a value with the rank of the route that put it there, or it leads further down. The rank is what makes one store enough:
//! a route may only cover entries of lower rank, so routes come in any order, and one that goes knows its own entries.

use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicU32, Ordering};
use std::fmt;

/// The largest value that a table can hold. 0 means "no route".
pub const MAX_VALUE: u32 = (1 << VALUE_BITS) - 1;

/// Bits of an entry that are its value; those above are its rank.
pub(crate) const VALUE_BITS: u32 = 24;

/// The writer has no room left for what a change needs: the table must be built anew with more. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many nodes there is room for.
    pub nodes: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all {} nodes of the table are in use", self.nodes)
    }
}

impl std::error::Error for Full {}

/// The entry of a route. Rank 0 is that of entries that hold nothing.
pub(crate) fn entry(rank: u32, value: u32) -> u32 {
    rank << VALUE_BITS | value
}

/// A change of entries: those whose rank is within `from` become `to`.
pub(crate) struct Change {
    pub(crate) from: RangeInclusive<u32>,
    pub(crate) to: u32,
}

impl Change {
    /// What an entry that holds `old`, and leads nowhere, becomes.
    pub(crate) fn of(&self, old: u32) -> u32 {
        if self.from.contains(&(old >> VALUE_BITS)) { self.to } else { old }
    }

    /// Changes an entry that leads nowhere.
    pub(crate) fn apply(&self, entry: &AtomicU32) {
        let old = entry.load(Ordering::Relaxed);
        if self.of(old) != old {
            entry.store(self.to, Ordering::Release);
        }
    }
}
