//! The walk against its contract, a file an area. Each test is named after what is required; expected bytes come from RFCs,
//! the design and what Linux was measured to send, and are built by etherparse, not by the walk's own codec.
//!
//! One program, so that its common part is compiled once; `allocations` needs an allocator of its own and is another.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a test that cannot go on has failed
#![allow(missing_docs, unreachable_pub)] // nobody imports a test

mod common;

mod accounting;
mod arp;
mod bridge;
mod bursts;
mod ethernet;
mod fragments;
mod hostile;
mod ipip;
mod ipv4_header;
mod observer;
mod rules_ecmp;
mod ttl_mtu_icmp;
mod vxlan;
