//! Tables after any sequence of changes, against the definition.
#![allow(missing_docs, clippy::expect_used, reason = "a test")]

mod common;

use common::{Family, Naive, Prefix, V4, V6};
use packetwalk_fib::Full;
use proptest::prelude::*;
use proptest::sample::Index;

/// Something to do with a table.
#[derive(Clone, Debug)]
enum Step {
    /// Few different values, so that neighbours are often equal and nodes collapse.
    Insert(Prefix, u8, u32),
    /// One of the routes that are there.
    Remove(Index),
    /// No worker is there: all nodes that were retired are free.
    Recycle,
}

fn prefix<F: Family>() -> impl Strategy<Value = Prefix> {
    let address = prop_oneof![
        // Within one small block, or all over the place.
        3 => any::<u128>().prop_map(|address| address & F::NESTING & 0xff),
        7 => any::<u128>().prop_map(|address| address & F::NESTING),
    ];
    let length = prop_oneof![1 => Just(F::BITS), 1 => F::BITS - 8..=F::BITS, 4 => 0..=F::BITS];
    (address, length).prop_map(|(address, length)| Prefix::around::<F>(address, length))
}

fn step<F: Family>() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prefix::<F>(), 0..F::LAYERS, 0u32..5).prop_map(|(prefix, layer, value)| Step::Insert(prefix, layer, value)),
        4 => any::<Index>().prop_map(Step::Remove),
        1 => Just(Step::Recycle),
    ]
}

/// Addresses at the edges of a prefix, and some within it.
fn probes<F: Family>(prefix: Prefix, salt: u128) -> [u128; 6] {
    let (first, last) = (prefix.address, prefix.last::<F>());
    let all = Prefix { address: 0, length: 0 }.last::<F>();
    let within = |salt: u128| first + (salt & (last - first));
    let nested = within(salt & F::NESTING);
    [first, last, first.wrapping_sub(1) & all, last.wrapping_add(1) & all, within(salt), nested]
}

struct Table<F: Family> {
    writer: F::Writer,
    naive: Naive,
    room: usize,
}

impl<F: Family> Table<F> {
    fn new(root: F::Root, room: usize) -> Self {
        Self { writer: F::writer(root, room), naive: Naive::default(), room }
    }

    /// Takes a step, and says which prefix it was about.
    fn take(&mut self, step: &Step) -> Option<Prefix> {
        match step {
            Step::Insert(prefix, layer, value) => {
                let result = F::insert(&mut self.writer, *prefix, *layer, *value);
                if self.done(result) {
                    self.naive.routes.insert((*layer, *prefix), *value);
                }
                Some(*prefix)
            }
            Step::Remove(index) if !self.naive.routes.is_empty() => {
                let number = index.index(self.naive.routes.len());
                let (layer, prefix) = *self.naive.routes.keys().nth(number)?;
                if !self.naive.hides_others::<F>(layer, prefix) {
                    self.remove(layer, prefix);
                }
                Some(prefix)
            }
            Step::Remove(_) => None,
            Step::Recycle => {
                self.recycle();
                None
            }
        }
    }

    fn remove(&mut self, layer: u8, prefix: Prefix) -> bool {
        let covering = self.naive.covering::<F>(layer, prefix);
        let result = F::remove(&mut self.writer, prefix, layer, covering);
        let done = self.done(result);
        if done {
            self.naive.routes.remove(&(layer, prefix));
        }
        done
    }

    /// Whether a change was made. One for which there was no room must have changed nothing, and the table be really full.
    fn done(&self, result: Result<(), Full>) -> bool {
        if let Err(full) = result {
            assert_eq!(full.nodes, self.room);
            let most = self.room * 2;
            assert!(
                F::used(&self.writer) + usize::from(F::BITS) / 6 + 2 >= self.room
                    && F::used(&self.writer) <= most
            );
        }
        result.is_ok()
    }

    fn recycle(&mut self) {
        let retired = F::retired(&mut self.writer);
        F::recycle(&mut self.writer, retired);
    }
}

fn agrees<F: Family>(root: F::Root, room: usize, steps: &[Step], salt: u128) -> Result<(), TestCaseError> {
    let mut table = Table::<F>::new(root, room);
    let fib = F::fib(&table.writer);
    let mut seen = Vec::new();
    for step in steps {
        let Some(prefix) = table.take(step) else { continue };
        seen.extend(probes::<F>(prefix, salt));
        for address in probes::<F>(prefix, salt.rotate_left(17)) {
            let (found, expected) = (F::lookup(&fib, address), table.naive.answer::<F>(address));
            prop_assert_eq!(found, expected, "{:x} after {:?}", address, step);
        }
    }
    let values = F::values(&fib);
    for address in seen {
        let (found, expected) = (F::lookup(&fib, address), table.naive.answer::<F>(address));
        prop_assert_eq!(found, expected, "{:x} in the end", address);
        prop_assert!(values.contains(&found), "{found} is one of the values");
    }
    for value in values.iter().filter(|value| **value != 0) {
        let of_a_route = table.naive.routes.values().any(|known| known == value);
        prop_assert!(of_a_route, "{value} is no route's");
    }
    // When all routes have gone, nothing is left of them.
    while let Some((layer, prefix)) = table.naive.routes.keys().next().copied() {
        table.recycle();
        if !table.remove(layer, prefix) {
            // There was no room to divide an entry that several routes share: another route of them must go, or come to be equal.
            return Ok(());
        }
    }
    table.recycle();
    prop_assert_eq!(F::used(&table.writer), 0, "nodes are left over");
    prop_assert!(F::values(&fib).iter().all(|value| *value == 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 1000 }))]

    #[test]
    fn ipv4_agrees_with_the_definition(
        steps in prop::collection::vec(step::<V4>(), 0..100),
        root in prop_oneof![12 => Just(V4::ROOTS[0]), 4 => Just(V4::ROOTS[1]), 1 => Just(V4::ROOTS[2])],
        room in prop_oneof![1 => 1usize..24, 2 => Just(1 << 12)],
        salt: u128,
    ) {
        agrees::<V4>(root, room, &steps, salt)?;
    }

    #[test]
    fn ipv6_agrees_with_the_definition(
        steps in prop::collection::vec(step::<V6>(), 0..100),
        root in prop_oneof![8 => Just(V6::ROOTS[0]), 1 => Just(V6::ROOTS[1])],
        room in prop_oneof![1 => 1usize..24, 2 => Just(1 << 12)],
        salt: u128,
    ) {
        agrees::<V6>(root, room, &steps, salt)?;
    }
}
