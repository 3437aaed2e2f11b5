//! Numbers of links and ports that last: a link keeps its number for as long as it is there, whatever comes and goes
//! beside it.
//!
//! Routes, adjacencies and counters name links and ports by number. So a number that has become free is only given away
//! again after many others have: nothing is left by then that means the old link.

use std::collections::{HashMap, HashSet, VecDeque};

/// So many numbers lie idle before the first of them is given away again.
const IDLE: usize = 1024;

/// The numbers of links, and those of ports.
#[derive(Clone, Debug, Default)]
pub struct Numbering {
    pub(super) links: Numbers,
    pub(super) ports: Numbers,
}

impl Numbering {
    /// A link has another name now; it keeps its numbers. `renamed`: from, to.
    pub fn rename(&mut self, renamed: &[(String, String)]) {
        self.links.rename(renamed);
        self.ports.rename(renamed);
    }
}

/// Numbers of one kind, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    by_name: HashMap<String, u16>,
    /// The numbers below it have been given away at least once.
    fresh: u16,
    /// Free again, the longest idle first.
    idle: VecDeque<u16>,
}

impl Numbers {
    /// The number of `name`, which it keeps or gets; None: all numbers are in use.
    pub(super) fn number(&mut self, name: &str) -> Option<u16> {
        if let Some(number) = self.by_name.get(name) {
            return Some(*number);
        }
        let number = if self.idle.len() > IDLE || self.fresh == u16::MAX {
            self.idle.pop_front()?
        } else {
            self.fresh += 1;
            self.fresh - 1
        };
        self.by_name.insert(name.to_owned(), number);
        Some(number)
    }

    /// Frees the numbers of all others.
    pub(super) fn keep(&mut self, present: &HashSet<&str>) {
        let mut gone: Vec<_> = Vec::new();
        self.by_name.retain(|name, number| {
            let is_present = present.contains(name.as_str());
            if !is_present {
                gone.push(*number);
            }
            is_present
        });
        gone.sort_unstable();
        self.idle.extend(gone);
    }

    /// All numbers given away are below it.
    pub(super) fn end(&self) -> u16 {
        self.fresh
    }

    fn rename(&mut self, renamed: &[(String, String)]) {
        // All off before the first is on again: two links may have changed names with one another.
        let numbers: Vec<_> = renamed.iter().map(|(from, _)| self.by_name.remove(from)).collect();
        for ((_, to), number) in renamed.iter().zip(numbers) {
            let Some(number) = number else { continue };
            if let Some(displaced) = self.by_name.insert(to.clone(), number) {
                self.idle.push_back(displaced);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_lasts_as_long_as_its_link() {
        let mut numbers = Numbers::default();
        assert_eq!(
            ["a", "b", "c", "b"].map(|name| numbers.number(name)),
            [Some(0), Some(1), Some(2), Some(1)]
        );
        numbers.keep(&HashSet::from(["a", "c"]));
        assert_eq!(["c", "d", "b"].map(|name| numbers.number(name)), [Some(2), Some(3), Some(4)]);
        assert_eq!(numbers.end(), 5);
    }

    #[test]
    fn names_may_be_swapped() {
        let mut numbers = Numbers::default();
        let _ = ["a", "b", "c"].map(|name| numbers.number(name));
        let renamed = [("a", "b"), ("b", "a"), ("c", "d")].map(|(from, to)| (from.to_owned(), to.to_owned()));
        numbers.rename(&renamed);
        assert_eq!(
            ["b", "a", "d", "c"].map(|name| numbers.number(name)),
            [Some(0), Some(1), Some(2), Some(3)]
        );
    }

    #[test]
    fn a_free_number_is_given_away_after_many_others() {
        let mut numbers = Numbers::default();
        for round in 0..100_000u32 {
            let name = round.to_string();
            let number = numbers.number(&name).expect("few are in use");
            assert!(usize::from(number) <= IDLE + 1, "{number}");
            numbers.keep(&HashSet::new());
        }
        let mut numbers = Numbers::default();
        let given = (0..=u32::from(u16::MAX)).filter_map(|link| numbers.number(&link.to_string())).count();
        assert_eq!(given, usize::from(u16::MAX));
    }
}
