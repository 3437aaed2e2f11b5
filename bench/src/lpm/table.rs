//! The tables that structures are compared on: a node's, and one as long as the Internet's.

use crate::random::Random;
use std::collections::{HashMap, HashSet};

/// A route: a prefix, whose bits lie lowest in `address` whatever the family, and what it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The first address.
    pub(crate) address: u128,
    /// Bits of the prefix.
    pub(crate) length: u8,
    /// 1 to [`HOPS`].
    pub(crate) hop: u32,
}

/// Different hops in a table: the neighbours of a large router, the nodes of a cluster.
pub(crate) const HOPS: usize = 500;

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// 32 bits.
    V4,
    /// 128 bits.
    V6,
}

impl Family {
    /// Bits of an address.
    pub(crate) fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// Bits of an address that a prefix of `length` leaves free.
    pub(crate) fn free(self, length: u8) -> u128 {
        1u128.checked_shl(u32::from(self.bits() - length)).unwrap_or(0).wrapping_sub(1) & self.free_of_all()
    }

    fn free_of_all(self) -> u128 {
        u128::MAX >> (128 - self.bits())
    }
}

/// A table that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// 2,000 blocks of other nodes (/26, as Calico makes them), 250 hosts in the node's own, and a default.
    Ipv4Node,
    /// 1,000,000 prefixes of the lengths that the Internet's have, and a default.
    Ipv4Full,
    /// As the IPv4 one; blocks are /122.
    Ipv6Node,
    /// 200,000 prefixes of the lengths that the Internet's have, and a default.
    Ipv6Full,
}

impl Kind {
    /// Whose addresses.
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Ipv4Node | Self::Ipv4Full => Family::V4,
            Self::Ipv6Node | Self::Ipv6Full => Family::V6,
        }
    }

    /// Its routes, each before those that lie within it; the default is the first.
    pub(crate) fn routes(self) -> Vec<Route> {
        let mut random = Random::new(1);
        let mut prefixes = match self {
            Self::Ipv4Node | Self::Ipv6Node => node(self.family(), &mut random),
            Self::Ipv4Full | Self::Ipv6Full => full(self.family(), &mut random),
        };
        prefixes.insert(0, (0, 0));
        let hop = |random: &mut Random| 1 + random.below(HOPS) as u32;
        prefixes
            .into_iter()
            .map(|(address, length)| Route { address, length, hop: hop(&mut random) })
            .collect()
    }
}

/// 10.128.0.0/14, or a /64 of unique local addresses.
fn node(family: Family, random: &mut Random) -> Vec<(u128, u8)> {
    let (pool, bits) = match family {
        Family::V4 => (0x0a80_0000, 14),
        Family::V6 => (0xfd85_ee78_d8a6_8607_u128 << 64, 64),
    };
    let length = family.bits() - 6;
    let mut blocks = HashSet::new();
    let mut prefixes = Vec::new();
    while prefixes.len() < 2004 {
        let block = pool | wide(random) & family.free(bits) & !family.free(length);
        if blocks.insert(block) {
            prefixes.push((block, length));
        }
    }
    let own: Vec<_> = prefixes.drain(2000..).collect();
    let hosts = own.iter().flat_map(|(block, _)| (1..64).map(move |host| (block | host, family.bits())));
    prefixes.extend(hosts.take(250));
    prefixes
}

/// How many of 1,000 prefixes of a full IPv4 table have each length from 8 to 24, as collectors saw it in 2025: 8 to 15 in tenths.
const LENGTHS4: [(u8, usize); 17] = [
    (8, 160),
    (9, 130),
    (10, 400),
    (11, 1_000),
    (12, 3_000),
    (13, 6_000),
    (14, 12_000),
    (15, 21_000),
    (16, 135_000),
    (17, 84_000),
    (18, 140_000),
    (19, 250_000),
    (20, 440_000),
    (21, 540_000),
    (22, 1_150_000),
    (23, 1_030_000),
    (24, 6_186_310),
];

/// The same of IPv6.
const LENGTHS6: [(u8, usize); 22] = [
    (20, 100),
    (24, 200),
    (28, 600),
    (29, 25_000),
    (30, 5_000),
    (31, 3_000),
    (32, 115_000),
    (33, 15_000),
    (34, 10_000),
    (35, 6_000),
    (36, 40_000),
    (37, 4_000),
    (38, 11_000),
    (39, 6_000),
    (40, 95_000),
    (41, 5_000),
    (42, 21_000),
    (43, 5_000),
    (44, 92_000),
    (45, 16_000),
    (46, 35_000),
    (48, 490_100),
];

/// Prefixes of the Internet's lengths. Half of the IPv4 ones, and four of five IPv6 ones, lie within a shorter one; the others anywhere in the space
/// that is given out.
fn full(family: Family, random: &mut Random) -> Vec<(u128, u8)> {
    let (count, lengths, nested): (usize, &[(u8, usize)], usize) = match family {
        Family::V4 => (1_000_000, &LENGTHS4, 5),
        Family::V6 => (200_000, &LENGTHS6, 8),
    };
    let all: usize = lengths.iter().map(|(_, share)| share).sum();
    let mut prefixes: Vec<(u128, u8)> = Vec::with_capacity(count);
    let mut seen = HashSet::with_capacity(count);
    let mut share_so_far = 0;
    for (length, share) in lengths {
        share_so_far += share;
        let until = count * share_so_far / all;
        let shorter = prefixes.len();
        while prefixes.len() < until {
            let (within, bits) = match shorter {
                1.. if random.below(10) < nested => prefixes[random.below(shorter)],
                _ => given_out(family, random),
            };
            let address = within | wide(random) & family.free(bits) & !family.free(*length);
            if seen.insert((address, *length)) {
                prefixes.push((address, *length));
            }
        }
    }
    prefixes
}

/// A block that registries give out of.
fn given_out(family: Family, random: &mut Random) -> (u128, u8) {
    match family {
        // 1.0.0.0 to 223.255.255.255, but what the node and its pods have addresses of, and 127.
        Family::V4 => loop {
            let first = 1 + random.below(223) as u128;
            if ![10, 127, 172].contains(&first) {
                return (first << 24, 8);
            }
        },
        Family::V6 => {
            let blocks: [(u128, u8); 6] =
                [(0x2001, 16), (0x2400, 12), (0x2600, 12), (0x2800, 12), (0x2a00, 12), (0x2c00, 12)];
            let (first, bits) = blocks[random.below(blocks.len())];
            (first << 112, bits)
        }
    }
}

/// 128 bits.
pub(crate) fn wide(random: &mut Random) -> u128 {
    u128::from(random.bits()) << 64 | u128::from(random.bits())
}

/// Of each route the next shorter one that holds it: what its addresses get when it goes.
pub(crate) struct Covering(HashMap<(u128, u8), Route>);

impl Covering {
    /// Of a table.
    pub(crate) fn new(routes: &[Route]) -> Self {
        Self(routes.iter().map(|route| ((route.address, route.length), *route)).collect())
    }

    /// The route that is left where `route` goes.
    pub(crate) fn of(&self, family: Family, route: Route) -> Option<Route> {
        let wider = |length| self.0.get(&(route.address & !family.free(length), length));
        (0..route.length).rev().find_map(wider).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn tables_have_the_routes_that_they_are_said_to_have() {
        for (kind, count) in Kind::value_variants().iter().zip([2251, 1_000_001, 2251, 200_001]) {
            let routes = kind.routes();
            let different: HashSet<_> = routes.iter().map(|route| (route.address, route.length)).collect();
            assert_eq!((routes.len(), different.len()), (count, count), "{kind:?}");
            let masked = routes.iter().all(|route| route.address & kind.family().free(route.length) == 0);
            assert!(masked && routes.is_sorted_by_key(|route| route.length), "{kind:?}");
        }
    }
}
