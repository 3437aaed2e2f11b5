//! The atomics: loom's when it models, the standard library's else.

#[cfg(loom)]
pub(crate) use loom::{
    sync::Arc,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence},
    thread::yield_now,
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::Arc,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence},
    thread::yield_now,
};
