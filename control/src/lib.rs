//! The control side of packetwalk: the state of a node, what it is configured to, and what is made of both.

#![forbid(unsafe_code)]

pub mod config;
pub mod state;
