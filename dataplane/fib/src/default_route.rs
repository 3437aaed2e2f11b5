//! The default route, which lies behind all entries that hold nothing, so that it costs one store.
//!
//! A lookup that ends there has read two places, an entry and the default, and between the two both may change: a route comes that holds the address, and
//! then the default is replaced. Whoever has seen the entry without that route must not answer with the new default, which the
//! address never had. So a lookup reads the default before and after the entry, and begins anew if it is not the same
//! one; each has a number of its own, so that an old value that comes back is not taken for one that stayed.

use core::sync::atomic::{AtomicU64, Ordering};

/// A default route: its entry in the lower half, its number in the upper.
pub(crate) struct DefaultRoute(AtomicU64);

const NUMBER: u64 = 1 << 32;

impl DefaultRoute {
    /// None.
    pub(crate) const fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Its entry.
    pub(crate) fn entry(&self) -> u32 {
        self.0.load(Ordering::Acquire) as u32
    }

    /// Replaces it. For the one writer only.
    pub(crate) fn replace(&self, entry: u32) {
        let old = self.0.load(Ordering::Relaxed);
        let number = (old & !(NUMBER - 1)).wrapping_add(NUMBER);
        // Release: who sees this default sees every entry that was changed before it.
        self.0.store(number | u64::from(entry), Ordering::Release);
    }

    /// What an address has whose `entry` held nothing a moment ago.
    #[inline]
    pub(crate) fn behind(&self, entry: impl Fn() -> u32) -> u32 {
        // Acquire: the entry is read after it, and (the entry's own acquire) the default once more after that.
        let mut default = self.0.load(Ordering::Acquire);
        loop {
            match entry() {
                0 => {}
                found => return found,
            }
            let now = self.0.load(Ordering::Acquire);
            if now == default {
                return default as u32;
            }
            default = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// The interleaving in words of the module's documentation, step by step.
    #[test]
    fn a_default_that_the_address_never_had_is_no_answer() {
        let default = DefaultRoute::none();
        default.replace(1);
        let (entry, reads) = (Cell::new(0), Cell::new(0));
        let answer = default.behind(|| {
            let read = entry.get();
            if reads.replace(reads.get() + 1) == 0 {
                // Just after the read: a route comes, and then another default.
                entry.set(5);
                default.replace(2);
            }
            read
        });
        assert_eq!((answer, reads.get()), (5, 2));
    }

    #[test]
    fn an_old_default_that_comes_back_is_another() {
        let default = DefaultRoute::none();
        default.replace(1);
        let reads = Cell::new(0);
        let answer = default.behind(|| {
            if reads.replace(reads.get() + 1) == 0 {
                default.replace(2);
                default.replace(1);
            }
            0
        });
        assert_eq!((answer, reads.get()), (1, 2));
    }

    #[test]
    fn numbers_begin_anew_after_the_last() {
        let default = DefaultRoute(AtomicU64::new(u64::MAX));
        default.replace(7);
        assert_eq!((default.entry(), default.0.into_inner() >> 32), (7, 0));
    }
}
