//! The structures that are compared, behind one interface: ours, DIR-24-8, and the crates of the field.

use super::dir24_8::Dir24;
use super::table::{Family, Route};
use ip_network_table_deps_treebitmap::IpLookupTable;
use iptrie::{Ipv4LCTrieMap, Ipv4Prefix, Ipv4RTrieMap, Ipv6LCTrieMap, Ipv6Prefix, Ipv6RTrieMap};
use packetwalk_fib::{Prefix4, Prefix6, Writer4, Writer6};
use packetwalk_walk::BATCH;
use poptrie::Poptrie;
use prefix_trie::PrefixMap;
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A structure that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Structure {
    /// `packetwalk-fib`.
    Packetwalk,
    /// DIR-24-8.
    #[value(name = "dir-24-8")]
    Dir24,
    /// Crate poptrie: a trie of 6 bits a level, compressed by population counts.
    Poptrie,
    /// Crate `ip_network_table-deps-treebitmap`: Eatherton's tree bitmap.
    #[value(name = "treebitmap")]
    TreeBitmap,
    /// Crate iptrie: an LC-trie, which cannot be changed.
    #[value(name = "iptrie-lc")]
    LcTrie,
    /// Crate prefix-trie.
    PrefixTrie,
}

/// A table in one of the structures.
pub(crate) trait Table {
    /// Looks all of `addresses` up, in batches, and returns the ticks that it took.
    fn look_up(&self, addresses: &Addresses) -> u64;
    /// The hops of `addresses`, 0 where there is none.
    fn hops(&self, addresses: &Addresses) -> Vec<u32>;
    /// Takes a route away, and puts it back. `covering` is the next shorter one that holds it.
    /// False if the structure cannot be changed.
    fn change(&mut self, route: Route, covering: Option<Route>) -> bool;
}

/// Addresses of one family.
pub(crate) enum Addresses {
    /// IPv4.
    V4(Vec<u32>),
    /// IPv6.
    V6(Vec<u128>),
}

impl Addresses {
    /// Of numbers.
    pub(crate) fn new(family: Family, addresses: &[u128]) -> Self {
        match family {
            Family::V4 => Self::V4(addresses.iter().map(|address| *address as u32).collect()),
            Family::V6 => Self::V6(addresses.to_vec()),
        }
    }
}

impl Structure {
    /// Its name in cases.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Packetwalk => "packetwalk",
            Self::Dir24 => "dir-24-8",
            Self::Poptrie => "poptrie",
            Self::TreeBitmap => "treebitmap",
            Self::LcTrie => "iptrie-lc",
            Self::PrefixTrie => "prefix-trie",
        }
    }

    /// The table of `routes`, sorted by length. None if the structure cannot hold it.
    pub(crate) fn table(self, family: Family, routes: &[Route]) -> Option<Box<dyn Table>> {
        Some(match (self, family) {
            (Self::Packetwalk, Family::V4) => Box::new(Four(ours4(routes))),
            (Self::Packetwalk, Family::V6) => Box::new(Six(ours6(routes))),
            (Self::Dir24, Family::V4) => Box::new(Four(Dir24::new(routes)?)),
            (Self::Dir24, Family::V6) => return None,
            (Self::Poptrie, Family::V4) => Box::new(Four(poptrie4(routes))),
            (Self::Poptrie, Family::V6) => Box::new(Six(poptrie6(routes))),
            (Self::TreeBitmap, Family::V4) => Box::new(Four(tree_bitmap4(routes))),
            (Self::TreeBitmap, Family::V6) => Box::new(Six(tree_bitmap6(routes))),
            (Self::LcTrie, Family::V4) => Box::new(Four(lc_trie4(routes))),
            (Self::LcTrie, Family::V6) => Box::new(Six(lc_trie6(routes))),
            (Self::PrefixTrie, Family::V4) => Box::new(Four(prefix_trie4(routes))),
            (Self::PrefixTrie, Family::V6) => Box::new(Six(prefix_trie6(routes))),
        })
    }
}

/// One lookup, and a change, of a structure with addresses of type `A`.
trait Lookup<A> {
    fn lookup(&self, address: A) -> u32;
    fn change(&mut self, route: Route, covering: Option<Route>) -> bool;
}

/// Looks up in batches as the walk does, and leaves a batch's hops where the next ones will be: all that is timed,
/// and all whose instructions are counted.
#[inline(never)]
fn look_up_batches<A: Copy>(table: &impl Lookup<A>, addresses: &[A]) {
    let mut hops = [0; BATCH];
    for batch in addresses.chunks(BATCH) {
        for (hop, address) in hops.iter_mut().zip(batch) {
            *hop = table.lookup(*address);
        }
        black_box(&mut hops);
    }
}

fn timed<A: Copy>(table: &impl Lookup<A>, addresses: &[A]) -> u64 {
    let before = crate::clock::ticks();
    look_up_batches(table, addresses);
    crate::clock::ticks() - before
}

struct Four<T>(T);
struct Six<T>(T);

impl<T: Lookup<u32>> Table for Four<T> {
    fn look_up(&self, addresses: &Addresses) -> u64 {
        let Addresses::V4(addresses) = addresses else { return 0 };
        timed(&self.0, addresses)
    }

    fn hops(&self, addresses: &Addresses) -> Vec<u32> {
        let Addresses::V4(addresses) = addresses else { return Vec::new() };
        addresses.iter().map(|address| self.0.lookup(*address)).collect()
    }

    fn change(&mut self, route: Route, covering: Option<Route>) -> bool {
        self.0.change(route, covering)
    }
}

impl<T: Lookup<u128>> Table for Six<T> {
    fn look_up(&self, addresses: &Addresses) -> u64 {
        let Addresses::V6(addresses) = addresses else { return 0 };
        timed(&self.0, addresses)
    }

    fn hops(&self, addresses: &Addresses) -> Vec<u32> {
        let Addresses::V6(addresses) = addresses else { return Vec::new() };
        addresses.iter().map(|address| self.0.lookup(*address)).collect()
    }

    fn change(&mut self, route: Route, covering: Option<Route>) -> bool {
        self.0.change(route, covering)
    }
}

fn prefix4(route: Route) -> Prefix4 {
    Prefix4::new(Ipv4Addr::from(route.address as u32), route.length).unwrap_or(Prefix4::DEFAULT)
}

fn prefix6(route: Route) -> Prefix6 {
    Prefix6::new(Ipv6Addr::from(route.address), route.length).unwrap_or(Prefix6::DEFAULT)
}

fn ours4(routes: &[Route]) -> Writer4 {
    let routes: Vec<_> = routes.iter().map(|route| (prefix4(*route), route.hop)).collect();
    Writer4::of_layers(&[&routes])
}

impl Lookup<u32> for Writer4 {
    #[inline]
    fn lookup(&self, address: u32) -> u32 {
        self.fib().lookup(address)
    }

    fn change(&mut self, route: Route, covering: Option<Route>) -> bool {
        let covering = covering.map(|wider| (prefix4(wider), 0, wider.hop));
        let changed = self.remove(prefix4(route), 0, covering).is_ok()
            && self.insert(prefix4(route), 0, route.hop).is_ok();
        let retired = self.retired();
        self.recycle(retired);
        changed
    }
}

fn ours6(routes: &[Route]) -> Writer6 {
    let routes: Vec<_> = routes.iter().map(|route| (prefix6(*route), route.hop)).collect();
    Writer6::of_routes(&routes)
}

impl Lookup<u128> for Writer6 {
    #[inline]
    fn lookup(&self, address: u128) -> u32 {
        self.fib().lookup(address)
    }

    fn change(&mut self, route: Route, covering: Option<Route>) -> bool {
        let covering = covering.map(|wider| (prefix6(wider), wider.hop));
        let changed =
            self.remove(prefix6(route), covering).is_ok() && self.insert(prefix6(route), route.hop).is_ok();
        let retired = self.retired();
        self.recycle(retired);
        changed
    }
}

impl Lookup<u32> for Dir24 {
    #[inline]
    fn lookup(&self, address: u32) -> u32 {
        Self::lookup(self, address)
    }

    fn change(&mut self, _: Route, _: Option<Route>) -> bool {
        false
    }
}

fn poptrie4(routes: &[Route]) -> Poptrie<(u32, u8), u32> {
    routes.iter().map(|route| ((route.address as u32, route.length), route.hop)).collect()
}

impl Lookup<u32> for Poptrie<(u32, u8), u32> {
    #[inline]
    fn lookup(&self, address: u32) -> u32 {
        Self::lookup(self, address).copied().unwrap_or(0)
    }

    fn change(&mut self, route: Route, _: Option<Route>) -> bool {
        let prefix = (route.address as u32, route.length);
        self.remove(prefix).is_some() && self.insert(prefix, route.hop).is_none()
    }
}

fn poptrie6(routes: &[Route]) -> Poptrie<(u128, u8), u32> {
    routes.iter().map(|route| ((route.address, route.length), route.hop)).collect()
}

impl Lookup<u128> for Poptrie<(u128, u8), u32> {
    #[inline]
    fn lookup(&self, address: u128) -> u32 {
        Self::lookup(self, address).copied().unwrap_or(0)
    }

    fn change(&mut self, route: Route, _: Option<Route>) -> bool {
        let prefix = (route.address, route.length);
        self.remove(prefix).is_some() && self.insert(prefix, route.hop).is_none()
    }
}

fn tree_bitmap4(routes: &[Route]) -> IpLookupTable<Ipv4Addr, u32> {
    let mut table = IpLookupTable::with_capacity(routes.len());
    for route in routes {
        table.insert(Ipv4Addr::from(route.address as u32), u32::from(route.length), route.hop);
    }
    table
}

impl Lookup<u32> for IpLookupTable<Ipv4Addr, u32> {
    #[inline]
    fn lookup(&self, address: u32) -> u32 {
        self.longest_match(Ipv4Addr::from(address)).map_or(0, |(_, _, hop)| *hop)
    }

    fn change(&mut self, route: Route, _: Option<Route>) -> bool {
        let (address, length) = (Ipv4Addr::from(route.address as u32), u32::from(route.length));
        self.remove(address, length).is_some() && self.insert(address, length, route.hop).is_none()
    }
}

fn tree_bitmap6(routes: &[Route]) -> IpLookupTable<Ipv6Addr, u32> {
    let mut table = IpLookupTable::with_capacity(routes.len());
    for route in routes {
        table.insert(Ipv6Addr::from(route.address), u32::from(route.length), route.hop);
    }
    table
}

impl Lookup<u128> for IpLookupTable<Ipv6Addr, u32> {
    #[inline]
    fn lookup(&self, address: u128) -> u32 {
        self.longest_match(Ipv6Addr::from(address)).map_or(0, |(_, _, hop)| *hop)
    }

    fn change(&mut self, route: Route, _: Option<Route>) -> bool {
        let (address, length) = (Ipv6Addr::from(route.address), u32::from(route.length));
        self.remove(address, length).is_some() && self.insert(address, length, route.hop).is_none()
    }
}

fn lc_trie4(routes: &[Route]) -> Ipv4LCTrieMap<u32> {
    let mut trie = Ipv4RTrieMap::with_root_and_capacity(0, routes.len());
    for route in routes {
        if let Ok(prefix) = Ipv4Prefix::new(Ipv4Addr::from(route.address as u32), route.length) {
            trie.insert(prefix, route.hop);
        }
    }
    trie.compress()
}

impl Lookup<u32> for Ipv4LCTrieMap<u32> {
    #[inline]
    fn lookup(&self, address: u32) -> u32 {
        *Self::lookup(self, &Ipv4Addr::from(address)).1
    }

    fn change(&mut self, _: Route, _: Option<Route>) -> bool {
        false
    }
}

fn lc_trie6(routes: &[Route]) -> Ipv6LCTrieMap<u32> {
    let mut trie = Ipv6RTrieMap::with_root_and_capacity(0, routes.len());
    for route in routes {
        if let Ok(prefix) = Ipv6Prefix::new(Ipv6Addr::from(route.address), route.length) {
            trie.insert(prefix, route.hop);
        }
    }
    trie.compress()
}

impl Lookup<u128> for Ipv6LCTrieMap<u32> {
    #[inline]
    fn lookup(&self, address: u128) -> u32 {
        *Self::lookup(self, &Ipv6Addr::from(address)).1
    }

    fn change(&mut self, _: Route, _: Option<Route>) -> bool {
        false
    }
}

fn prefix_trie4(routes: &[Route]) -> PrefixMap<(u32, u8), u32> {
    routes.iter().map(|route| ((route.address as u32, route.length), route.hop)).collect()
}

impl Lookup<u32> for PrefixMap<(u32, u8), u32> {
    #[inline]
    fn lookup(&self, address: u32) -> u32 {
        self.get_lpm(&(address, 32)).map_or(0, |(_, hop)| *hop)
    }

    fn change(&mut self, route: Route, _: Option<Route>) -> bool {
        let prefix = (route.address as u32, route.length);
        self.remove(&prefix).is_some() && self.insert(prefix, route.hop).is_none()
    }
}

fn prefix_trie6(routes: &[Route]) -> PrefixMap<(u128, u8), u32> {
    routes.iter().map(|route| ((route.address, route.length), route.hop)).collect()
}

impl Lookup<u128> for PrefixMap<(u128, u8), u32> {
    #[inline]
    fn lookup(&self, address: u128) -> u32 {
        self.get_lpm(&(address, 128)).map_or(0, |(_, hop)| *hop)
    }

    fn change(&mut self, route: Route, _: Option<Route>) -> bool {
        let prefix = (route.address, route.length);
        self.remove(&prefix).is_some() && self.insert(prefix, route.hop).is_none()
    }
}
