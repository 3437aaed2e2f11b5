//! DIR-24-8 (Gupta, Lin and others, INFOCOM 1998), plain: 2^24 entries of 16 bits, and 256 more for each /24 that is divided. It is built once;
//! what it would need to be changed in place is what ours adds to it.

use super::table::Route;

/// Set in an entry that leads to a block of 256; the others are hops.
const BLOCK: u16 = 1 << 15;

/// The table.
pub(crate) struct Dir24 {
    first: Vec<u16>,
    blocks: Vec<u16>,
}

impl Dir24 {
    /// Of routes sorted by length. None if they divide more than 32,768 /24s: it cannot number them.
    pub(crate) fn new(routes: &[Route]) -> Option<Self> {
        let mut table = Self { first: vec![0; 1 << 24], blocks: Vec::new() };
        for route in routes {
            let start = (route.address >> 8) as usize;
            if route.length <= 24 {
                table.first[start..start + (1 << (24 - route.length))].fill(route.hop as u16);
                continue;
            }
            let entry = &mut table.first[start];
            if *entry & BLOCK == 0 {
                let number = table.blocks.len() >> 8;
                table.blocks.resize((number + 1) << 8, *entry);
                *entry = BLOCK | u16::try_from(number).ok().filter(|number| *number < BLOCK)?;
            }
            let host = usize::from(*entry & !BLOCK) << 8 | (route.address & 0xff) as usize;
            table.blocks[host..host + (1 << (32 - route.length))].fill(route.hop as u16);
        }
        Some(table)
    }

    /// The hop of an address.
    #[inline]
    pub(crate) fn lookup(&self, address: u32) -> u32 {
        let entry = self.first[(address >> 8) as usize];
        if entry & BLOCK == 0 {
            return u32::from(entry);
        }
        u32::from(self.blocks[usize::from(entry & !BLOCK) << 8 | (address & 0xff) as usize])
    }
}
