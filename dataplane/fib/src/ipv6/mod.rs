//! IPv6 longest-prefix match: a leaf-pushed trie with a root of 14 or 20 bits and nodes of 6, changed in place.
//!
//! It gives what [`Fib4`](crate::Fib4) gives: one writer, plain loads for workers, and at each moment the old or the new value of an
//! address. It has no layers.
//!
//! Addresses are four times as long, and most of what lies between the prefix of a site and its hosts is the same for all of
//! them. So an entry can also *jump*: to a node far below, for the addresses that agree with it on the bits
//! between, while all others get what the jump says of a miss. A host in an otherwise empty /64 is two loads away, not twelve.
//!
//! Levels end at /20, /26, /32 and so on: among them are /32, what an operator is given, and /122, the block that Calico gives to a
//! node. Nodes of 8 bits are a quarter faster on a full table and take three times the memory (131 MiB for 200,000 routes, not 41); nodes of 4 bits
//! take 12 MiB, and a third more time where the table lies in the cache, as a node's does.
//!
//! # Why a lookup is right while the table changes
//!
//! All that is said of IPv4 holds here. For jumps there is more:
//!
//! *A jump never moves to where it says less.* Its key, its depth and the node that it leads to stay while a worker can find it. What it says of a miss may change, for it
//! means all addresses that reach the jump and disagree with its key. When another prefix needs a node between a jump and what
//! it came from, that node gets a jump of its own, and the old one is retired as it is: workers who hold it get the old
//! value of the moment when it was replaced. The other way, a jump may take over for the node that led to it alone, since all who found it
//! by that node reach it as well from above.

mod writer;

pub use writer::Writer6;

use crate::default_route::DefaultRoute;
use crate::entry::MAX_VALUE;
use crate::prefix::Prefix6;
use bytemuck::allocation::zeroed_slice_box;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::fmt;
use std::sync::Arc;

/// Entries from here on lead further: to a node, whose number follows.
const NODE: u32 = 0b110 << 29;
/// Entries from here on lead further: to a jump, whose number follows.
const JUMP: u32 = 0b111 << 29;
/// The number of a node or jump.
const NUMBER: u32 = !JUMP;

/// Bits of a node.
const NODE_BITS: u32 = 6;
/// Entries of a node.
const NODE_SIZE: usize = 1 << NODE_BITS;
/// Words of a jump.
const JUMP_SIZE: usize = 4;

/// How the first bits of an address are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root6 {
    /// 2^14 entries, 64 KiB.
    Small,
    /// 2^20 entries, 4 MiB, touched where there are routes.
    Large,
}

impl Root6 {
    /// The root that serves a table of so many routes best.
    pub fn for_routes(count: usize) -> Self {
        if count <= 256 { Self::Small } else { Self::Large }
    }

    const fn bits(self) -> u32 {
        match self {
            Self::Small => 14,
            Self::Large => 20,
        }
    }
}

/// What workers look up in.
pub struct Fib6 {
    /// What the addresses have that no other route holds.
    default: DefaultRoute,
    shift: u32,
    root: Box<[AtomicU32]>,
    nodes: Box<[AtomicU32]>,
    jumps: Box<[AtomicU64]>,
}

impl Fib6 {
    /// A table of `routes`, the longest prefix winning; of equal prefixes, the last.
    pub fn from_routes(routes: impl IntoIterator<Item = (Prefix6, u32)>) -> Arc<Self> {
        let routes: Vec<_> = routes.into_iter().collect();
        Arc::clone(Writer6::of_routes(&routes).fib())
    }

    /// Empty, with room for `nodes` nodes and as many jumps.
    fn empty(root: Root6, nodes: usize) -> Self {
        Self {
            default: DefaultRoute::none(),
            shift: 128 - root.bits(),
            root: zeroed_slice_box(1 << root.bits()),
            nodes: zeroed_slice_box(nodes * NODE_SIZE),
            jumps: zeroed_slice_box(nodes * JUMP_SIZE),
        }
    }

    /// The value of the longest prefix that holds `address` (host byte order), or 0.
    #[inline]
    pub fn lookup(&self, address: u128) -> u32 {
        let entry = match self.entry(address) {
            0 => self.default.behind(|| self.entry(address)),
            found => found,
        };
        entry & MAX_VALUE
    }

    /// What the trie says of `address`: 0 where only the default route can hold it.
    #[inline]
    fn entry(&self, address: u128) -> u32 {
        let mut shift = self.shift;
        // Acquire: a node or jump is written whole before an entry leads to it.
        let mut entry = self.root[(address >> shift) as usize].load(Ordering::Acquire);
        while entry >= NODE {
            if entry >= JUMP {
                let jump = self.jump(entry);
                if !jump.agrees(address) {
                    return jump.miss();
                }
                shift = jump.shift();
                entry = jump.node();
            }
            shift -= NODE_BITS;
            entry = self.node(entry)[(address >> shift) as usize & (NODE_SIZE - 1)].load(Ordering::Acquire);
        }
        entry
    }

    /// The node that `entry` leads to.
    #[inline]
    fn node(&self, entry: u32) -> &[AtomicU32] {
        &self.nodes[(entry & NUMBER) as usize * NODE_SIZE..][..NODE_SIZE]
    }

    /// The jump that `entry` leads to.
    #[inline]
    fn jump(&self, entry: u32) -> Jump<'_> {
        Jump(&self.jumps[(entry & NUMBER) as usize * JUMP_SIZE..][..JUMP_SIZE])
    }

    /// How many nodes there is room for.
    fn node_count(&self) -> usize {
        self.nodes.len() / NODE_SIZE
    }

    /// Every value that a lookup can return, some more than once.
    pub fn values(&self) -> impl Iterator<Item = u32> {
        Entries { fib: self, above: vec![self.root.iter()] }
            .chain([self.default.entry()])
            .map(|entry| entry & MAX_VALUE)
    }
}

/// Leads from an entry to a node more than one level below, for the addresses that agree with the key.
///
/// Four words: the key, upper half first; the entry of the node and, above it, how many bits lie below the node's
/// level; the entry of the addresses that disagree. All but the last stay as they are while a worker can find the jump.
#[derive(Clone, Copy)]
struct Jump<'f>(&'f [AtomicU64]);

impl Jump<'_> {
    #[inline]
    fn key(self) -> u128 {
        let word = |index: usize| u128::from(self.0[index].load(Ordering::Relaxed));
        word(0) << 64 | word(1)
    }

    /// Whether `address` reaches the node.
    #[inline]
    fn agrees(self, address: u128) -> bool {
        (address ^ self.key()) >> self.shift() == 0
    }

    /// The bits of an address from the node's level on: a multiple of 6, at least 6 and at most 108.
    #[inline]
    fn shift(self) -> u32 {
        (self.0[2].load(Ordering::Relaxed) >> 32) as u32 & 127
    }

    /// The entry that would lead to the node at its own level.
    #[inline]
    fn node(self) -> u32 {
        self.0[2].load(Ordering::Relaxed) as u32
    }

    /// The entry of the addresses that disagree.
    #[inline]
    fn miss(self) -> u32 {
        self.0[3].load(Ordering::Acquire) as u32
    }

    /// Replaces it.
    fn set_miss(self, entry: u32) {
        self.0[3].store(u64::from(entry), Ordering::Release);
    }

    /// Fills a jump that no worker can find yet.
    fn fill(self, key: u128, shift: u32, node: u32, miss: u32) {
        let words =
            [(key >> 64) as u64, key as u64, u64::from(shift) << 32 | u64::from(node), u64::from(miss)];
        for (place, word) in self.0.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
    }
}

/// The entries of all that the root leads to.
struct Entries<'f> {
    fib: &'f Fib6,
    above: Vec<core::slice::Iter<'f, AtomicU32>>,
}

impl Iterator for Entries<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while let Some(table) = self.above.last_mut() {
            match table.next().map(|entry| entry.load(Ordering::Acquire)) {
                Some(entry) if entry >= JUMP => {
                    let jump = self.fib.jump(entry);
                    self.above.push(self.fib.node(jump.node()).iter());
                    return Some(jump.miss());
                }
                Some(entry) if entry >= NODE => self.above.push(self.fib.node(entry).iter()),
                Some(entry) => return Some(entry),
                None => drop(self.above.pop()),
            }
        }
        None
    }
}

impl fmt::Debug for Fib6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.node_count();
        f.debug_struct("Fib6").field("root", &self.root.len()).field("nodes", &nodes).finish_non_exhaustive()
    }
}
