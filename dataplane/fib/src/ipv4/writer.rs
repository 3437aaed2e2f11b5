//! The one that changes an IPv4 table.

use super::{Fib4, LAYERS, NODE, PLACE, Root};
use crate::entry::{self, Change, Full, MAX_VALUE};
use crate::prefix::Prefix4;
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

/// The one that changes a [`Fib4`].
#[derive(Debug)]
pub struct Writer4 {
    fib: Arc<Fib4>,
    /// Nodes never used so far: how many of the last.
    fresh: usize,
    /// Places of nodes that may be used again.
    free: Vec<u32>,
    /// Nodes that nothing leads to any more, and that a worker may still be in.
    retired: Vec<u32>,
}

impl Writer4 {
    /// An empty table with room for `nodes` nodes, which take memory once they are used.
    pub fn new(root: Root, nodes: usize) -> Self {
        let nodes = nodes.min(root.most_nodes());
        Self { fib: Arc::new(Fib4::empty(root, nodes)), fresh: nodes, free: Vec::new(), retired: Vec::new() }
    }

    /// The table of these layers' routes, the last layer being asked first.
    pub fn of_layers(layers: &[&[(Prefix4, u32)]]) -> Self {
        let count: usize = layers.iter().map(|routes| routes.len()).sum();
        let root = Root::for_routes(count);
        let is_long = |(prefix, _): &&(Prefix4, u32)| u32::from(prefix.length()) > root.bits();
        let long = layers.iter().flat_map(|routes| routes.iter()).filter(is_long).count();
        // Twice what most tables need, so that they can grow; a table that needs more is built again with more.
        let mut nodes = (2 * long).clamp(FEW, 1 << 17);
        loop {
            let mut writer = Self::new(root, nodes);
            match writer.fill(layers) {
                Ok(()) => return writer,
                // It ends: no table needs more than `Root::most_nodes`.
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
    /// Each of its addresses has the old value until it has the new one; if the table is full, all keep the old one.
    ///
    /// # Panics
    /// If there is no such layer, or `value` is too large: workers would take it for something else.
    pub fn insert(&mut self, prefix: Prefix4, layer: u8, value: u32) -> Result<(), Full> {
        let rank = rank(prefix, layer);
        self.change(prefix, layer, &Change { from: 0..=rank, to: entry_of(rank, value) })
    }

    /// Takes `prefix` of `layer` away: its addresses get what `covering` says, the route of next lower rank that
    /// holds all of `prefix` (prefix, layer, value).
    ///
    /// Where routes of lower layers lie within `prefix` their entries are lost: the table must be built anew. It can be full here,
    /// too: what the routes of a block say is one entry while it is the same for all, and many when the first one goes.
    ///
    /// # Panics
    /// As [`Writer4::insert`].
    pub fn remove(
        &mut self,
        prefix: Prefix4,
        layer: u8,
        covering: Option<(Prefix4, u8, u32)>,
    ) -> Result<(), Full> {
        let own = rank(prefix, layer);
        // The default route is found behind entries that hold nothing.
        let covering = covering.filter(|(wider, layer, _)| wider.length() > 0 || *layer > 0);
        let to = covering.map_or(0, |(wider, layer, value)| entry_of(rank(wider, layer), value));
        self.change(prefix, layer, &Change { from: own..=own, to })
    }

    /// Nodes that nothing leads to any more. Once every worker has been quiescent, give them to [`Writer4::recycle`].
    #[must_use = "nodes that are not recycled are lost"]
    pub fn retired(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.retired)
    }

    /// Nodes, from [`Writer4::retired`] of this writer, that no worker can be in any more: they are used again.
    pub fn recycle(&mut self, nodes: Vec<u32>) {
        self.free.extend(nodes);
    }

    /// Nodes in use or not yet recycled.
    pub fn nodes(&self) -> usize {
        self.fib.node_count().saturating_sub(self.fresh + self.free.len())
    }

    fn change(&mut self, prefix: Prefix4, layer: u8, change: &Change) -> Result<(), Full> {
        let fib = Arc::clone(&self.fib);
        if prefix.length() == 0 && layer == 0 {
            let old = fib.default.entry();
            if change.of(old) != old {
                fib.default.replace(change.to);
            }
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
        let below = shift - fib.node_bits;
        if old & NODE != 0 {
            self.descend(fib, fib.node(old), below, prefix, change)?;
            self.collapse(fib, entry);
            return Ok(());
        }
        if change.of(old) == old {
            return Ok(());
        }
        let place = self.allocate(fib)?;
        let made = fib.node(place);
        for slot in made {
            slot.store(old, Ordering::Relaxed);
        }
        if let Err(full) = self.descend(fib, made, below, prefix, change) {
            // Nothing has led to it, so it is free at once.
            self.free.push(place);
            return Err(full);
        }
        // Release: no worker sees it half filled.
        entry.store(NODE | place, Ordering::Release);
        Ok(())
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
            // Not free yet: a worker may have come in before.
            self.retired.push(old & !NODE);
        }
    }

    fn allocate(&mut self, fib: &Fib4) -> Result<u32, Full> {
        if let Some(place) = self.free.pop() {
            return Ok(place);
        }
        let full = Full { nodes: fib.node_count() };
        self.fresh = self.fresh.checked_sub(1).ok_or(full)?;
        let number = fib.node_count() - self.fresh - 1;
        Ok((number * fib.node_size() / PLACE) as u32)
    }
}

/// Nodes that the smallest table has room for: 16 KiB.
const FEW: usize = 64;

/// Prefix lengths 0 to 32, and none below them for entries that hold nothing.
const RANKS_A_LAYER: u32 = 33;

/// 1 to 99: it fits the 7 bits between value and node flag.
fn rank(prefix: Prefix4, layer: u8) -> u32 {
    assert!(layer < LAYERS, "layer {layer}, expected 0 to {}", LAYERS - 1);
    u32::from(layer) * RANKS_A_LAYER + u32::from(prefix.length()) + 1
}

fn entry_of(rank: u32, value: u32) -> u32 {
    assert!(value <= MAX_VALUE, "value {value}, expected at most {MAX_VALUE}");
    entry::entry(rank, value)
}

const _: () = assert!(Root::Small.most_nodes() * (64 / PLACE) <= NODE as usize);
const _: () = assert!(Root::Medium.most_nodes() * (64 / PLACE) <= NODE as usize);
const _: () = assert!(Root::Large.most_nodes() * (256 / PLACE) <= NODE as usize);

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

    #[test]
    fn values_are_those_that_a_lookup_can_return() {
        let mut writer = Writer4::new(Root::Small, 16);
        let wide = prefix("10.0.0.0/8");
        writer.insert(Prefix4::DEFAULT, 0, 1).expect("room");
        writer.insert(wide, 0, 7).expect("room");
        writer.insert(prefix("10.1.2.3/32"), 0, 9).expect("room");
        assert!([1, 7, 9].iter().all(|value| writer.fib().values().any(|found| found == *value)));
        writer.remove(prefix("10.1.2.3/32"), 0, Some((wide, 0, 7))).expect("room");
        writer.insert(wide, 0, 8).expect("room");
        let retired = writer.retired();
        assert!(!writer.fib().values().any(|value| value == 7), "a node waits for the workers and says 7");
        writer.recycle(retired);
        assert!(!writer.fib().values().any(|value| value == 7), "a node is free and says 7");
    }

    #[test]
    fn what_changes_nothing_needs_no_node() {
        let mut writer = Writer4::new(Root::Small, 3);
        writer.insert(prefix("10.1.2.3/32"), 0, 9).expect("room for one route");
        writer.insert(prefix("127.0.0.0/8"), 1, 5).expect("no node is needed");
        // Hidden by the upper layer, or never there: neither the arrival nor the going is seen by anybody.
        assert_eq!(writer.insert(prefix("127.1.2.3/32"), 0, 6), Ok(()));
        assert_eq!(writer.remove(prefix("127.1.2.3/32"), 0, None), Ok(()));
        assert_eq!(writer.remove(prefix("192.0.2.1/32"), 0, None), Ok(()));
        assert_eq!(writer.insert(prefix("192.0.2.1/32"), 0, 6), Err(Full { nodes: 3 }));
        assert_eq!((look(writer.fib(), "192.0.2.1"), look(writer.fib(), "127.1.2.3")), (0, 5));
    }

    #[test]
    #[should_panic(expected = "value 16777216")]
    fn a_value_that_fits_no_entry_is_refused() {
        let _ = Writer4::new(Root::Small, 3).insert(Prefix4::DEFAULT, 0, MAX_VALUE + 1);
    }

    #[test]
    #[should_panic(expected = "layer 3")]
    fn a_layer_that_does_not_exist_is_refused() {
        let _ = Writer4::new(Root::Small, 3).remove(Prefix4::DEFAULT, LAYERS, None);
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
                // All that the entry speaks for has the value: no route begins or ends within.
                let end = writer.fib().entry_end(address);
                prop_assert!(end >= address);
                let edges = routes.keys().flat_map(|prefix| {
                    let first = u32::from(prefix.address());
                    [first, first | !prefix.mask()]
                });
                for inside in edges.filter(|edge| (address..=end).contains(edge)).chain([end]) {
                    prop_assert_eq!(naive(&routes, inside).map_or(0, |(_, value)| value), expected);
                }
            }
        }
    }
}
