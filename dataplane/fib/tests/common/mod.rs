//! Both families behind one interface, and the definition that they are held to.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    reason = "each test uses a part of it"
)]

use packetwalk_fib::{Fib4, Fib6, Full, LAYERS, Prefix4, Prefix6, Root, Root6, Writer4, Writer6};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// A prefix of either family; the address lies in the lowest bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    pub address: u128,
    pub length: u8,
}

impl Prefix {
    /// The prefix of `length` bits that holds `address`.
    pub fn around<F: Family>(address: u128, length: u8) -> Self {
        let free = u32::from(F::BITS - length);
        Self { address: address.checked_shr(free).unwrap_or(0).checked_shl(free).unwrap_or(0), length }
    }

    /// Its last address.
    pub fn last<F: Family>(self) -> u128 {
        self.address | 1u128.checked_shl(u32::from(F::BITS - self.length)).unwrap_or(0).wrapping_sub(1)
    }

    pub fn contains<F: Family>(self, address: u128) -> bool {
        (self.address..=self.last::<F>()).contains(&address)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}/{}", self.address, self.length)
    }
}

/// An address family's tables.
pub trait Family: 'static {
    const BITS: u8;
    const LAYERS: u8;
    /// Bits of an address that tests set, so that prefixes nest: some at the edges of levels.
    const NESTING: u128;
    const ROOTS: &[Self::Root];
    type Root: Copy + fmt::Debug;
    type Writer;
    type Fib: Send + Sync + 'static;
    fn writer(root: Self::Root, nodes: usize) -> Self::Writer;
    fn fib(writer: &Self::Writer) -> Arc<Self::Fib>;
    fn lookup(fib: &Self::Fib, address: u128) -> u32;
    fn values(fib: &Self::Fib) -> Vec<u32>;
    fn insert(writer: &mut Self::Writer, prefix: Prefix, layer: u8, value: u32) -> Result<(), Full>;
    fn remove(writer: &mut Self::Writer, prefix: Prefix, layer: u8, covering: Covering) -> Result<(), Full>;
    fn retired(writer: &mut Self::Writer) -> Vec<u32>;
    fn recycle(writer: &mut Self::Writer, retired: Vec<u32>);
    /// What is in use.
    fn used(writer: &Self::Writer) -> usize;
}

/// What a route leaves behind: prefix, layer and value of the one of next lower rank.
pub type Covering = Option<(Prefix, u8, u32)>;

pub struct V4;

fn four(prefix: Prefix) -> Prefix4 {
    Prefix4::new(Ipv4Addr::from(prefix.address as u32), prefix.length).expect("masked")
}

impl Family for V4 {
    const BITS: u8 = 32;
    const LAYERS: u8 = LAYERS;
    const NESTING: u128 = 0x0307_13ff;
    const ROOTS: &[Root] = &[Root::Small, Root::Medium, Root::Large];
    type Root = Root;
    type Writer = Writer4;
    type Fib = Fib4;

    fn writer(root: Root, nodes: usize) -> Writer4 {
        Writer4::new(root, nodes)
    }

    fn fib(writer: &Writer4) -> Arc<Fib4> {
        Arc::clone(writer.fib())
    }

    #[inline]
    fn lookup(fib: &Fib4, address: u128) -> u32 {
        fib.lookup(address as u32)
    }

    fn values(fib: &Fib4) -> Vec<u32> {
        fib.values().collect()
    }

    fn insert(writer: &mut Writer4, prefix: Prefix, layer: u8, value: u32) -> Result<(), Full> {
        writer.insert(four(prefix), layer, value)
    }

    fn remove(writer: &mut Writer4, prefix: Prefix, layer: u8, covering: Covering) -> Result<(), Full> {
        writer.remove(four(prefix), layer, covering.map(|(wider, layer, value)| (four(wider), layer, value)))
    }

    fn retired(writer: &mut Writer4) -> Vec<u32> {
        writer.retired()
    }

    fn recycle(writer: &mut Writer4, retired: Vec<u32>) {
        writer.recycle(retired);
    }

    fn used(writer: &Writer4) -> usize {
        writer.nodes()
    }
}

pub struct V6;

fn six(prefix: Prefix) -> Prefix6 {
    Prefix6::new(Ipv6Addr::from(prefix.address), prefix.length).expect("masked")
}

impl Family for V6 {
    const BITS: u8 = 128;
    const LAYERS: u8 = 1;
    const NESTING: u128 = 0x2001_3800_000c_8001_0000_0040_0000_00c3;
    const ROOTS: &[Root6] = &[Root6::Small, Root6::Large];
    type Root = Root6;
    type Writer = Writer6;
    type Fib = Fib6;

    fn writer(root: Root6, nodes: usize) -> Writer6 {
        Writer6::new(root, nodes)
    }

    fn fib(writer: &Writer6) -> Arc<Fib6> {
        Arc::clone(writer.fib())
    }

    #[inline]
    fn lookup(fib: &Fib6, address: u128) -> u32 {
        fib.lookup(address)
    }

    fn values(fib: &Fib6) -> Vec<u32> {
        fib.values().collect()
    }

    fn insert(writer: &mut Writer6, prefix: Prefix, _: u8, value: u32) -> Result<(), Full> {
        writer.insert(six(prefix), value)
    }

    fn remove(writer: &mut Writer6, prefix: Prefix, _: u8, covering: Covering) -> Result<(), Full> {
        writer.remove(six(prefix), covering.map(|(wider, _, value)| (six(wider), value)))
    }

    fn retired(writer: &mut Writer6) -> Vec<u32> {
        writer.retired()
    }

    fn recycle(writer: &mut Writer6, retired: Vec<u32>) {
        writer.recycle(retired);
    }

    fn used(writer: &Writer6) -> usize {
        writer.nodes() + writer.jumps()
    }
}

/// The definition: of the routes that hold an address, the highest layer's, and of those the longest.
#[derive(Default)]
pub struct Naive {
    /// By layer and prefix.
    pub routes: BTreeMap<(u8, Prefix), u32>,
}

impl Naive {
    pub fn answer<F: Family>(&self, address: u128) -> u32 {
        let holding = self.routes.iter().filter(|((_, prefix), _)| prefix.contains::<F>(address));
        holding.max_by_key(|((layer, prefix), _)| (*layer, prefix.length)).map_or(0, |(_, value)| *value)
    }

    /// Of the routes of lower rank, the highest that holds all of `prefix`.
    pub fn covering<F: Family>(&self, layer: u8, prefix: Prefix) -> Covering {
        let wider = |layer: u8, length: u8| {
            let wider = Prefix::around::<F>(prefix.address, length);
            self.routes.get(&(layer, wider)).map(|value| (wider, layer, *value))
        };
        let shorter = (0..prefix.length).rev().find_map(|length| wider(layer, length));
        let below = || {
            (0..layer)
                .rev()
                .find_map(|layer| (0..=prefix.length).rev().find_map(|length| wider(layer, length)))
        };
        shorter.or_else(below)
    }

    /// Whether a lower layer has a route within: then one that goes leaves a table that must be built anew.
    pub fn hides_others<F: Family>(&self, layer: u8, prefix: Prefix) -> bool {
        self.routes.keys().any(|(other, within)| {
            *other < layer && within.length > prefix.length && prefix.contains::<F>(within.address)
        })
    }
}
