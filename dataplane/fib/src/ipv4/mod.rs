//! IPv4 longest-prefix match: a leaf-pushed trie with a root of 14, 20 or 24 bits and small nodes, changed in place.
//!
//! Workers look up with plain loads while one [`Writer4`] changes single entries with atomic stores: an address has,
//! at each moment, either its old value or its new one, and a lookup answers with one that it had while the lookup lasted.
//!
//! Ranks grow with the prefix length, and with the layer before that: tables that are always asked one after the other can lie in one
//! FIB, and the first one's shortest prefix covers the second one's longest, as it does on Linux.
//!
//! # Which root
//!
//! | root | memory | one lookup | for |
//! |---|---|---|---|
//! | 14 bits | 64 KiB, and 256 bytes for each divided /14, /20 or /26 | 1 to 4 loads | up to 256 routes: policy tables |
//! | 20 bits | 4 MiB, touched where there are routes, and 256 bytes for each divided /20 or /26 | 1 to 3 loads | a node's tables |
//! | 24 bits | 64 MiB, touched where there are routes, and 1 KiB for each divided /24 | 1 or 2 loads | a full table |
//!
//! Nodes below the first two have 6 bits and so end at /26, the block of addresses that Calico gives to a node: thousands of
//! them, of an entry each, stay in the innermost cache. Those below the last have 8: full tables are made of /24.
//!
//! # Why a lookup is right while the table changes
//!
//! *What is filled is filled before it is found.* A node is written before an entry that leads to it is stored with release order, and every load of
//! a lookup has acquire order.
//!
//! *A worker in a node that collapses* finds what the node last said. All its entries were equal by then, its own entry in the table above
//! got that value, and from then on nobody writes to it: the address had that value when the node was unlinked, after the worker came in.
//!
//! *Nodes are used again* only after [`Writer4::recycle`], whose caller has waited until each worker was quiescent once after [`Writer4::retired`].
//! That is the one thing that this crate cannot see to by itself. Where it is neglected, a worker may read what a node says at its new place: the
//! value of another address, or a node's number at a depth where there is none.
//!
//! *The default* is no entry of the trie: `default_route.rs` has the argument for it.

mod writer;

pub use writer::Writer4;

use crate::default_route::DefaultRoute;
use crate::entry::MAX_VALUE;
use crate::prefix::Prefix4;
use bytemuck::allocation::zeroed_slice_box;
use core::sync::atomic::{AtomicU32, Ordering};
use std::fmt;
use std::sync::Arc;

/// Layers of one FIB.
pub const LAYERS: u8 = 3;

/// Set in an entry that leads to a node; its other bits are the node's place.
const NODE: u32 = 1 << 31;

/// A place is counted in so many entries, so that its 31 bits reach every node that a table can need.
const PLACE: usize = 4;

/// How the first bits of an address are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// 2^14 entries.
    Small,
    /// 2^20 entries.
    Medium,
    /// 2^24 entries.
    Large,
}

impl Root {
    /// The root that serves a table of so many routes best (docs/performance.md has the comparison).
    pub fn for_routes(count: usize) -> Self {
        match count {
            0..=256 => Self::Small,
            257..=65_536 => Self::Medium,
            _ => Self::Large,
        }
    }

    const fn bits(self) -> u32 {
        match self {
            Self::Small => 14,
            Self::Medium => 20,
            Self::Large => 24,
        }
    }

    /// Bits of the nodes below it.
    const fn node_bits(self) -> u32 {
        match self {
            Self::Small | Self::Medium => 6,
            Self::Large => 8,
        }
    }

    /// The nodes of a table in which every address has a route of its own.
    const fn most_nodes(self) -> usize {
        let (mut nodes, mut bits) = (0, self.bits());
        while bits < 32 {
            nodes += 1 << bits;
            bits += self.node_bits();
        }
        nodes
    }
}

/// What workers look up in.
pub struct Fib4 {
    /// What the addresses have that no other route holds.
    default: DefaultRoute,
    shift: u32,
    node_bits: u32,
    root: Box<[AtomicU32]>,
    nodes: Box<[AtomicU32]>,
}

impl Fib4 {
    /// A table of `routes`, the longest prefix winning; of equal prefixes, the last.
    pub fn from_routes(routes: impl IntoIterator<Item = (Prefix4, u32)>) -> Arc<Self> {
        let routes: Vec<_> = routes.into_iter().collect();
        let layers = [routes.as_slice()];
        Arc::clone(Writer4::of_layers(&layers).fib())
    }

    /// Empty, with room for `nodes` nodes.
    fn empty(root: Root, nodes: usize) -> Self {
        Self {
            default: DefaultRoute::none(),
            shift: 32 - root.bits(),
            node_bits: root.node_bits(),
            root: zeroed_slice_box(1 << root.bits()),
            nodes: zeroed_slice_box(nodes << root.node_bits()),
        }
    }

    /// The value of the longest prefix that holds `address` (host byte order), or 0.
    #[inline]
    pub fn lookup(&self, address: u32) -> u32 {
        let entry = match self.entry(address) {
            0 => self.default.behind(|| self.entry(address)),
            found => found,
        };
        entry & MAX_VALUE
    }

    /// What the trie says of `address`: 0 where only the default route can hold it.
    #[inline]
    fn entry(&self, address: u32) -> u32 {
        let mut shift = self.shift;
        // Acquire: a node is written whole before an entry leads to it.
        let mut entry = self.root[(address >> shift) as usize].load(Ordering::Acquire);
        while entry & NODE != 0 {
            shift -= self.node_bits;
            let index = (address >> shift) as usize & (self.node_size() - 1);
            entry = self.nodes[start(entry) + index].load(Ordering::Acquire);
        }
        entry
    }

    /// Entries of a node.
    #[inline]
    fn node_size(&self) -> usize {
        1 << self.node_bits
    }

    /// The node that `entry` leads to.
    fn node(&self, entry: u32) -> &[AtomicU32] {
        &self.nodes[start(entry)..][..self.node_size()]
    }

    /// How many nodes there is room for.
    fn node_count(&self) -> usize {
        self.nodes.len() >> self.node_bits
    }

    /// The last of the addresses from `address` on that have its value from the same entry: whoever wants to see all of a table,
    /// while nobody writes to it, goes on behind that one.
    pub fn entry_end(&self, address: u32) -> u32 {
        let mut shift = self.shift;
        let mut entry = self.root[(address >> shift) as usize].load(Ordering::Acquire);
        while entry & NODE != 0 {
            shift -= self.node_bits;
            let index = (address >> shift) as usize & (self.node_size() - 1);
            entry = self.nodes[start(entry) + index].load(Ordering::Acquire);
        }
        address | ((1 << shift) - 1)
    }

    /// Every value that a lookup can return, some more than once.
    pub fn values(&self) -> impl Iterator<Item = u32> {
        Entries { fib: self, above: vec![self.root.iter()] }
            .chain([self.default.entry()])
            .map(|entry| entry & MAX_VALUE)
    }
}

/// Where the node begins that `entry` leads to.
#[inline]
fn start(entry: u32) -> usize {
    (entry & !NODE) as usize * PLACE
}

/// The entries of all that the root leads to. Nodes that wait to be used again still say what they once said.
struct Entries<'f> {
    fib: &'f Fib4,
    above: Vec<core::slice::Iter<'f, AtomicU32>>,
}

impl Iterator for Entries<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while let Some(table) = self.above.last_mut() {
            match table.next().map(|entry| entry.load(Ordering::Acquire)) {
                Some(entry) if entry & NODE != 0 => self.above.push(self.fib.node(entry).iter()),
                Some(entry) => return Some(entry),
                None => drop(self.above.pop()),
            }
        }
        None
    }
}

impl fmt::Debug for Fib4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.node_count();
        f.debug_struct("Fib4").field("root", &self.root.len()).field("nodes", &nodes).finish_non_exhaustive()
    }
}
