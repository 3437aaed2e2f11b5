//! Longest-prefix-match structures that packet workers read.
//!
//! A table maps an address to a `u32` value that the walk understands (a hop). Value 0 means "no route".
//! Control decides which prefix wins and writes it; this crate only answers fast.

#![forbid(unsafe_code)]

mod default_route;
mod entry;
mod ipv4;
mod ipv6;
mod prefix;

pub use entry::{Full, MAX_VALUE};
pub use ipv4::{Fib4, LAYERS, Root, Writer4};
pub use ipv6::{Fib6, Root6, Writer6};
pub use prefix::{Prefix4, Prefix6, PrefixError};
