//! The longest prefix of every address, by going through sorted prefixes once. Shares nothing with the tables that it judges.

use ipnet::Ipv4Net;

/// Addresses that have the same: the first of them, and which route they have.
pub(super) type Run<T> = (u32, Option<T>);

/// The runs of one table. Its routes are sorted by first address, the shorter of two prefixes first; no prefix is there
/// twice. A run names its route by place.
pub(super) fn runs<T>(routes: &[(Ipv4Net, T)]) -> Vec<Run<u32>> {
    let mut runs = Runs(vec![(0, None)]);
    // The prefixes that hold the place where we are: last address and route, the longest at the end.
    let mut holding: Vec<(u32, u32)> = Vec::new();
    for (route, (prefix, _)) in (0u32..).zip(routes) {
        let (first, last) = (u32::from(prefix.network()), u32::from(prefix.broadcast()));
        runs.leave(&mut holding, |end| end < first);
        runs.begin(first, Some(route));
        holding.push((last, route));
    }
    runs.leave(&mut holding, |_| true);
    runs.0
}

struct Runs(Vec<Run<u32>>);

impl Runs {
    fn begin(&mut self, first: u32, route: Option<u32>) {
        match self.0.last_mut() {
            Some((begun, of)) if *begun == first => *of = route,
            Some((_, of)) if *of == route => {}
            _ => self.0.push((first, route)),
        }
    }

    /// Goes behind those prefixes that are over.
    fn leave(&mut self, holding: &mut Vec<(u32, u32)>, is_over: impl Fn(u32) -> bool) {
        while let Some((end, _)) = holding.pop_if(|(end, _)| is_over(*end)) {
            if let Some(next) = end.checked_add(1) {
                self.begin(next, holding.last().map(|(_, route)| *route));
            }
        }
    }
}

/// Runs of tables that are asked one after the other: the first in which an address has a route that counts decides. A
/// run names its table and route by places.
pub(super) fn layered<'a>(
    layers: &'a [&'a [Run<u32>]],
    counts: impl Fn(usize, u32) -> bool + 'a,
) -> impl Iterator<Item = Run<(usize, u32)>> + 'a {
    let mut places = vec![0; layers.len()];
    let mut at = Some(0);
    std::iter::from_fn(move || {
        let first = at?;
        let mut decided = None;
        let mut next: Option<u32> = None;
        for (layer, (runs, place)) in layers.iter().zip(&mut places).enumerate() {
            while runs.get(*place + 1).is_some_and(|(begins, _)| *begins <= first) {
                *place += 1;
            }
            if let Some((begins, _)) = runs.get(*place + 1) {
                next = Some(next.map_or(*begins, |next| next.min(*begins)));
            }
            let route = runs.get(*place).and_then(|(_, route)| *route);
            decided = decided.or(route.filter(|route| counts(layer, *route)).map(|route| (layer, route)));
        }
        at = next;
        Some((first, decided))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    /// Prefixes that nest often, at both ends of the addresses, too.
    fn prefixes() -> impl Strategy<Value = BTreeSet<Ipv4Net>> {
        let base = prop_oneof![Just(0u32), Just(0x0a00_0000), Just(0xffff_0000)];
        let prefix = (base, 0u32..0x1_0000, 0u8..=32).prop_map(|(base, low, length)| {
            Ipv4Net::new(Ipv4Addr::from(base | low), length).expect("a length up to 32").trunc()
        });
        prop::collection::btree_set(prefix, 0..40)
    }

    fn sorted(prefixes: &BTreeSet<Ipv4Net>) -> Vec<(Ipv4Net, ())> {
        let mut routes: Vec<_> = prefixes.iter().map(|prefix| (*prefix, ())).collect();
        routes.sort_by_key(|(prefix, ())| (prefix.network(), prefix.prefix_len()));
        routes
    }

    fn longest(routes: &[(Ipv4Net, ())], address: u32) -> Option<u32> {
        let holding =
            (0u32..).zip(routes).filter(|(_, (prefix, ()))| prefix.contains(&Ipv4Addr::from(address)));
        holding.max_by_key(|(_, (prefix, ()))| prefix.prefix_len()).map(|(place, _)| place)
    }

    proptest! {
        #[test]
        fn every_address_has_its_longest_prefix(a in prefixes(), b in prefixes(), probes in prop::collection::vec(any::<u32>(), 8)) {
            let layers = [sorted(&a), sorted(&b)];
            let swept = layers.each_ref().map(|routes| runs(routes));
            // Every third route is passed over.
            let counts = |_: usize, route: u32| !route.is_multiple_of(3);
            let slices = swept.each_ref().map(Vec::as_slice);
            let both: Vec<_> = layered(&slices, counts).collect();
            let edges = layers.iter().flatten().flat_map(|(prefix, ())| {
                let (first, last) = (u32::from(prefix.network()), u32::from(prefix.broadcast()));
                [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
            });
            for address in edges.chain(probes) {
                for (routes, runs) in layers.iter().zip(&swept) {
                    let place = runs.partition_point(|(first, _)| *first <= address) - 1;
                    prop_assert_eq!(runs[place].1, longest(routes, address));
                }
                let place = both.partition_point(|(first, _)| *first <= address) - 1;
                let decided = (0..2).find_map(|layer| {
                    let route = longest(&layers[layer], address).filter(|route| counts(layer, *route))?;
                    Some((layer, route))
                });
                prop_assert_eq!(both[place].1, decided);
            }
            prop_assert!(both.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
