//! The packet walk: what happens to a frame between receive and transmit.
//!
//! [`walk`] is one function, called by AF_XDP workers, by replay, by `explain`, by tests, fuzzers and
//! benchmarks alike. It does no I/O, takes no lock, makes no allocation, reads no clock and contains no `unsafe`:
//! frames come in a [`Batch`], tables are only read, time is an argument, what must be remembered is in the
//! [`Worker`], and frames leave through a [`Sink`].
//!
//! Every received frame has exactly one [`Outcome`], counted by name:
//! received = forwarded + answered + punted + dropped.

#![forbid(unsafe_code)]

pub mod counters;
pub mod ecn;
pub mod flow;
mod frame;
pub mod observer;
pub mod outcome;
mod sink;
mod stage;
pub mod tables;
mod time;
mod walk;
pub mod wire;
mod worker;

pub use frame::{BATCH, Batch, Frame, HEADROOM};
pub use observer::{Event, Observer, Unobserved};
pub use outcome::{DropReason, Outcome, PuntReason, Severity};
pub use sink::{Sink, Transmitted};
pub use tables::Tables;
pub use time::{Instant, TokenBucket};
pub use walk::{walk, walk_observed};
pub use worker::{IcmpRate, Settings, Worker};
