//! Numbered things that workers hold by number: a number means the same for as long as anything may hold it.
//!
//! A thing is known by a key that lasts (which next hop), while what it says (which bytes to write) may change under its number.
//! One that nothing asks for in a whole pass is retired: its number still works, because a route may lead to it until all
//! routes are written. After that the number may mean something else in the next tables. No grace period is needed for
//! that: a worker takes its tables first and reads routes after that, so one that has the next tables finds no route to
//! the old thing, and one that does has tables in which it is still there.

use std::collections::HashMap;
use std::hash::Hash;

/// Things by number, and their numbers by key.
#[derive(Clone, Debug)]
pub(crate) struct Slots<K, T> {
    by_key: HashMap<K, Slot>,
    things: Vec<T>,
    pass: u64,
    /// Nothing asks for them any more, but a route may still lead to them.
    retired: Vec<u32>,
    free: Vec<u32>,
    changed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    number: u32,
    /// The last pass in which it was asked for.
    pass: u64,
}

impl<K, T> Default for Slots<K, T> {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
            things: Vec::new(),
            pass: 0,
            retired: Vec::new(),
            free: Vec::new(),
            changed: false,
        }
    }
}

impl<K: Eq + Hash, T: PartialEq> Slots<K, T> {
    /// The number of what `key` stands for, which is `thing` from now on; None: all `limit` numbers are in use.
    pub(super) fn put(&mut self, key: K, thing: T, limit: usize) -> Option<u32> {
        let pass = self.pass;
        if let Some(slot) = self.by_key.get_mut(&key) {
            slot.pass = pass;
            let known = &mut self.things[slot.number as usize];
            if *known != thing {
                *known = thing;
                self.changed = true;
            }
            return Some(slot.number);
        }
        let number = match self.free.pop() {
            Some(number) => {
                self.things[number as usize] = thing;
                number
            }
            None if self.things.len() < limit => {
                self.things.push(thing);
                (self.things.len() - 1) as u32
            }
            None => return None,
        };
        self.changed = true;
        self.by_key.insert(key, Slot { number, pass });
        Some(number)
    }

    /// The number that `key` has; it counts as asked for.
    pub(super) fn find(&mut self, key: &K) -> Option<u32> {
        let slot = self.by_key.get_mut(key)?;
        slot.pass = self.pass;
        Some(slot.number)
    }

    /// Begins a pass: what is not asked for until [`Slots::end_pass`] is retired.
    pub(super) fn begin_pass(&mut self) {
        self.pass += 1;
    }

    pub(super) fn end_pass(&mut self) {
        let (pass, retired) = (self.pass, &mut self.retired);
        self.by_key.retain(|_, slot| {
            let is_asked_for = slot.pass == pass;
            if !is_asked_for {
                retired.push(slot.number);
            }
            is_asked_for
        });
    }

    /// All routes lead elsewhere than to what is retired.
    pub(super) fn routes_written(&mut self) {
        self.free.append(&mut self.retired);
    }

    /// By number.
    pub(super) fn things(&self) -> &[T] {
        &self.things
    }

    /// How many are in use.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether anything differs from when this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_only_after_its_routes_have_gone() {
        let mut slots = Slots::default();
        assert_eq!(
            [
                slots.put("a", 1, 8).unwrap_or(u32::MAX),
                slots.put("b", 2, 8).unwrap_or(u32::MAX),
                slots.put("a", 1, 8).unwrap_or(u32::MAX)
            ],
            [0, 1, 0]
        );
        assert!(slots.take_changed());
        assert_eq!((slots.put("a", 1, 8).unwrap_or(u32::MAX), slots.take_changed()), (0, false));

        slots.begin_pass();
        assert_eq!((slots.put("a", 3, 8).unwrap_or(u32::MAX), slots.take_changed()), (0, true));
        slots.end_pass();
        // b is retired: still there for whoever holds its number.
        assert_eq!((slots.len(), slots.things()), (1, &[3, 2][..]));
        assert_eq!(slots.put("c", 4, 8).unwrap_or(u32::MAX), 2);
        slots.routes_written();
        assert_eq!(
            (slots.put("d", 5, 8).unwrap_or(u32::MAX), slots.put("e", 6, 8).unwrap_or(u32::MAX)),
            (1, 3)
        );
        assert_eq!(slots.things(), [3, 5, 4, 6]);
    }

    #[test]
    fn there_are_no_more_numbers_than_the_limit() {
        let mut slots = Slots::default();
        assert_eq!(
            [slots.put("a", 1, 1), slots.put("b", 2, 1), slots.put("a", 3, 1)],
            [Some(0), None, Some(0)]
        );
    }

    #[test]
    fn what_was_found_in_a_pass_stays() {
        let mut slots = Slots::default();
        slots.put("a", 1, 8).unwrap_or(u32::MAX);
        slots.put("b", 2, 8).unwrap_or(u32::MAX);
        slots.begin_pass();
        assert_eq!((slots.find(&"b"), slots.find(&"c")), (Some(1), None));
        slots.end_pass();
        assert_eq!((slots.len(), slots.find(&"a")), (1, None));
    }
}
