//! IPv4 longest-prefix match: a leaf-pushed trie with a root of 14, 20 or 24 bits and small nodes, changed in place.
//!
//! Workers look up with plain loads while one [`Writer4`] changes single entries with atomic stores: an address has,
//! at each moment, either its old value or its new one.
//!
//! An entry is a value with the rank of the route that put it there, or leads to a node. A route may
//! only cover entries of lower rank, so routes can be inserted in any order, and one that goes knows which entries are its
//! own. Ranks grow with the prefix length, and with the layer before that: tables that are always asked one after the other can lie in one
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

use crate::prefix::Prefix4;
use bytemuck::allocation::zeroed_slice_box;
use core::sync::atomic::{AtomicU32, Ordering};
use std::fmt;
use std::sync::Arc;

/// The largest value that a table can hold. 0 means "no route".
pub const MAX_VALUE: u32 = (1 << VALUE_BITS) - 1;

/// Layers of one FIB.
pub const LAYERS: u8 = 3;

const VALUE_BITS: u32 = 24;
/// Set in an entry that leads to a node; its other bits are the node's place, that of its first entry.
const NODE: u32 = 1 << 31;

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
}

/// The writer has no node left: the FIB must be built anew with more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many nodes it has.
    pub nodes: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all {} nodes of the table are in use", self.nodes)
    }
}

impl std::error::Error for Full {}

/// What workers look up in.
pub struct Fib4 {
    /// What the addresses have that no other route holds. The default route lies here, so that it costs one store.
    default: AtomicU32,
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

    /// The value of the longest prefix that holds `address` (host byte order), or 0.
    #[inline]
    pub fn lookup(&self, address: u32) -> u32 {
        let mut shift = self.shift;
        // Acquire: a node is written whole before an entry leads to it.
        let mut entry = self.root[(address >> shift) as usize].load(Ordering::Acquire);
        while entry & NODE != 0 {
            shift -= self.node_bits;
            let index = (address >> shift) as usize & (self.node_size() - 1);
            entry = self.nodes[(entry & !NODE) as usize + index].load(Ordering::Acquire);
        }
        if entry == 0 {
            entry = self.default.load(Ordering::Acquire);
        }
        entry & MAX_VALUE
    }

    /// Entries of a node.
    #[inline]
    fn node_size(&self) -> usize {
        1 << self.node_bits
    }

    /// The node that `entry` leads to.
    fn node(&self, entry: u32) -> &[AtomicU32] {
        let start = (entry & !NODE) as usize;
        &self.nodes[start..start + self.node_size()]
    }

    /// How many nodes there is room for.
    fn node_count(&self) -> usize {
        self.nodes.len() >> self.node_bits
    }

    /// Every value that a lookup can return, some more than once.
    pub fn values(&self) -> impl Iterator<Item = u32> {
        let entries = self.root.iter().chain(&self.nodes).chain([&self.default]);
        let entries = entries.map(|entry| entry.load(Ordering::Relaxed));
        entries.filter(|entry| entry & NODE == 0).map(|entry| entry & MAX_VALUE)
    }
}

impl fmt::Debug for Fib4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.node_count();
        f.debug_struct("Fib4").field("root", &self.root.len()).field("nodes", &nodes).finish_non_exhaustive()
    }
}

/// The one that changes a [`Fib4`].
#[derive(Debug)]
pub struct Writer4 {
    fib: Arc<Fib4>,
    /// Nodes never used so far begin here.
    fresh: u32,
    /// Places of nodes that may be used again.
    free: Vec<u32>,
    /// Nodes that nothing leads to any more, and that a worker may still be in.
    retired: Vec<u32>,
}

impl Writer4 {
    /// An empty table with room for `nodes` nodes, which take memory once they are used.
    pub fn new(root: Root, nodes: usize) -> Self {
        // A node's place has 31 bits.
        let nodes = nodes.min(NODE as usize >> root.node_bits());
        let fib = Fib4 {
            default: AtomicU32::new(0),
            shift: 32 - root.bits(),
            node_bits: root.node_bits(),
            root: zeroed_slice_box(1 << root.bits()),
            nodes: zeroed_slice_box(nodes << root.node_bits()),
        };
        Self { fib: Arc::new(fib), fresh: 0, free: Vec::new(), retired: Vec::new() }
    }

    /// The table of these layers' routes, the last layer being asked first.
    pub fn of_layers(layers: &[&[(Prefix4, u32)]]) -> Self {
        let count: usize = layers.iter().map(|routes| routes.len()).sum();
        let root = Root::for_routes(count);
        let is_long = |(prefix, _): &&(Prefix4, u32)| u32::from(prefix.length()) > root.bits();
        let long = layers.iter().flat_map(|routes| routes.iter()).filter(is_long).count();
        // Twice what most tables need, so that they can grow; a table that needs more is built again with more.
        let mut nodes = (2 * long).clamp(1 << 10, 1 << 17);
        loop {
            let mut writer = Self::new(root, nodes);
            match writer.fill(layers) {
                Ok(()) => return writer,
                Err(Full { .. }) => nodes *= 2,
            }
        }
    }

    fn fill(&mut self, layers: &[&[(Prefix4, u32)]]) -> Result<(), Full> {
        for (layer, routes) in (0u8..).zip(layers) {
            for (prefix, value) in *routes {
                self.insert(*prefix, layer, *value)?;
            }
        }
        Ok(())
    }

    /// What workers look up in.
    pub fn fib(&self) -> &Arc<Fib4> {
        &self.fib
    }

    /// Lets `prefix` of `layer` (0 to 2; a higher one is asked first) lead to `value` (0 to [`MAX_VALUE`]), where no
    /// route of higher rank does. Replaces a route of the same prefix and layer.
    ///
    /// Each of its addresses has the old value until it has the new one.
    pub fn insert(&mut self, prefix: Prefix4, layer: u8, value: u32) -> Result<(), Full> {
        debug_assert!(value <= MAX_VALUE && layer < LAYERS, "value {value}, layer {layer}");
        let rank = rank(prefix, layer);
        self.change(prefix, &Change { from: 0..=rank, to: rank << VALUE_BITS | value })
    }

    /// Takes `prefix` of `layer` away: its addresses get what `covering` says, the route of next lower rank that
    /// holds all of `prefix` (prefix, layer, value).
    ///
    /// Where routes of lower layers lie within `prefix` their entries are lost: the table must be built anew.
    pub fn remove(
        &mut self,
        prefix: Prefix4,
        layer: u8,
        covering: Option<(Prefix4, u8, u32)>,
    ) -> Result<(), Full> {
        let own = rank(prefix, layer);
        // The default route is found behind entries that hold nothing.
        let covering = covering.filter(|(wider, layer, _)| wider.length() > 0 || *layer > 0);
        let to = covering.map_or(0, |(wider, layer, value)| rank(wider, layer) << VALUE_BITS | value);
        self.change(prefix, &Change { from: own..=own, to })
    }

    /// Nodes that nothing leads to any more. Once every worker has been quiescent, give them to [`Writer4::recycle`].
    pub fn retired(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.retired)
    }

    /// Nodes that no worker can be in any more: they are used again.
    pub fn recycle(&mut self, nodes: Vec<u32>) {
        self.free.extend(nodes);
    }

    /// Nodes in use or not yet recycled.
    pub fn nodes(&self) -> usize {
        (self.fresh as usize >> self.fib.node_bits) - self.free.len()
    }

    fn change(&mut self, prefix: Prefix4, change: &Change) -> Result<(), Full> {
        let fib = Arc::clone(&self.fib);
        if prefix.length() == 0 && *change.from.end() <= RANKS_A_LAYER {
            change.apply(&fib.default);
            return Ok(());
        }
        self.descend(&fib, &fib.root, fib.shift, prefix, change)
    }

    /// Changes the entries of `table`, each of which stands for 2^`shift` addresses, that belong to `prefix`.
    fn descend(
        &mut self,
        fib: &Fib4,
        table: &[AtomicU32],
        shift: u32,
        prefix: Prefix4,
        change: &Change,
    ) -> Result<(), Full> {
        let free_bits = 32 - u32::from(prefix.length());
        let first = (u32::from(prefix.address()) >> shift) as usize & (table.len() - 1);
        if free_bits >= shift {
            let count = 1usize << (free_bits - shift).min(table.len().trailing_zeros());
            for entry in &table[first..first + count] {
                self.cover(fib, entry, change);
            }
            return Ok(());
        }
        let entry = &table[first];
        let old = entry.load(Ordering::Relaxed);
        if old & NODE != 0 {
            self.descend(fib, fib.node(old), shift - fib.node_bits, prefix, change)?;
            self.collapse(fib, entry);
            return Ok(());
        }
        // The node is filled before anything leads to it, so no worker sees it half made.
        let place = self.allocate(fib)?;
        let made = fib.node(place);
        for slot in made {
            slot.store(old, Ordering::Relaxed);
        }
        let result = self.descend(fib, made, shift - fib.node_bits, prefix, change);
        if made.iter().all(|slot| slot.load(Ordering::Relaxed) == old) {
            self.free.push(place);
        } else {
            entry.store(NODE | place, Ordering::Release);
        }
        result
    }

    /// Changes all that is below `entry`.
    fn cover(&mut self, fib: &Fib4, entry: &AtomicU32, change: &Change) {
        let old = entry.load(Ordering::Relaxed);
        if old & NODE == 0 {
            change.apply(entry);
            return;
        }
        for below in fib.node(old) {
            self.cover(fib, below, change);
        }
        self.collapse(fib, entry);
    }

    /// A node whose entries are all one value is not needed: its own entry gets the value.
    fn collapse(&mut self, fib: &Fib4, entry: &AtomicU32) {
        let old = entry.load(Ordering::Relaxed);
        let slots = fib.node(old);
        let value = slots[0].load(Ordering::Relaxed);
        if value & NODE == 0 && slots.iter().all(|slot| slot.load(Ordering::Relaxed) == value) {
            entry.store(value, Ordering::Release);
            self.retired.push(old & !NODE);
        }
    }

    fn allocate(&mut self, fib: &Fib4) -> Result<u32, Full> {
        if let Some(place) = self.free.pop() {
            return Ok(place);
        }
        let place = self.fresh;
        if place as usize >= fib.nodes.len() {
            return Err(Full { nodes: fib.node_count() });
        }
        self.fresh += fib.node_size() as u32;
        Ok(place)
    }
}

/// A change of entries: those whose rank is within `from` become `to`.
struct Change {
    from: core::ops::RangeInclusive<u32>,
    to: u32,
}

impl Change {
    fn apply(&self, entry: &AtomicU32) {
        let old = entry.load(Ordering::Relaxed);
        if self.from.contains(&(old >> VALUE_BITS)) && old != self.to {
            entry.store(self.to, Ordering::Release);
        }
    }
}

/// Prefix lengths 0 to 32, and none below them for entries that hold nothing.
const RANKS_A_LAYER: u32 = 33;

/// 1 to 99: it fits the 7 bits between value and node flag.
fn rank(prefix: Prefix4, layer: u8) -> u32 {
    u32::from(layer) * RANKS_A_LAYER + u32::from(prefix.length()) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn prefix(text: &str) -> Prefix4 {
        let (address, length) = text.split_once('/').expect("a prefix");
        Prefix4::new(address.parse().expect("an address"), length.parse().expect("a length"))
            .expect("a prefix")
    }

    fn look(fib: &Fib4, address: &str) -> u32 {
        fib.lookup(u32::from(address.parse::<Ipv4Addr>().expect("an address")))
    }

    #[test]
    fn longest_prefix_wins_whatever_the_order() {
        let mut routes = vec![
            (prefix("0.0.0.0/0"), 1),
            (prefix("10.0.0.0/8"), 2),
            (prefix("10.1.0.0/16"), 3),
            (prefix("10.1.2.0/24"), 4),
            (prefix("10.1.2.128/25"), 5),
            (prefix("10.1.2.129/32"), 6),
        ];
        for root in [Root::Small, Root::Medium, Root::Large] {
            let mut writer = Writer4::new(root, 16);
            for (prefix, value) in &routes {
                writer.insert(*prefix, 0, *value).expect("room");
            }
            for (address, value) in [
                ("9.9.9.9", 1),
                ("10.9.9.9", 2),
                ("10.1.9.9", 3),
                ("10.1.2.1", 4),
                ("10.1.2.128", 5),
                ("10.1.2.129", 6),
            ] {
                assert_eq!(look(writer.fib(), address), value, "{address}");
            }
            routes.reverse();
        }
    }

    #[test]
    fn an_empty_table_has_no_route() {
        assert_eq!(look(&Fib4::from_routes([]), "192.0.2.1"), 0);
        assert_eq!(look(&Fib4::from_routes([(Prefix4::DEFAULT, 7)]), "192.0.2.1"), 7);
    }

    #[test]
    fn a_layer_covers_longer_prefixes_of_those_below() {
        let main = [(prefix("127.1.2.3/32"), 9), (prefix("10.0.0.1/32"), 8)];
        let local = [(prefix("127.0.0.0/8"), 5)];
        let writer = Writer4::of_layers(&[&main, &local]);
        assert_eq!(look(writer.fib(), "127.1.2.3"), 5);
        assert_eq!(look(writer.fib(), "10.0.0.1"), 8);
    }

    #[test]
    fn a_route_that_says_nothing_hides_the_default() {
        let fib = Fib4::from_routes([(Prefix4::DEFAULT, 7), (prefix("10.0.0.0/8"), 0)]);
        assert_eq!((look(&fib, "10.0.0.1"), look(&fib, "11.0.0.1")), (0, 7));
    }

    #[test]
    fn nodes_are_given_back_when_their_routes_go() {
        let mut writer = Writer4::new(Root::Medium, 2);
        let host = prefix("10.1.2.3/32");
        for round in 0..10 {
            writer.insert(host, 0, 7).expect("two nodes suffice");
            assert_eq!(writer.nodes(), 2, "round {round}");
            assert_eq!(writer.insert(prefix("10.2.2.3/32"), 0, 8), Err(Full { nodes: 2 }));
            writer.remove(host, 0, None).expect("nothing is needed");
            let retired = writer.retired();
            assert_eq!(retired.len(), 2);
            writer.recycle(retired);
            assert_eq!(writer.nodes(), 0);
        }
    }

    /// Prefixes that nest: a few upper bits only.
    fn nested() -> impl Strategy<Value = Prefix4> {
        (any::<u32>(), 0u8..=32).prop_map(|(address, length)| {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            Prefix4::new(Ipv4Addr::from(address & 0x0301_03ff & mask), length).expect("masked")
        })
    }

    /// The definition: of the prefixes that hold the address, the longest.
    fn naive(routes: &BTreeMap<Prefix4, u32>, address: u32) -> Option<(Prefix4, u32)> {
        let holding = routes.iter().filter(|(prefix, _)| prefix.contains(Ipv4Addr::from(address)));
        holding.max_by_key(|(prefix, _)| prefix.length()).map(|(prefix, value)| (*prefix, *value))
    }

    proptest! {
        /// Inserted, replaced and removed in any order, below each root.
        #[test]
        fn agrees_with_a_linear_scan(
            changes in prop::collection::vec((nested(), prop::option::weighted(0.7, 1u32..1000)), 0..80),
            probes in prop::collection::vec((any::<prop::sample::Index>(), 0u32..1024), 64),
            root in prop_oneof![6 => Just(Root::Small), 3 => Just(Root::Medium), 1 => Just(Root::Large)],
        ) {
            let mut writer = Writer4::new(root, 1 << 12);
            let mut routes = BTreeMap::new();
            for (prefix, value) in &changes {
                match value {
                    Some(value) => {
                        routes.insert(*prefix, *value);
                        writer.insert(*prefix, 0, *value).expect("room");
                    }
                    None if routes.remove(prefix).is_some() => {
                        let wider: BTreeMap<_, _> =
                            routes.iter().filter(|(p, _)| p.length() < prefix.length()).map(|(p, v)| (*p, *v)).collect();
                        let covering = naive(&wider, u32::from(prefix.address()));
                        writer.remove(*prefix, 0, covering.map(|(p, v)| (p, 0, v))).expect("room");
                    }
                    None => {}
                }
            }
            let near = probes.iter().filter(|_| !changes.is_empty()).map(|(index, offset)| {
                u32::from(changes[index.index(changes.len())].0.address()).wrapping_add(*offset).wrapping_sub(512)
            });
            for address in near.chain([0, u32::MAX]) {
                let expected = naive(&routes, address).map_or(0, |(_, value)| value);
                prop_assert_eq!(writer.fib().lookup(address), expected, "{}", Ipv4Addr::from(address));
            }
        }
    }
}
