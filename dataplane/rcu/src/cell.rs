//! What control and one worker share, and what all share.

use crate::sync::{Arc, AtomicU64};

/// In a worker's cell: it holds no reference.
pub(crate) const OFFLINE: u64 = 0;

/// The epoch. Control writes it; workers read it once a batch.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Epoch(pub(crate) AtomicU64);

/// A worker's cell, on cache lines of its own (two: adjacent lines are fetched together). Its worker writes it,
/// control reads it.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Cell {
    /// The epoch that the worker has seen, or [`OFFLINE`].
    pub(crate) seen: AtomicU64,
    /// The worker's name, for whoever asks who is stalled.
    pub(crate) name: String,
}

/// The epoch before anything was retired. Never [`OFFLINE`].
pub(crate) const FIRST: u64 = 1;

pub(crate) fn epoch() -> Arc<Epoch> {
    Arc::new(Epoch(AtomicU64::new(FIRST)))
}
