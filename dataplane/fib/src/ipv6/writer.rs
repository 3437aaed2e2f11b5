//! The one that changes an IPv6 table.

use super::{Fib6, JUMP, NODE, NODE_BITS, NODE_SIZE, NUMBER, Root6};
use crate::entry::{self, Change, Full, MAX_VALUE};
use crate::prefix::Prefix6;
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

/// The one that changes a [`Fib6`].
#[derive(Debug)]
pub struct Writer6 {
    fib: Arc<Fib6>,
    nodes: Pool,
    jumps: Pool,
    /// Entries that nothing holds any more, and by which a worker may still have come in.
    retired: Vec<u32>,
}

impl Writer6 {
    /// An empty table with room for `nodes` nodes (and as many jumps), which take memory once they are used.
    pub fn new(root: Root6, nodes: usize) -> Self {
        let nodes = nodes.min(NUMBER as usize + 1);
        let fib = Arc::new(Fib6::empty(root, nodes));
        Self { fib, nodes: Pool::new(nodes), jumps: Pool::new(nodes), retired: Vec::new() }
    }

    /// The table of `routes`, the last of equal prefixes winning.
    pub fn of_routes(routes: &[(Prefix6, u32)]) -> Self {
        let root = Root6::for_routes(routes.len());
        // A route makes two nodes at most, one where it ends and one where it leaves another's way, and most make less than
        // one: so there is room to grow.
        let mut nodes = (2 * routes.len()).clamp(FEW, 1 << 17);
        loop {
            let mut writer = Self::new(root, nodes);
            match routes.iter().try_for_each(|(prefix, value)| writer.insert(*prefix, *value)) {
                Ok(()) => return writer,
                Err(Full { .. }) => nodes *= 2,
            }
        }
    }

    /// What workers look up in.
    pub fn fib(&self) -> &Arc<Fib6> {
        &self.fib
    }

    /// Lets `prefix` lead to `value` (0 to [`MAX_VALUE`]), where no longer prefix says otherwise. Replaces a route of the same prefix.
    ///
    /// Each of its addresses has the old value until it has the new one; if the table is full, all keep the old one.
    ///
    /// # Panics
    /// If `value` is too large: workers would take it for something else.
    pub fn insert(&mut self, prefix: Prefix6, value: u32) -> Result<(), Full> {
        let rank = rank(prefix);
        self.change(prefix, &Change { from: 0..=rank, to: entry_of(rank, value) })
    }

    /// Takes `prefix` away: its addresses get what `covering` says, the longest of the shorter prefixes that hold it, and its value.
    ///
    /// It can be full here, too: what the routes of a block say is one entry while it is the same for all, and many when
    /// the first one goes.
    ///
    /// # Panics
    /// As [`Writer6::insert`].
    pub fn remove(&mut self, prefix: Prefix6, covering: Option<(Prefix6, u32)>) -> Result<(), Full> {
        let own = rank(prefix);
        // The default route is found behind entries that hold nothing.
        let covering = covering.filter(|(wider, _)| wider.length() > 0);
        let to = covering.map_or(0, |(wider, value)| entry_of(rank(wider), value));
        self.change(prefix, &Change { from: own..=own, to })
    }

    /// What nothing leads to any more. Once every worker has been quiescent, give it to [`Writer6::recycle`].
    #[must_use = "what is not recycled is lost"]
    pub fn retired(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.retired)
    }

    /// What, from [`Writer6::retired`] of this writer, no worker can be in any more: it is used again.
    pub fn recycle(&mut self, retired: Vec<u32>) {
        for entry in retired {
            let pool = if entry >= JUMP { &mut self.jumps } else { &mut self.nodes };
            pool.free.push(entry & NUMBER);
        }
    }

    /// Nodes in use or not yet recycled.
    pub fn nodes(&self) -> usize {
        self.nodes.used()
    }

    /// Jumps in use or not yet recycled.
    pub fn jumps(&self) -> usize {
        self.jumps.used()
    }

    fn change(&mut self, prefix: Prefix6, change: &Change) -> Result<(), Full> {
        let fib = Arc::clone(&self.fib);
        if prefix.length() == 0 {
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
        fib: &Fib6,
        table: &[AtomicU32],
        shift: u32,
        prefix: Prefix6,
        change: &Change,
    ) -> Result<(), Full> {
        let free_bits = 128 - u32::from(prefix.length());
        let address = u128::from(prefix.address());
        let first = (address >> shift) as usize & (table.len() - 1);
        if free_bits >= shift {
            let count = 1usize << (free_bits - shift).min(table.len().trailing_zeros());
            for (offset, entry) in (0u128..).zip(&table[first..first + count]) {
                self.cover(fib, entry, shift, address + (offset << shift), change);
            }
            return Ok(());
        }
        let entry = &table[first];
        let old = entry.load(Ordering::Relaxed);
        let base = address >> shift << shift;
        if old >= JUMP {
            let jump = fib.jump(old);
            let agrees = jump.agrees(address);
            if agrees && free_bits < jump.shift() {
                self.descend(fib, fib.node(jump.node()), jump.shift() - NODE_BITS, prefix, change)?;
                self.tidy(fib, entry, shift, base);
                return Ok(());
            }
            if change.of(jump.miss()) != jump.miss() {
                let apart = if agrees { free_bits } else { (address ^ jump.key()).ilog2() };
                self.split(fib, entry, shift, level(apart))?;
                return self.descend(fib, table, shift, prefix, change);
            }
            if agrees {
                // All that is within the prefix, but not behind the jump, stays as it is.
                self.cover_node(fib, jump.node(), jump.shift(), jump.key(), change);
                self.tidy(fib, entry, shift, base);
            }
            return Ok(());
        }
        if old >= NODE {
            self.descend(fib, fib.node(old), shift - NODE_BITS, prefix, change)?;
            self.tidy(fib, entry, shift, base);
            return Ok(());
        }
        if change.of(old) == old {
            return Ok(());
        }
        let depth = level(free_bits);
        let node = self.filled_node(fib, old)?;
        let led = self.lead(fib, shift, address, depth, node, old);
        let Ok(leading) = led else {
            // Nothing has led to it, so it is free at once.
            self.nodes.free.push(node & NUMBER);
            return led.map(|_| ());
        };
        // The node is of the level at which the prefix ends, so this needs no other.
        self.descend(fib, fib.node(node), depth - NODE_BITS, prefix, change)?;
        // Release: no worker sees it half filled.
        entry.store(leading, Ordering::Release);
        Ok(())
    }

    /// Puts a node of `depth` before the jump that `entry` leads to. No address gets another value.
    fn split(&mut self, fib: &Fib6, entry: &AtomicU32, shift: u32, depth: u32) -> Result<(), Full> {
        let old = entry.load(Ordering::Relaxed);
        let jump = fib.jump(old);
        let node = self.filled_node(fib, jump.miss())?;
        let below = self.lead(fib, depth - NODE_BITS, jump.key(), jump.shift(), jump.node(), jump.miss());
        let above = self.lead(fib, shift, jump.key(), depth, node, jump.miss());
        let (Ok(below), Ok(above)) = (below, above) else {
            self.nodes.free.push(node & NUMBER);
            let unused = [below, above].into_iter().flatten().filter(|entry| *entry >= JUMP);
            self.jumps.free.extend(unused.map(|entry| entry & NUMBER));
            return Err(self.full());
        };
        let slot = (jump.key() >> (depth - NODE_BITS)) as usize & (NODE_SIZE - 1);
        fib.node(node)[slot].store(below, Ordering::Relaxed);
        entry.store(above, Ordering::Release);
        self.retired.push(old);
        Ok(())
    }

    /// Changes all that is below `entry`, which stands for 2^`shift` addresses from `base` on.
    fn cover(&mut self, fib: &Fib6, entry: &AtomicU32, shift: u32, base: u128, change: &Change) {
        let old = entry.load(Ordering::Relaxed);
        if old >= JUMP {
            let jump = fib.jump(old);
            let miss = jump.miss();
            if change.of(miss) != miss {
                jump.set_miss(change.to);
            }
            self.cover_node(fib, jump.node(), jump.shift(), jump.key(), change);
        } else if old >= NODE {
            self.cover_node(fib, old, shift, base, change);
        } else {
            change.apply(entry);
            return;
        }
        self.tidy(fib, entry, shift, base);
    }

    /// Changes all that is below a node of `depth`, that of `address`.
    fn cover_node(&mut self, fib: &Fib6, node: u32, depth: u32, address: u128, change: &Change) {
        let (base, shift) = (address >> depth << depth, depth - NODE_BITS);
        for (index, slot) in (0u128..).zip(fib.node(node)) {
            self.cover(fib, slot, shift, base + (index << shift), change);
        }
    }

    /// Takes out the node that `entry` (of 2^`shift` addresses from `base` on) leads to, at once or by a jump, if it is not needed: all its entries
    /// are one value, or all but one that leads further. So a table is of one shape, however its routes came.
    fn tidy(&mut self, fib: &Fib6, entry: &AtomicU32, shift: u32, base: u128) {
        let old = entry.load(Ordering::Relaxed);
        let (depth, address, node, miss) = if old >= JUMP {
            let jump = fib.jump(old);
            (jump.shift(), jump.key(), jump.node(), Some(jump.miss()))
        } else {
            (shift, base, old, None)
        };
        let slots = fib.node(node);
        let load = |slot: &AtomicU32| slot.load(Ordering::Relaxed);
        let (first, second) = (load(&slots[0]), load(&slots[1]));
        let common = if first < NODE { first } else { second };
        let mut others = slots.iter().map(load).enumerate().filter(|(_, slot)| *slot != common);
        let (other, more) = (others.next(), others.next());
        if common >= NODE || more.is_some() || miss.is_some_and(|miss| miss != common) {
            return;
        }
        let new = match other {
            None => common,
            Some((_, slot)) if slot >= JUMP && fib.jump(slot).miss() == common => slot,
            Some((index, slot)) if (NODE..JUMP).contains(&slot) => {
                let below = depth - NODE_BITS;
                let address = address >> depth << depth | (index as u128) << below;
                match self.lead(fib, shift, address, below, slot, common) {
                    Ok(leading) => leading,
                    // It may stay as well.
                    Err(Full { .. }) => return,
                }
            }
            Some(_) => return,
        };
        entry.store(new, Ordering::Release);
        // Not free yet: a worker may have come in before.
        self.retired.push(node);
        if old >= JUMP {
            self.retired.push(old);
        }
    }

    /// An entry, of 2^`shift` addresses, that leads to `node` of `depth`, that of `address`; all other addresses have `miss`.
    fn lead(
        &mut self,
        fib: &Fib6,
        shift: u32,
        address: u128,
        depth: u32,
        node: u32,
        miss: u32,
    ) -> Result<u32, Full> {
        if depth == shift {
            return Ok(node);
        }
        let entry = JUMP | self.jumps.take().ok_or(self.full())?;
        fib.jump(entry).fill(address, depth, node, miss);
        Ok(entry)
    }

    /// The entry of a new node that says the same of all addresses.
    fn filled_node(&mut self, fib: &Fib6, value: u32) -> Result<u32, Full> {
        let entry = NODE | self.nodes.take().ok_or(self.full())?;
        for slot in fib.node(entry) {
            slot.store(value, Ordering::Relaxed);
        }
        Ok(entry)
    }

    fn full(&self) -> Full {
        Full { nodes: self.nodes.room as usize }
    }
}

/// Numbers of nodes or jumps that are not used.
#[derive(Debug)]
struct Pool {
    room: u32,
    /// How many, of the last, were never used.
    fresh: u32,
    /// Those that may be used again.
    free: Vec<u32>,
}

impl Pool {
    fn new(room: usize) -> Self {
        Self { room: room as u32, fresh: room as u32, free: Vec::new() }
    }

    fn take(&mut self) -> Option<u32> {
        if let Some(number) = self.free.pop() {
            return Some(number);
        }
        self.fresh = self.fresh.checked_sub(1)?;
        Some(self.room - self.fresh - 1)
    }

    fn used(&self) -> usize {
        (self.room as usize).saturating_sub(self.fresh as usize + self.free.len())
    }
}

/// Nodes that the smallest table has room for: 16 KiB.
const FEW: usize = 64;

/// The depth of the nodes whose entries tell addresses apart by bit `bit`: how many bits lie below it, a multiple of 6.
fn level(bit: u32) -> u32 {
    bit / NODE_BITS * NODE_BITS + NODE_BITS
}

/// 1 to 129: it fits the 8 bits above a value, and stays below [`NODE`].
fn rank(prefix: Prefix6) -> u32 {
    u32::from(prefix.length()) + 1
}

fn entry_of(rank: u32, value: u32) -> u32 {
    assert!(value <= MAX_VALUE, "value {value}, expected at most {MAX_VALUE}");
    entry::entry(rank, value)
}
