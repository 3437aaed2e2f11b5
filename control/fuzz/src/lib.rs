//! What the fuzz targets share: the node that the walk's tests stand on, and how an input is read as frames.

#![forbid(unsafe_code)]
#![allow(dead_code)] // the tests use more of their node than the targets do

#[path = "../../../dataplane/walk/tests/walk/common/mod.rs"]
pub mod common;
pub mod frames;
