//! IPv4 longest-prefix match: a leaf-pushed trie with strides 16, 8 and 8.
//!
//! An address is found in one to three dependent loads. A table that holds no prefix longer than /16 is one
//! node of 256 KiB; each /16 that is divided further costs 1 KiB, each /24 another. The empty table holds
//! nothing but a default, so hundreds of small policy tables are cheap.

use core::fmt;
use core::net::Ipv4Addr;

/// The largest value that a table can hold. 0 means "no route".
pub const MAX_VALUE: u32 = CHILD - 1;

/// Set in an entry that points to a child node instead of holding a value.
const CHILD: u32 = 1 << 31;
const ROOT_BITS: u8 = 16;
const CHILD_SIZE: usize = 256;

/// An IPv4 prefix whose host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix4 {
    address: u32,
    length: u8,
}

/// Why an address and a length are no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// The length is above 32.
    Length(u8),
    /// Bits beyond the length are set.
    HostBits(Ipv4Addr, u8),
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "prefix length {length}, expected 0 to 32"),
            Self::HostBits(address, length) => write!(f, "{address}/{length} has bits set beyond its length"),
        }
    }
}

impl std::error::Error for PrefixError {}

impl Prefix4 {
    /// The prefix that holds every address.
    pub const DEFAULT: Self = Self { address: 0, length: 0 };

    /// A prefix of `length` bits (0 to 32); `address` must have no bit set beyond them.
    pub fn new(address: Ipv4Addr, length: u8) -> Result<Self, PrefixError> {
        if length > 32 {
            return Err(PrefixError::Length(length));
        }
        let prefix = Self { address: u32::from(address), length };
        if prefix.address & !prefix.mask() != 0 {
            return Err(PrefixError::HostBits(address, length));
        }
        Ok(prefix)
    }

    /// The /32 of one address.
    pub fn host(address: Ipv4Addr) -> Self {
        Self { address: u32::from(address), length: 32 }
    }

    /// The first address.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::from(self.address)
    }

    /// Its length in bits, 0 to 32.
    pub fn length(self) -> u8 {
        self.length
    }

    /// The netmask, host byte order.
    pub fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.length)).unwrap_or(0)
    }

    /// Whether `address` lies within.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (u32::from(address) ^ self.address) & self.mask() == 0
    }
}

impl fmt::Display for Prefix4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.length)
    }
}

impl fmt::Debug for Prefix4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One table. Entries are values, or `CHILD | node` where the address space is divided further.
#[derive(Clone, Debug, Default)]
pub struct Fib4 {
    /// What a default route says, while nothing else is held.
    default: u32,
    /// 65,536 entries, or none while only a default is held.
    root: Vec<u32>,
    nodes: Vec<[u32; CHILD_SIZE]>,
    /// Nodes that a shorter prefix has painted over.
    free: Vec<u32>,
}

impl Fib4 {
    /// A table that holds no route.
    pub fn new() -> Self {
        Self::default()
    }

    /// A table of `routes`, the longest prefix winning; of equal prefixes, the last.
    pub fn from_routes(routes: impl IntoIterator<Item = (Prefix4, u32)>) -> Self {
        let mut routes: Vec<_> = routes.into_iter().collect();
        routes.sort_by_key(|(prefix, _)| prefix.length());
        let mut fib = Self::new();
        for (prefix, value) in routes {
            fib.paint(prefix, value);
        }
        fib
    }

    /// Gives every address of `prefix` the value `value` (0 to [`MAX_VALUE`]), whatever it had before.
    ///
    /// Painting in ascending order of length yields longest-prefix match. Painting a second table over a first
    /// yields what Linux does when it looks the second up first: its shortest route beats the first one's longest.
    pub fn paint(&mut self, prefix: Prefix4, value: u32) {
        debug_assert!(value <= MAX_VALUE, "value {value} does not fit an entry");
        if prefix.length() == 0 {
            *self = Self { default: value, ..Self::default() };
            return;
        }
        if self.root.is_empty() {
            self.root = vec![self.default; 1 << ROOT_BITS];
        }
        let address = prefix.address;
        let first = (address >> 16) as usize;
        if prefix.length() <= 16 {
            for index in first..first + (1 << (16 - prefix.length())) {
                let old = core::mem::replace(&mut self.root[index], value);
                self.release(old);
            }
            return;
        }
        let middle = self.child(Slot::Root(first));
        let first = (address >> 8 & 0xff) as usize;
        if prefix.length() <= 24 {
            for index in first..first + (1 << (24 - prefix.length())) {
                let old = core::mem::replace(&mut self.nodes[middle as usize][index], value);
                self.release(old);
            }
            return;
        }
        let last = self.child(Slot::Node(middle, first));
        let first = (address & 0xff) as usize;
        self.nodes[last as usize][first..first + (1 << (32 - prefix.length()))].fill(value);
    }

    /// The value of the longest prefix that holds `address` (host byte order), or 0.
    #[inline]
    pub fn lookup(&self, address: u32) -> u32 {
        let Some(&entry) = self.root.get((address >> 16) as usize) else { return self.default };
        if entry & CHILD == 0 {
            return entry;
        }
        let entry = self.nodes[(entry & !CHILD) as usize][(address >> 8 & 0xff) as usize];
        if entry & CHILD == 0 {
            return entry;
        }
        self.nodes[(entry & !CHILD) as usize][(address & 0xff) as usize]
    }

    /// Every value that a lookup can return, some more than once.
    pub fn values(&self) -> impl Iterator<Item = u32> {
        let entries = self.root.iter().chain(self.nodes.iter().flatten());
        entries.copied().filter(|entry| entry & CHILD == 0).chain([self.default])
    }

    /// Bytes of memory that the table holds.
    pub fn memory(&self) -> usize {
        size_of_val(self.root.as_slice()) + size_of_val(self.nodes.as_slice())
    }

    /// The node below `slot`, made from the value that stood there if there was none.
    fn child(&mut self, slot: Slot) -> u32 {
        let entry = *self.slot(slot);
        if entry & CHILD != 0 {
            return entry & !CHILD;
        }
        let node = if let Some(node) = self.free.pop() {
            self.nodes[node as usize] = [entry; CHILD_SIZE];
            node
        } else {
            self.nodes.push([entry; CHILD_SIZE]);
            self.nodes.len() as u32 - 1
        };
        *self.slot(slot) = CHILD | node;
        node
    }

    fn slot(&mut self, slot: Slot) -> &mut u32 {
        match slot {
            Slot::Root(index) => &mut self.root[index],
            Slot::Node(node, index) => &mut self.nodes[node as usize][index],
        }
    }

    /// Takes back the nodes below an entry that was painted over.
    fn release(&mut self, entry: u32) {
        if entry & CHILD == 0 {
            return;
        }
        let node = entry & !CHILD;
        self.free.push(node);
        for index in 0..CHILD_SIZE {
            self.release(self.nodes[node as usize][index]);
        }
    }
}

/// Where an entry stands.
#[derive(Clone, Copy)]
enum Slot {
    Root(usize),
    Node(u32, usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str) -> Prefix4 {
        let (address, length) = text.split_once('/').expect("a prefix");
        Prefix4::new(address.parse().expect("an address"), length.parse().expect("a length"))
            .expect("a prefix")
    }

    fn look(fib: &Fib4, address: &str) -> u32 {
        fib.lookup(u32::from(address.parse::<Ipv4Addr>().expect("an address")))
    }

    #[test]
    fn longest_prefix_wins_whatever_the_order() {
        let mut routes = vec![
            (prefix("0.0.0.0/0"), 1),
            (prefix("10.0.0.0/8"), 2),
            (prefix("10.1.0.0/16"), 3),
            (prefix("10.1.2.0/24"), 4),
            (prefix("10.1.2.128/25"), 5),
            (prefix("10.1.2.129/32"), 6),
        ];
        for _ in 0..2 {
            let fib = Fib4::from_routes(routes.clone());
            for (address, value) in [
                ("9.9.9.9", 1),
                ("10.9.9.9", 2),
                ("10.1.9.9", 3),
                ("10.1.2.1", 4),
                ("10.1.2.128", 5),
                ("10.1.2.129", 6),
            ] {
                assert_eq!(look(&fib, address), value, "{address}");
            }
            routes.reverse();
        }
    }

    #[test]
    fn an_empty_table_has_no_route_and_a_default_costs_no_memory() {
        assert_eq!(look(&Fib4::new(), "192.0.2.1"), 0);
        let fib = Fib4::from_routes([(Prefix4::DEFAULT, 7)]);
        assert_eq!(look(&fib, "192.0.2.1"), 7);
        assert_eq!(fib.memory(), 0);
    }

    #[test]
    fn a_shorter_prefix_painted_later_covers_longer_ones() {
        let mut fib = Fib4::from_routes([(prefix("127.1.2.3/32"), 9)]);
        fib.paint(prefix("127.0.0.0/8"), 5);
        assert_eq!(look(&fib, "127.1.2.3"), 5);
        let nodes = fib.nodes.len();
        fib.paint(prefix("127.1.2.3/32"), 9);
        assert_eq!(fib.nodes.len(), nodes, "painted-over nodes are used again");
    }

    #[test]
    fn host_bits_and_long_lengths_are_refused() {
        let address = Ipv4Addr::new(10, 0, 0, 1);
        assert_eq!(Prefix4::new(address, 24), Err(PrefixError::HostBits(address, 24)));
        assert_eq!(Prefix4::new(address, 33), Err(PrefixError::Length(33)));
    }

    proptest! {
        /// Against the definition: of the prefixes that hold the address, the longest.
        #[test]
        fn agrees_with_a_linear_scan(
            routes in prop::collection::vec((any::<u32>(), 0u8..=32, 1u32..1000), 0..60),
            near in prop::collection::vec((any::<prop::sample::Index>(), 0u32..1024), 64),
            far in prop::collection::vec(any::<u32>(), 16),
        ) {
            let routes: Vec<(Prefix4, u32)> = routes
                .into_iter()
                // A few upper bits only, so that prefixes nest.
                .map(|(address, length, value)| {
                    let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                    (Prefix4 { address: address & 0x0301_03ff & mask, length }, value)
                })
                .collect();
            let fib = Fib4::from_routes(routes.clone());
            let near = near.iter().filter(|_| !routes.is_empty()).map(|(index, offset)| {
                routes[index.index(routes.len())].0.address.wrapping_add(*offset).wrapping_sub(512)
            });
            for address in near.chain(far) {
                let mut best: Option<(u8, u32)> = None;
                for (prefix, value) in &routes {
                    if prefix.contains(Ipv4Addr::from(address)) && best.is_none_or(|(length, _)| prefix.length >= length) {
                        best = Some((prefix.length, *value));
                    }
                }
                prop_assert_eq!(fib.lookup(address), best.map_or(0, |(_, value)| value), "{:#x}", address);
            }
        }
    }
}
