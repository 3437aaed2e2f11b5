//! What is said while the process runs: each thing once, and never faster than somebody can read.

use crate::finding::Finding;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// Lines that may be said at once, and how long it takes to earn another.
const BURST: u32 = 40;
const EARN: Duration = Duration::from_secs(2);

/// How long something that is no longer so is remembered: if it comes back before, it is not said again.
const REMEMBER: Duration = Duration::from_secs(600);

/// Says findings.
pub(super) struct Teller<'a> {
    say: Box<dyn FnMut(&Finding) + 'a>,
    /// What was said, by its hash, and when it was last so.
    said: HashMap<u64, Instant>,
    left: u32,
    earned: Instant,
    /// How many were not said for want of lines.
    held_back: usize,
}

impl std::fmt::Debug for Teller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").field("said", &self.said.len()).finish_non_exhaustive()
    }
}

impl<'a> Teller<'a> {
    pub(super) fn new(say: impl FnMut(&Finding) + 'a, now: Instant) -> Self {
        Self { say: Box::new(say), said: HashMap::new(), left: BURST, earned: now, held_back: 0 }
    }

    /// Says those of `findings`, all that there are now, that are new.
    pub(super) fn tell(&mut self, findings: &[Finding], now: Instant) {
        self.earn(now);
        for finding in findings {
            if self.said.insert(hash(finding), now).is_some() {
                continue;
            }
            // The last line says how many there are besides.
            if self.left > 1 {
                self.left -= 1;
                (self.say)(finding);
            } else {
                self.held_back += 1;
            }
        }
        if self.held_back > 0 && self.left > 0 {
            self.left -= 1;
            let count = std::mem::take(&mut self.held_back);
            (self.say)(&Finding::warning(format!(
                "{count} more findings were not printed: `packetwalk show runtime` counts those that there are now"
            )));
        }
        self.said.retain(|_, last| now.saturating_duration_since(*last) < REMEMBER);
    }

    /// Says something that happened, if it may.
    pub(super) fn event(&mut self, finding: &Finding, now: Instant) {
        self.earn(now);
        if self.left > 1 {
            self.left -= 1;
            (self.say)(finding);
        } else {
            self.held_back += 1;
        }
    }

    fn earn(&mut self, now: Instant) {
        while self.left < BURST && now.saturating_duration_since(self.earned) >= EARN {
            self.left += 1;
            self.earned += EARN;
        }
        if self.left == BURST {
            self.earned = now;
        }
    }
}

fn hash(finding: &Finding) -> u64 {
    let mut hasher = DefaultHasher::new();
    finding.text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn each_is_said_once_and_many_are_counted() {
        let said = RefCell::new(Vec::new());
        let start = Instant::now();
        let mut teller = Teller::new(|finding| said.borrow_mut().push(finding.text.clone()), start);
        let [one, other] = ["one", "other"].map(Finding::warning);
        teller.tell(std::slice::from_ref(&one), start);
        teller.tell(&[one.clone(), other.clone()], start);
        teller.tell(std::slice::from_ref(&other), start);
        // It comes back soon, then late.
        teller.tell(&[one.clone(), other.clone()], start + Duration::from_secs(10));
        assert_eq!(*said.borrow(), ["one", "other"]);
        // Nothing changed for long: it is as it was.
        teller.tell(&[other], start + 2 * REMEMBER);
        assert_eq!(*said.borrow(), ["one", "other"]);
        let later = start + 4 * REMEMBER;
        teller.tell(&[], later);
        teller.tell(&[one], later);
        assert_eq!(*said.borrow(), ["one", "other", "one"]);

        said.borrow_mut().clear();
        let many: Vec<_> = (0..1000).map(|number| Finding::info(number.to_string())).collect();
        let later = later + REMEMBER;
        teller.tell(&many, later);
        assert_eq!(said.borrow().len(), BURST as usize);
        assert!(said.borrow().last().expect("a line").starts_with("961 more findings"), "{said:?}");
        teller.tell(&many, later + EARN);
        assert_eq!(said.borrow().len(), BURST as usize);
    }
}
