//! One FIB that workers look up in, kept equal to the tables of the RIB that it holds.

use crate::resolve::Hops;
use crate::rib::{Rib, Route, Table};
use crate::state::TableId;
use ipnet::Ipv4Net;
use packetwalk_fib::{Fib4, Full, Prefix4, Root, Writer4};
use packetwalk_walk::tables::HopId;
use std::sync::Arc;

/// A FIB is made smaller once its tables have so many times fewer routes than it is made for.
const ROOMY: usize = 4;

/// A FIB, and the tables in it.
#[derive(Debug)]
pub(super) struct Fib {
    /// The one that is asked first before the others; what it says covers what they say.
    tables: Vec<TableId>,
    writer: Writer4,
    root: Root,
    /// Nothing has been written to it since it was built: it has all that the RIB had then.
    is_new: bool,
    /// It cannot be kept equal in place, and must be built anew.
    is_spoilt: bool,
    /// Nodes that workers may still be in.
    waiting: Vec<u32>,
}

impl Fib {
    /// The FIB of these tables as the RIB has them.
    pub(super) fn build(
        tables: Vec<TableId>,
        rib: &Rib,
        mut hop: impl FnMut(TableId, Ipv4Net, &Arc<Route>) -> HopId,
    ) -> Self {
        let mut routes = |id: TableId| -> Vec<_> {
            let prefixes = rib.table(id).into_iter().flat_map(Table::iter);
            prefixes.map(|(prefix, route)| (written(prefix), hop(id, prefix, route).0)).collect()
        };
        // The last layer is asked first.
        let layers: Vec<_> = tables.iter().rev().map(|table| routes(*table)).collect();
        let layers: Vec<_> = layers.iter().map(Vec::as_slice).collect();
        let root = Root::for_routes(count(&tables, rib));
        let writer = Writer4::of_layers(&layers);
        Self { tables, writer, root, is_new: true, is_spoilt: false, waiting: Vec::new() }
    }

    pub(super) fn tables(&self) -> &[TableId] {
        &self.tables
    }

    pub(super) fn published(&self) -> &Arc<Fib4> {
        self.writer.fib()
    }

    /// Whether it is of the size for its tables.
    pub(super) fn fits(&self, rib: &Rib) -> bool {
        let count = count(&self.tables, rib);
        [count, count.saturating_mul(ROOMY)].into_iter().any(|count| Root::for_routes(count) == self.root)
    }

    /// It has all that the RIB has.
    pub(super) fn settle(&mut self) {
        self.is_new = false;
    }

    pub(super) fn is_spoilt(&self) -> bool {
        self.is_spoilt
    }

    /// Writes these prefixes as the RIB has them.
    pub(super) fn write(&mut self, rib: &Rib, hops: &Hops, prefixes: &[(TableId, Ipv4Net)]) {
        if !self.is_new {
            for (table, prefix) in prefixes {
                let Some(place) = self.tables.iter().position(|own| own == table) else { continue };
                if self.write_one(rib, hops, place, *prefix).is_err() {
                    self.is_spoilt = true;
                }
                if self.is_spoilt {
                    break;
                }
            }
        }
        self.waiting.extend(self.writer.retired());
    }

    fn write_one(&mut self, rib: &Rib, hops: &Hops, place: usize, prefix: Ipv4Net) -> Result<(), Full> {
        let (layer, below) = (self.layer(place), self.tables.get(place + 1..).unwrap_or_default());
        if let Some(route) = self.tables.get(place).and_then(|id| rib.table(*id)?.preferred(prefix)) {
            return self.writer.insert(written(prefix), layer, hops.known(prefix, route).0);
        }
        // What lower layers say of parts of the prefix was covered, and is not in the FIB.
        if below.iter().filter_map(|id| rib.table(*id)).any(|table| table.divides(prefix)) {
            self.is_spoilt = true;
            return Ok(());
        }
        let mut holding = self.tables.iter().enumerate().skip(place).filter_map(|(place, id)| {
            let (prefix, route) = rib.table(*id)?.holding(prefix).next()?;
            Some((written(prefix), self.layer(place), hops.known(prefix, route).0))
        });
        let covering = holding.next();
        drop(holding);
        self.writer.remove(written(prefix), layer, covering)
    }

    /// All workers have been quiescent since the last [`Fib::write`].
    pub(super) fn grace_passed(&mut self) {
        self.writer.recycle(std::mem::take(&mut self.waiting));
    }

    fn layer(&self, place: usize) -> u8 {
        (self.tables.len() - 1 - place) as u8
    }
}

/// How many routes these tables have.
fn count(tables: &[TableId], rib: &Rib) -> usize {
    tables.iter().filter_map(|id| rib.table(*id)).map(Table::len).sum()
}

fn written(prefix: Ipv4Net) -> Prefix4 {
    Prefix4::containing(prefix.addr(), prefix.prefix_len())
}
