//! A hash table in one array, for keys of 64 bits: built by control, probed by the walk.
//!
//! Linear probing at a load of at most a quarter: a probe reads one cache line, rarely two, and a miss ends at the
//! first empty slot.

/// Stands in an empty slot. No key has this value: they are MAC addresses (48 bits) or a small number and an address.
const EMPTY: u64 = u64::MAX;

/// From keys to `u32`.
#[derive(Clone, Debug)]
pub struct FlatMap {
    /// A power of two of them.
    slots: Box<[(u64, u32)]>,
    shift: u32,
    length: usize,
}

impl Default for FlatMap {
    fn default() -> Self {
        Self::from_entries(core::iter::empty())
    }
}

impl FlatMap {
    /// The map of these entries; of equal keys, the last wins.
    ///
    /// # Panics
    /// If a key is `u64::MAX`.
    pub fn from_entries(entries: impl IntoIterator<Item = (u64, u32)>) -> Self {
        let entries: Vec<_> = entries.into_iter().collect();
        let size = (entries.len() * 4).next_power_of_two().max(2);
        let mut map = Self {
            slots: vec![(EMPTY, 0); size].into_boxed_slice(),
            shift: 64 - size.trailing_zeros(),
            length: 0,
        };
        for (key, value) in entries {
            assert_ne!(key, EMPTY, "a key that marks empty slots");
            let mut index = map.home(key);
            while map.slots[index].0 != EMPTY && map.slots[index].0 != key {
                index = (index + 1) & (size - 1);
            }
            map.length += usize::from(map.slots[index].0 == EMPTY);
            map.slots[index] = (key, value);
        }
        map
    }

    /// The value of `key`.
    #[inline]
    pub fn find(&self, key: u64) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut index = self.home(key);
        // There is always an empty slot: three quarters of them are.
        loop {
            let (found, value) = self.slots[index & mask];
            if found == EMPTY {
                return None;
            }
            if found == key {
                return Some(value);
            }
            index += 1;
        }
    }

    /// Every key with its value, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (u64, u32)> {
        self.slots.iter().filter(|(key, _)| *key != EMPTY).copied()
    }

    /// Every value.
    pub fn values(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().filter(|(key, _)| *key != EMPTY).map(|(_, value)| *value)
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    #[inline]
    fn home(&self, key: u64) -> usize {
        // Fibonacci hashing: the upper bits of the product depend on all bits of the key.
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }
}

/// A set of 64-bit keys.
#[derive(Clone, Debug, Default)]
pub struct FlatSet(FlatMap);

impl FlatSet {
    /// Whether `key` is in it.
    #[inline(always)]
    pub fn contains(&self, key: u64) -> bool {
        self.0.find(key).is_some()
    }

    /// Every key, in no order.
    pub fn keys(&self) -> impl Iterator<Item = u64> {
        self.0.entries().map(|(key, _)| key)
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<u64> for FlatSet {
    fn from_iter<I: IntoIterator<Item = u64>>(keys: I) -> Self {
        Self(FlatMap::from_entries(keys.into_iter().map(|key| (key, 0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn the_empty_map_finds_nothing() {
        assert_eq!(FlatMap::default().find(0), None);
        assert!(FlatMap::default().is_empty());
    }

    proptest! {
        #[test]
        fn agrees_with_a_hash_map(entries in prop::collection::vec((0u64..300, any::<u32>()), 0..200)) {
            let oracle: HashMap<_, _> = entries.iter().copied().collect();
            let map = FlatMap::from_entries(entries);
            prop_assert_eq!(map.len(), oracle.len());
            for key in 0..400 {
                prop_assert_eq!(map.find(key), oracle.get(&key).copied());
            }
        }
    }
}
