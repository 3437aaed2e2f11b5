//! Captures compared: frames sent against frames expected, but for the fields that are free.
//!
//! Written without the walk's own codec, so that a fault of it cannot hide itself here.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of this module")]

mod capture;
mod compare;
mod describe;
mod free;
mod layers;
pub(crate) mod privileged;
mod state;

pub(crate) use capture::{Frame, read};
pub(crate) use compare::Comparison;
pub(crate) use state::own_addresses;
