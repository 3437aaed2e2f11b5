//! The walk against its contract: docs/conformance names the requirement that each test is called after. Expected bytes come
//! from RFCs, the design and what Linux was measured to send, and are built by etherparse, not by the walk's own codec.
//!
//! One program, so that its common part is compiled once; `allocations` needs an allocator of its own and is another.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a test that cannot go on has failed
#![allow(missing_docs, unreachable_pub)] // nobody imports a test

mod common;

mod accounting;
mod arp;
mod bridge;
mod ethernet;
mod fragments;
mod ipip;
mod ipv4_header;
mod rules_ecmp;
mod ttl_mtu_icmp;
mod vxlan;
