//! How well the kernel is followed: errors and when to try again, and how long changes take.

use crate::api::Latency;
use crate::live::LiveError;
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// How long to wait before following is begun anew: after the first error, and at most.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// How following goes.
#[derive(Debug)]
pub(super) struct FollowingLog {
    /// The last error, over or not.
    pub(super) error: Option<String>,
    /// How many there were.
    pub(super) errors: u64,
    /// While it fails: since when, when it is tried again, and how long was waited for that.
    failing: Option<(Instant, Instant, Duration)>,
    /// Microseconds.
    latency: Histogram<u64>,
    pub(super) publications: u64,
}

impl FollowingLog {
    pub(super) fn new() -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self { error: None, errors: 0, failing: None, latency: Histogram::new(3)?, publications: 1 })
    }

    /// It failed: says when it is tried again.
    pub(super) fn failed(&mut self, error: &LiveError, now: Instant) -> Duration {
        self.error = Some(error.to_string());
        self.errors += 1;
        let (since, wait) = match self.failing {
            Some((since, _, waited)) => (since, (waited * 2).min(LONGEST)),
            None => (now, FIRST),
        };
        self.failing = Some((since, now + wait, wait));
        wait
    }

    /// It goes again: says how long it did not.
    pub(super) fn recovered(&mut self, now: Instant) -> Option<Duration> {
        self.failing.take().map(|(since, ..)| now.saturating_duration_since(since))
    }

    /// When to try again, while it fails.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.failing.map(|(_, at, _)| at)
    }

    /// How long it has been failing.
    pub(super) fn failing_for(&self, now: Instant) -> Option<Duration> {
        self.failing.map(|(since, ..)| now.saturating_duration_since(since))
    }

    pub(super) fn published(&mut self, latency: Option<Duration>) {
        self.publications += 1;
        if let Some(latency) = latency {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            // The histogram grows as it must; it refuses only what no u64 counts.
            let _ = self.latency.record(micros);
        }
    }

    pub(super) fn latency(&self) -> Latency {
        Latency {
            count: self.latency.len(),
            median: self.latency.value_at_quantile(0.5),
            p99: self.latency.value_at_quantile(0.99),
            max: self.latency.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::NetlinkError;

    #[test]
    fn it_is_tried_again_ever_more_seldom_until_it_works() {
        let mut log = FollowingLog::new().expect("a histogram");
        let error = || {
            LiveError::Netlink(NetlinkError::Socket {
                operation: "receive",
                source: std::io::ErrorKind::Other.into(),
            })
        };
        let start = Instant::now();
        let waits: Vec<_> = (0..9).map(|_| log.failed(&error(), start).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(log.retry_at(), Some(start + LONGEST));
        assert_eq!(log.recovered(start + Duration::from_secs(3)), Some(Duration::from_secs(3)));
        assert_eq!((log.recovered(start), log.retry_at(), log.errors), (None, None, 9));
        assert_eq!(log.failed(&error(), start), FIRST);
    }
}
