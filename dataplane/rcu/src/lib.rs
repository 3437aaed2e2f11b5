//! Quiescent-state reclamation: workers read what control publishes with plain loads, and control frees what no
//! worker can still read.
//!
//! One [`Control`] publishes and frees. Each worker has a [`Reader`]. Between two calls of [`Reader::quiescent`] (once
//! a batch) the references that a reader has loaded stay valid; the borrow checker holds it to that, since
//! `quiescent` wants the reader exclusively. Before it blocks a worker goes [offline](Reader::offline), so that nobody waits for
//! a sleeper.
//!
//! # What is paid where
//!
//! | who | when | what |
//! |---|---|---|
//! | worker | each load of a published pointer | one acquire load |
//! | worker | each batch | one acquire load, one release store to a cache line of its own |
//! | worker | coming back from offline | one sequentially consistent fence |
//! | control | each grace period | one fence, and a look at every worker's cell |
//!
//! # Why it is right
//!
//! Write E for the global epoch, C for a worker's cell, P for the published pointer.
//!
//! *An online worker.* Control stores the new pointer to P, then raises E to `e` with release order. A worker whose cell
//! shows `e` or more loaded E with acquire order and saw that raise; so the store to P happened before whatever
//! the worker loads from P afterwards, and it cannot load the old pointer again. What it had loaded before it was done with
//! before it stored to C with release order; control loads C with acquire order before it frees. So every use of the old pointer happened
//! before the free.
//!
//! *A worker that goes offline* stores OFFLINE to C with release order after its last use, and control's acquire load
//! of C orders the free after it, by the same argument.
//!
//! *A worker that comes online* stores to C and then loads P, while control stores to P and then loads C. Both sides put a sequentially
//! consistent fence between their two steps, so they cannot both miss the other's store: either control sees the worker online and
//! waits for it, or the worker sees the new pointer. The store to C has release order as well: control may see it instead of
//! OFFLINE, and must be ordered after what the worker used before it went offline all the same.
//!
//! The models in `tests/loom.rs` let loom try every interleaving of these.

mod cell;
mod control;
mod reader;
mod sync;

pub use control::{Control, Grace, Published, Stalled};
pub use reader::{Offline, Reader};
