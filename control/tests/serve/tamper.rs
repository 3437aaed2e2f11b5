//! Faults put into published tables, as no verb of the product can.

use ipnet::{Ipv4Net, Ipv4Subnets};
use packetwalk_control::live::Live;
use packetwalk_control::state::TableId;
use packetwalk_fib::{Fib4, Prefix4};
use packetwalk_walk::Tables;
use packetwalk_walk::tables::{Adjacency, FibId};

/// Publishes changed tables.
pub(crate) fn tables(live: &mut Live, change: impl FnOnce(&mut Tables)) {
    let mut tables = live.tables().clone();
    change(&mut tables);
    live.replace(tables);
}

/// Changes adjacencies.
pub(crate) fn adjacencies(live: &mut Live, change: impl Fn(&mut Adjacency)) {
    tables(live, |tables| tables.adjacencies.iter_mut().for_each(change));
}

/// What workers find for an address in the FIB that holds table main.
pub(crate) fn value_of(live: &Live, address: [u8; 4]) -> u32 {
    let number = number_of(live, TableId::MAIN);
    live.tables().ipv4.fibs[number].lookup(u32::from_be_bytes(address))
}

/// Gives the addresses of `within` the value `value` in the FIB that holds `table`, and no others.
pub(crate) fn fib(live: &mut Live, table: TableId, within: &str, value: u32) {
    let number = number_of(live, table);
    let within: Ipv4Net = within.parse().expect("a prefix");
    let (from, to) = (u32::from(within.network()), u32::from(within.broadcast()));
    tables(live, |tables| {
        let fib = &tables.ipv4.fibs[number];
        let mut routes = Vec::new();
        let mut next = Some(0);
        while let Some(first) = next {
            let (found, mut last) = (fib.lookup(first), fib.entry_end(first));
            while let Some(next) = last.checked_add(1).filter(|next| fib.lookup(*next) == found) {
                last = fib.entry_end(next);
            }
            // Before, within, and behind.
            for (begin, end, value) in [
                (first, last.min(from.wrapping_sub(1)), found),
                (first.max(from), last.min(to), value),
                (first.max(to.wrapping_add(1)), last, found),
            ] {
                if begin <= end {
                    let prefixes = Ipv4Subnets::new(begin.into(), end.into(), 0);
                    let prefix =
                        |net: Ipv4Net| Prefix4::new(net.network(), net.prefix_len()).expect("a prefix");
                    routes.extend(prefixes.map(|net| (prefix(net), value)));
                }
            }
            next = last.checked_add(1);
        }
        tables.ipv4.fibs[number] = Fib4::from_routes(routes);
    });
}

fn number_of(live: &Live, table: TableId) -> usize {
    (0..live.tables().ipv4.fibs.len())
        .find(|number| live.node().fib_tables(FibId(*number as u16)).contains(&table))
        .expect("a rule names it")
}
