//! For which neighbours the kernel is to be asked, and when.
//!
//! Frames that packetwalk forwards are none of the kernel's: it does not notice that a next hop is in use. So it is asked for
//! those that are not resolved, at once and then less and less often; and for those that it has not heard of for a while, so
//! that it does not forget them. Time is an argument, and nothing here talks to the kernel
//! ([`Solicitor`](crate::netlink::Solicitor) does).

use crate::netlink::Certainty;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A neighbour: the number of its link, and its address.
pub type Key = (u32, IpAddr);

/// How neighbours are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long after the first question for an unresolved neighbour the second follows. Then twice as long, and so on.
    pub first_pause: Duration,
    /// At most.
    pub longest_pause: Duration,
    /// Within which time neighbours that went stale together are asked for; and how long one that stays stale is left alone.
    /// Well below the time for which the kernel keeps a stale one (`gc_stale_time`, 60 s).
    pub refresh_within: Duration,
    /// How many are asked for in a second, of all; so many at once, too.
    pub per_second: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            refresh_within: Duration::from_secs(10),
            per_second: 200,
        }
    }
}

/// How far questions may run ahead of their pace.
const AHEAD: Duration = Duration::from_secs(1);

impl Pace {
    /// The time that a question takes at the pace allowed.
    fn cost(&self) -> Duration {
        AHEAD / self.per_second.clamp(1, 1_000_000)
    }
}

/// Remembers what was asked for.
#[derive(Clone, Debug)]
pub struct Solicitations {
    pace: Pace,
    wanted: BTreeMap<Key, Wanted>,
    /// When all that was asked would have been asked, at the pace allowed; a second's worth of questions may run ahead of it.
    paid_until: Option<Instant>,
}

/// A neighbour that is wanted.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    certainty: Certainty,
    /// When it is asked for; None: not as it is.
    due: Option<Instant>,
    /// The pause after the next question.
    pause: Duration,
}

impl Solicitations {
    /// Nothing was asked for yet.
    pub fn new(pace: Pace) -> Self {
        Self { pace, wanted: BTreeMap::new(), paid_until: None }
    }

    /// Says which neighbours to ask for now, the longest due first. `wanted` are all that are in use, with what the kernel
    /// knows of each ([`Certainty::Unresolved`] for one that it has no entry of); the others are forgotten.
    pub fn ask(&mut self, wanted: impl IntoIterator<Item = (Key, Certainty)>, now: Instant) -> Vec<Key> {
        self.note(wanted, now);
        let is_due = |wanted: &Wanted| wanted.due.filter(|due| *due <= now);
        let due = self.wanted.iter().filter_map(|(key, wanted)| Some((is_due(wanted)?, *key)));
        let mut due: Vec<_> = due.collect();
        due.sort_unstable();
        let paid_until = self.paid_until.map_or(now, |paid| paid.max(now));
        let left = (now + AHEAD).saturating_duration_since(paid_until);
        due.truncate((left.as_nanos() / self.pace.cost().as_nanos()) as usize);
        self.paid_until = Some(paid_until + self.pace.cost() * due.len() as u32);
        for (_, key) in &due {
            if let Some(wanted) = self.wanted.get_mut(key) {
                wanted.due = Some(now + wanted.pause);
                if wanted.certainty == Certainty::Unresolved {
                    wanted.pause = (wanted.pause * 2).min(self.pace.longest_pause);
                }
            }
        }
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// When to ask again though nothing changed; after a change of a neighbour, or of what is wanted, that is at once.
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = self.wanted.values().filter_map(|wanted| wanted.due).min()?;
        let allowed = self.paid_until.and_then(|paid| (paid + self.pace.cost()).checked_sub(AHEAD));
        Some(allowed.map_or(due, |allowed| due.max(allowed)))
    }

    /// Takes over what is wanted, and when what changed is due.
    fn note(&mut self, wanted: impl IntoIterator<Item = (Key, Certainty)>, now: Instant) {
        let pace = self.pace;
        let mut before = std::mem::take(&mut self.wanted);
        self.wanted = wanted
            .into_iter()
            .map(|(key, certainty)| match before.remove(&key).filter(|known| known.certainty == certainty) {
                Some(known) => (key, known),
                None => (key, Wanted::new(key, certainty, pace, now)),
            })
            .collect();
    }
}

impl Wanted {
    fn new(key: Key, certainty: Certainty, pace: Pace, now: Instant) -> Self {
        let due = match certainty {
            Certainty::Unresolved => Some(now),
            Certainty::Stale => Some(now + spread(key, pace.refresh_within)),
            Certainty::Sure | Certainty::Fixed => None,
        };
        let pause = if certainty == Certainty::Stale { pace.refresh_within } else { pace.first_pause };
        Self { certainty, due, pause }
    }
}

/// A time below `within` that is always the same for a neighbour.
fn spread(key: Key, within: Duration) -> Duration {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
    within * (hash % 1024) as u32 / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u8) -> Key {
        (1, IpAddr::from([10, 0, 0, last]))
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// The times, in seconds from the start, at which a neighbour that stays so is asked for.
    fn asked_at(certainty: Certainty, until: f64) -> Vec<f64> {
        let start = Instant::now();
        let mut solicitations = Solicitations::new(Pace::default());
        let mut times = Vec::new();
        let mut now = start;
        while now < start + seconds(until) {
            if !solicitations.ask([(key(1), certainty)], now).is_empty() {
                times.push(now.duration_since(start).as_secs_f64());
            }
            let Some(next) = solicitations.next_deadline() else { break };
            assert!(next > now, "it would be asked without end");
            now = next;
        }
        times
    }

    #[test]
    fn an_unresolved_neighbour_is_asked_for_at_once_and_then_less_and_less_often() {
        let times = asked_at(Certainty::Unresolved, 250.0);
        assert_eq!(times, [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 123.0, 183.0, 243.0]);
    }

    #[test]
    fn a_stale_neighbour_is_asked_for_in_time_and_a_sure_or_configured_one_never() {
        let times = asked_at(Certainty::Stale, 35.0);
        assert!(times[0] < 10.0 && (3..=4).contains(&times.len()), "{times:?}");
        assert!(times.windows(2).all(|pair| (pair[1] - pair[0] - 10.0).abs() < 1e-6), "{times:?}");
        assert_eq!(asked_at(Certainty::Sure, 100.0), [0.0; 0]);
        assert_eq!(asked_at(Certainty::Fixed, 100.0), [0.0; 0]);
    }

    #[test]
    fn neighbours_that_went_stale_together_are_spread_over_time() {
        let start = Instant::now();
        let mut solicitations = Solicitations::new(Pace::default());
        let wanted = || (0..=255).map(|last| (key(last), Certainty::Stale));
        let mut asked = vec![solicitations.ask(wanted(), start).len()];
        for second in 1..=10 {
            asked.push(solicitations.ask(wanted(), start + Duration::from_secs(second)).len());
        }
        assert_eq!(asked.iter().sum::<usize>(), 256, "each once: {asked:?}");
        assert!(asked[1..].iter().all(|count| (10..=45).contains(count)), "{asked:?}");
    }

    #[test]
    fn questions_are_bounded_by_the_second_and_the_longest_due_go_first() {
        let start = Instant::now();
        let pace = Pace { per_second: 10, ..Pace::default() };
        let mut solicitations = Solicitations::new(pace);
        let wanted = || (0..30).map(|last| (key(last), Certainty::Unresolved));
        let mut all = solicitations.ask(wanted(), start);
        assert_eq!(all.len(), 10);
        assert_eq!(solicitations.ask(wanted(), start), []);
        assert_eq!(solicitations.next_deadline(), Some(start + seconds(0.1)));
        for tenth in 1..=20 {
            let asked = solicitations.ask(wanted(), start + seconds(f64::from(tenth) / 10.0 + 1e-6));
            assert_eq!(asked.len(), 1);
            all.extend(asked);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 30, "none is asked for twice before all were once");
    }

    #[test]
    fn one_that_is_lost_again_is_asked_for_at_once_and_one_that_is_not_wanted_is_forgotten() {
        let start = Instant::now();
        let mut solicitations = Solicitations::new(Pace::default());
        let mut ask =
            |certainty, after| solicitations.ask([(key(1), certainty)], start + seconds(after)).len();
        let asked = [0.0, 1.0, 3.0].map(|after| ask(Certainty::Unresolved, after));
        assert_eq!(asked, [1, 1, 1]);
        assert_eq!(ask(Certainty::Sure, 3.1), 0);
        assert_eq!(ask(Certainty::Unresolved, 3.2), 1);
        assert_eq!(ask(Certainty::Unresolved, 3.3), 0);
        assert_eq!(solicitations.ask([], start + seconds(3.4)), []);
        assert_eq!(solicitations.next_deadline(), None);
    }
}
