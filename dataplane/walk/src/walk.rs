use crate::{Batch, Instant, Observer, Sink, Tables, Unobserved, Worker};

/// x
pub fn walk<'f, S: Sink<'f>>(tables: &Tables, worker: &mut Worker, now: Instant, batch: &mut Batch<'f>, sink: &mut S) {
    walk_observed(tables, worker, now, batch, sink, &mut Unobserved);
}
/// x
pub fn walk_observed<'f, S: Sink<'f>, O: Observer>(_tables: &Tables, _worker: &mut Worker, _now: Instant, _batch: &mut Batch<'f>, _sink: &mut S, _observer: &mut O) {
}
