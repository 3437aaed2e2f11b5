//! Where frames come from and where they go.
//!
//! A driver fills a batch with received frames and is the [`packetwalk_walk::Sink`] that takes them back. Here are the
//! drivers that need no privileges: [`memory`] for tests and benchmarks, [`pcap`] for capture files.

#![forbid(unsafe_code)]

mod discard;
pub mod memory;
pub mod pcap;
mod pool;

pub use discard::Discard;
pub use memory::Memory;
pub use pool::{BUFFER, Buffers, MAX_FRAME, Pool};
