//! Time, as an argument: the walk reads no clock.

/// Nanoseconds since an epoch of the caller's choice: monotonic when live, the capture's timestamp in replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

/// A rate limit: `rate` events a second on average, `burst` at once.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    /// Nanoseconds that one event costs; more than there ever are where nothing may pass.
    cost: u64,
    /// Credit for a full burst, nanoseconds.
    full: u64,
    credit: u64,
    last: Option<Instant>,
}

impl TokenBucket {
    /// A full bucket; a rate of 0 lets nothing pass.
    pub fn new(rate: u32, burst: u32) -> Self {
        let cost = 1_000_000_000u64.checked_div(u64::from(rate)).unwrap_or(u64::MAX);
        let full = if rate == 0 { 0 } else { cost.saturating_mul(u64::from(burst)) };
        Self { cost, full, credit: full, last: None }
    }

    /// Takes one token if there is one. Time that goes backwards (captures do) gives no credit.
    pub fn take(&mut self, now: Instant) -> bool {
        let last = self.last.unwrap_or(now);
        let elapsed = now.0.saturating_sub(last.0);
        // The latest seen: else time that jumps to and fro would earn the same credit again and again.
        self.last = Some(last.max(now));
        self.credit = self.credit.saturating_add(elapsed).min(self.full);
        match self.credit.checked_sub(self.cost) {
            Some(rest) => {
                self.credit = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut bucket = TokenBucket::new(1000, 50);
        let start = Instant(1_700_000_000_000_000_000);
        assert_eq!((0..200).filter(|_| bucket.take(start)).count(), 50);
        assert!(!bucket.take(Instant(start.0 + 999_999)));
        assert!(bucket.take(Instant(start.0 + 1_000_000)));
        assert!(!bucket.take(Instant(start.0 + 1_000_001)));
        let second = Instant(start.0 + 10_000_000_000);
        assert_eq!((0..200).filter(|_| bucket.take(second)).count(), 50);
    }

    #[test]
    fn time_that_goes_backwards_gives_nothing() {
        let mut bucket = TokenBucket::new(10, 1);
        assert!(bucket.take(Instant(1_000)));
        for _ in 0..1_000 {
            assert!(!bucket.take(Instant(0)));
            assert!(!bucket.take(Instant(90_000_000)));
        }
    }

    #[test]
    fn a_rate_of_zero_lets_nothing_pass() {
        assert!(!TokenBucket::new(0, 50).take(Instant(5)));
    }
}
