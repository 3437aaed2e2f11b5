//! The loop of the control thread.
//!
//! It waits for the kernel, for questions, and for the end. Each turn takes in what the kernel said and then answers
//! questions for a few milliseconds at most, so that neither keeps the other waiting.

use super::answer;
use super::following::FollowingLog;
use super::tell::Teller;
use crate::api::{self, Following, Mailbox, Routes, Runtime};
use crate::finding::Finding;
use crate::live::{Live, LiveError, Step};
use crate::netlink::Family;
use packetwalk_walk::Severity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long questions are answered before the kernel is looked at again.
const QUESTIONS: Duration = Duration::from_millis(2);

/// Why a process cannot run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The system denies what every process may have.
    #[error("cannot {operation}: {source}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// A process that follows the kernel and answers questions.
#[derive(Debug)]
pub struct Process<'a> {
    live: Live,
    mailbox: Mailbox,
    netns: String,
    /// As read, for whoever walks frames elsewhere.
    config: String,
    began: Instant,
    log: FollowingLog,
    teller: Teller<'a>,
    overruns: u64,
}

impl<'a> Process<'a> {
    /// A process over `live`, which was made under the configuration `config`; what is worth saying goes to `say`.
    pub fn new(live: Live, config: String, say: impl FnMut(&Finding) + 'a) -> Result<Self, ServeError> {
        let system = |operation| move |source| ServeError::System { operation, source };
        let began = Instant::now();
        let mut process = Self {
            live,
            mailbox: Mailbox::new().map_err(system("make a wake-up descriptor"))?,
            netns: api::network_namespace(),
            config,
            began,
            log: FollowingLog::new().map_err(|error| ServeError::System {
                operation: "count",
                source: io::Error::other(error),
            })?,
            teller: Teller::new(say, began),
            overruns: 0,
        };
        process.tell_findings();
        Ok(process)
    }

    /// Where questions go.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Runs until `stop` is readable or hung up.
    pub fn run(&mut self, stop: impl AsFd) -> Result<(), ServeError> {
        loop {
            let ready = self
                .wait(stop.as_fd())
                .map_err(|errno| ServeError::System { operation: "wait for events", source: errno.into() })?;
            if ready.stop {
                return Ok(());
            }
            self.follow(ready.kernel);
            self.answer();
        }
    }

    fn wait(&self, stop: impl AsFd) -> Result<Ready, Errno> {
        let failing = self.log.retry_at();
        let deadline = failing.or_else(|| self.live.deadline());
        let timeout = match deadline {
            _ if !self.mailbox.is_empty() => Some(Duration::ZERO),
            Some(at) => Some(at.saturating_duration_since(Instant::now())),
            None => None,
        };
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut ready = vec![PollFd::new(&stop, PollFlags::IN), PollFd::new(&self.mailbox, PollFlags::IN)];
        // A socket with an error is ready for ever.
        if failing.is_none() {
            ready.push(PollFd::new(&self.live, PollFlags::IN));
        }
        match poll(&mut ready, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(errno) => return Err(errno),
        }
        let is_ready =
            |place: usize| ready.get(place).is_some_and(|of: &PollFd<'_>| !of.revents().is_empty());
        let is_due = deadline.is_some_and(|at| at <= Instant::now());
        Ok(Ready { stop: is_ready(0), kernel: is_ready(2) || is_due })
    }

    fn follow(&mut self, is_ready: bool) {
        if !is_ready {
            return;
        }
        let result = if self.log.retry_at().is_some() { self.live.reopen() } else { self.live.step() };
        let now = Instant::now();
        match result {
            Ok(step) => self.took(step, now),
            Err(error) => self.failed(&error, now),
        }
    }

    fn took(&mut self, step: Step, now: Instant) {
        if let Some(time) = self.log.recovered(now) {
            let text = format!("the kernel is followed again, after {:.1} s", time.as_secs_f64());
            self.teller.event(&Finding::info(text), now);
        }
        let overruns = self.live.follower().counters().overruns;
        if overruns > self.overruns {
            let text =
                format!("netlink: messages were lost, everything is listed anew ({overruns} times so far)");
            self.teller.event(&Finding::info(text), now);
        }
        self.overruns = overruns;
        if step.published {
            self.log.published(step.latency);
        }
        if step.published || !self.live.stalled().is_empty() {
            self.tell_findings();
        }
    }

    fn failed(&mut self, error: &LiveError, now: Instant) {
        let wait = self.log.failed(error, now);
        let text = format!(
            "the kernel is not followed, and workers keep the tables that they have: {error}; tried again in {:.1} s",
            wait.as_secs_f64()
        );
        self.teller.event(&Finding::warning(text), now);
    }

    fn tell_findings(&mut self) {
        let now = Instant::now();
        self.teller.tell(&self.live.node().findings, now);
        let findings = self.live.findings();
        self.teller.tell(&findings, now);
        if !self.live.stalled().is_empty() {
            let text = format!("workers that do not come round: {}", self.live.stalled().join(", "));
            self.teller.tell(&[Finding::warning(text)], now);
        }
    }

    fn answer(&mut self) {
        self.mailbox.silence();
        let started = Instant::now();
        while let Some(asked) = self.mailbox.take() {
            let answer = answer::answer(&asked.question, &self.live, &self.config, || self.runtime());
            asked.answer(answer);
            if started.elapsed() >= QUESTIONS {
                return;
            }
        }
    }

    /// How it is.
    pub fn runtime(&self) -> Runtime {
        let now = Instant::now();
        let (follower, tables) = (self.live.follower(), self.live.tables());
        let counters = follower.counters();
        let findings = &self.live.node().findings;
        let warnings = findings.iter().filter(|finding| finding.severity != Severity::Info).count();
        let failing = self.log.failing_for(now);
        Runtime {
            release: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            netns: self.netns.clone(),
            mode: "shadow".to_owned(),
            uptime_s: now.saturating_duration_since(self.began).as_secs_f64(),
            generation: tables.generation,
            routes: Routes {
                ipv4: follower.store().prefix_count(Family::Ipv4),
                ipv6: follower.store().prefix_count(Family::Ipv6),
            },
            links: follower.store().links().len(),
            neighbours: tables.ipv4.neighbours.len(),
            adjacencies: tables.adjacencies.len(),
            groups: tables.groups.len(),
            warnings,
            infos: findings.len() - warnings,
            following: Following {
                stale: failing.is_some(),
                stale_s: failing.map(|time| time.as_secs_f64()),
                error: self.log.error.clone(),
                errors: self.log.errors,
                behind: follower.is_behind(),
                messages: counters.messages,
                overruns: counters.overruns,
                lists: counters.lists,
                repeated: counters.repeated,
                malformed: counters.malformed,
            },
            publications: self.log.publications,
            stalled: self.live.stalled().to_vec(),
            change_latency_us: self.log.latency(),
        }
    }
}

/// What there is to do.
#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    stop: bool,
    kernel: bool,
}
