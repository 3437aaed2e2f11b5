//! The binary `packetwalk`.

#![forbid(unsafe_code)]

fn main() {}
