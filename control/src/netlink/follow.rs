//! Following the kernel: its state, kept in step with its messages.
//!
//! Events and questions go over sockets of their own, so that an answer is never behind a storm of events. What a message
//! says of its object is taken in as it comes. What it makes doubtful ([`super::doubt`]) is listed again, once for a whole
//! burst; the same is done with everything after messages were lost. Meanwhile the old state stays in use and events go on
//! to be taken in, since a list is read a little at a time. When it is complete it is brought up to those events
//! ([`super::meanwhile`]), and only the difference is applied. So there is no moment without routes, and none
//! in which a change waits for a list.

use super::changes::Changes;
use super::doubt::Doubts;
use super::dump::{ATTEMPTS, Listing, Progress, Requests, pause};
use super::error::NetlinkError;
use super::family::Family;
use super::meanwhile::Meanwhile;
use super::message::{Meaning, Messages};
use super::object::{Object, Question};
use super::routes::Applied;
use super::socket::{Received, Socket};
use super::store::Store;
use super::update::Decoded;
use crate::finding::Finding;
use crate::state::NodeState;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// `RTNLGRP_*`: links, neighbours and forwarding entries, addresses, routes and rules of both families, netconf of both,
/// nexthop objects.
const GROUPS: [u32; 11] = [1, 3, 5, 7, 8, 9, 11, 19, 24, 25, 32];

/// How long after the last message that makes something doubtful it is listed again, and how long after the first at the
/// latest: links seldom change alone.
const QUIET: Duration = Duration::from_millis(2);
const AT_LATEST: Duration = Duration::from_millis(20);

/// How long messages are taken in before their changes are handed out, if they keep coming.
const BURST: Duration = Duration::from_millis(5);

/// How long [`Follower::take`] goes on with a list while nothing else happens.
const SLICE: Duration = Duration::from_millis(2);

/// How long a list stands still at most while changes keep coming.
const STAND_STILL: Duration = Duration::from_millis(1);

/// How long to wait before a list that did not hold still is tried again.
const CALM_DOWN: Duration = Duration::from_millis(100);

/// Kinds whose lists may miss an object when another changes meanwhile, without saying so (`NLM_F_DUMP_INTR`): the kernel
/// goes through them by counting.
const COUNTED: [Object; 3] = [Object::Neighbours, Object::Fdb, Object::Routes6];

/// How long to wait before a list that may have missed something is checked by another: at first, and at most.
const RECHECK: Duration = Duration::from_millis(50);
const RECHECK_AT_MOST: Duration = Duration::from_secs(10);

/// How the kernel is followed.
#[derive(Clone, Copy, Debug)]
pub struct FollowSettings {
    /// Room for messages that were not read yet, bytes. The kernel takes about 800 for the message about one route.
    pub receive_buffer: usize,
}

impl Default for FollowSettings {
    fn default() -> Self {
        Self { receive_buffer: 16 << 20 }
    }
}

/// What following has taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowCounters {
    /// Messages received.
    pub messages: u64,
    /// Times that messages were lost, and everything was listed anew.
    pub overruns: u64,
    /// Lists read after the first ones.
    pub lists: u64,
    /// Lists that were read in vain, because what they are about changed meanwhile.
    pub repeated: u64,
    /// Messages that could not be read, whose kind of object was listed anew.
    pub malformed: u64,
}

/// Keeps the state of the network namespace that it was opened in.
#[derive(Debug)]
pub struct Follower {
    events: Socket,
    requests: Requests,
    store: Store,
    doubts: Doubts,
    /// When the first and the last of them came about.
    doubtful_since: Option<(Instant, Instant)>,
    reading: Option<Reading>,
    /// When reading was last gone on with.
    read_last: Instant,
    /// How often the list that is asked for next was read in vain.
    attempts: u32,
    /// Not before this anything is asked for.
    rest_until: Option<Instant>,
    /// Lists that may have missed something: when they are read again, and how long was waited for that.
    rechecks: BTreeMap<Question, (Instant, Duration)>,
    /// Kinds that were listed.
    listed: BTreeSet<Object>,
    counters: FollowCounters,
    granted: usize,
    settings: FollowSettings,
}

/// A list that is being read, and what was said since it was asked for.
#[derive(Debug)]
struct Reading {
    listing: Listing,
    meanwhile: Meanwhile,
    is_whole: bool,
}

impl Follower {
    /// Subscribes to all events, and reads the state as it is.
    pub fn open(settings: FollowSettings) -> Result<Self, NetlinkError> {
        // First, so that nothing happens between the lists and the events unseen.
        let events = Socket::for_events(&GROUPS)?;
        let granted = events.enlarge(settings.receive_buffer)?;
        let mut follower = Self {
            events,
            requests: Requests::open()?,
            store: Store::default(),
            doubts: Doubts::all(),
            doubtful_since: None,
            reading: None,
            read_last: Instant::now(),
            attempts: 0,
            rest_until: None,
            rechecks: BTreeMap::new(),
            listed: BTreeSet::new(),
            counters: FollowCounters::default(),
            granted,
            settings,
        };
        while follower.listed.len() < Object::ALL.len() {
            follower.wait(Duration::ZERO)?;
            if follower.attempts >= ATTEMPTS {
                let object = follower.doubts.questions.first().map_or(Object::Links, |first| first.object());
                return Err(NetlinkError::Interrupted { object, attempts: ATTEMPTS });
            }
            if let Some(rest) = follower.rest_until {
                std::thread::sleep(rest.saturating_duration_since(Instant::now()));
            }
        }
        follower.counters.lists = 0;
        Ok(follower)
    }

    /// What is odd about how the kernel is followed.
    pub fn findings(&self) -> Vec<Finding> {
        let (granted, asked) = (self.granted, self.settings.receive_buffer);
        if granted >= asked {
            return Vec::new();
        }
        vec![Finding::warning(format!(
            "netlink: the receive buffer has {granted} bytes where {asked} were asked for, so bursts of route changes may \
             be lost and cost a new listing each; run with CAP_NET_ADMIN, or raise net.core.rmem_max"
        ))]
    }

    /// The state, by key.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The state, in the types that a state file is parsed into.
    pub fn state(&self) -> NodeState {
        self.store.node_state()
    }

    /// What following has taken so far.
    pub fn counters(&self) -> FollowCounters {
        self.counters
    }

    /// Whether something is known to be out of date: it is about to be listed again.
    pub fn is_behind(&self) -> bool {
        !self.doubts.is_empty() || self.reading.is_some() || !self.rechecks.is_empty()
    }

    /// Waits for changes, at most for `timeout`, takes them in, and says what they touch; nothing where the time is over.
    ///
    /// A single change is handed out at once. Of a burst, what has come until there is nothing more to read, or within
    /// 5 ms, is handed out together. What has to be listed again follows 2 ms after the last message that made it doubtful,
    /// or 20 ms after the first.
    pub fn wait(&mut self, timeout: Duration) -> Result<Changes, NetlinkError> {
        let deadline = Instant::now() + timeout;
        let mut changes = Changes::default();
        loop {
            let until = self.next_deadline().map_or(deadline, |at| at.min(deadline));
            self.poll(until.saturating_duration_since(Instant::now()))?;
            self.take_into(&mut changes)?;
            if !changes.is_empty() || Instant::now() >= deadline {
                return Ok(changes);
            }
        }
    }

    /// Takes in what there is without waiting for more, for a caller that waits for several things itself: until this is
    /// readable ([`AsFd`]), or until [`Self::next_deadline`].
    pub fn take(&mut self) -> Result<Changes, NetlinkError> {
        let mut changes = Changes::default();
        self.take_into(&mut changes)?;
        Ok(changes)
    }

    /// When to call [`Self::take`] even though there are no events: something is to be listed then. While a list is being
    /// read that is at once; each call reads for some 2 ms.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.reading.is_some() {
            return Some(self.read_last);
        }
        let recheck = self.rechecks.values().map(|(at, _)| *at).min();
        let at = self.settle_at().into_iter().chain(recheck).min()?;
        Some(self.rest_until.map_or(at, |rest| rest.max(at)))
    }

    /// When what is doubtful is asked for.
    fn settle_at(&self) -> Option<Instant> {
        let doubt = self.doubtful_since.map(|(first, last)| (last + QUIET).min(first + AT_LATEST));
        // What is left of an earlier burst need not wait for calm.
        doubt.or_else(|| (!self.doubts.is_empty()).then_some(self.read_last))
    }

    fn take_into(&mut self, changes: &mut Changes) -> Result<(), NetlinkError> {
        let started = Instant::now();
        loop {
            let is_all = self.drain(changes)?;
            let now = Instant::now();
            // Changes are handed out before lists are gone on with; if they never end, lists get a share of the time.
            if !changes.is_empty() && now.duration_since(self.read_last) < STAND_STILL {
                return Ok(());
            }
            let goes_on = self.go_on(is_all, now, changes)?;
            if !goes_on || !changes.is_empty() || started.elapsed() > SLICE {
                return Ok(());
            }
        }
    }

    fn poll(&self, timeout: Duration) -> Result<(), NetlinkError> {
        let timeout = Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&self.events, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(NetlinkError::Socket { operation: "wait for events", source: error.into() }),
        }
    }

    /// Takes in what is there; returns whether nothing was left to be read.
    fn drain(&mut self, changes: &mut Changes) -> Result<bool, NetlinkError> {
        let started = Instant::now();
        let mut doubts = Doubts::default();
        let mut is_all = false;
        while !is_all && started.elapsed() <= BURST {
            match self.events.receive()? {
                Received::Datagram(datagram) => {
                    let mut taking = Taking {
                        store: &mut self.store,
                        reading: self.reading.as_mut(),
                        changes,
                        doubts: &mut doubts,
                        counters: &mut self.counters,
                    };
                    taking.take_in(datagram);
                }
                Received::Nothing => is_all = true,
                Received::Overrun => {
                    self.counters.overruns += 1;
                    doubts.extend(Doubts::all());
                }
            }
        }
        self.doubt(doubts);
        Ok(is_all)
    }

    fn doubt(&mut self, doubts: Doubts) {
        if !doubts.is_empty() {
            self.doubts.extend(doubts);
            let now = Instant::now();
            let first = self.doubtful_since.map_or(now, |(first, _)| first);
            self.doubtful_since = Some((first, now));
        }
    }

    /// Goes on with what is to be listed, by one step; returns whether there was one to be made. `is_all`: all events that
    /// there are were taken in.
    fn go_on(&mut self, is_all: bool, now: Instant, changes: &mut Changes) -> Result<bool, NetlinkError> {
        let Some(mut reading) = self.reading.take() else {
            let is_due = self.next_deadline().is_some_and(|at| at <= now);
            return Ok(is_all && is_due && self.ask(now)?);
        };
        let question = reading.listing.question;
        if !reading.is_whole {
            let read = self.requests.read(&mut reading.listing);
            if read.is_err() {
                // Whoever goes on after an error asks anew.
                self.doubts.questions.insert(question);
            }
            match read? {
                Progress::Interrupted => self.read_in_vain(question),
                progress => {
                    reading.is_whole = progress == Progress::Whole;
                    self.reading = Some(reading);
                }
            }
        } else if reading.meanwhile.is_void {
            // Only now, because the kernel refuses another list until this one has been read.
            self.read_in_vain(question);
        } else if is_all {
            self.take_over(reading, changes);
        } else {
            // The list knows of what the events that are left say.
            self.reading = Some(reading);
        }
        self.read_last = Instant::now();
        Ok(true)
    }

    /// Asks for the first of what is doubtful.
    fn ask(&mut self, now: Instant) -> Result<bool, NetlinkError> {
        let due = self.rechecks.iter().filter(|(_, (at, _))| *at <= now).map(|(question, _)| *question);
        self.doubts.questions.extend(due);
        self.doubts.resolve_links(&self.store);
        self.doubtful_since = None;
        self.rest_until = None;
        while let Some(question) = self.doubts.questions.first().copied() {
            let fresh = match question {
                Question::RoutesBy(family, link) => {
                    let leads = self.store.routes[family as usize].any(|route| route.leads_by(link));
                    if !leads || self.doubts.questions.contains(&Question::All(question.object())) {
                        self.rechecks.remove(&question);
                        self.doubts.questions.remove(&question);
                        continue;
                    }
                    self.store.emptied(family)
                }
                Question::All(Object::Routes4) => self.store.emptied(Family::Ipv4),
                Question::All(Object::Routes6) => self.store.emptied(Family::Ipv6),
                Question::All(_) => Store::default(),
            };
            let listing = self.requests.ask(question, fresh)?;
            self.doubts.questions.remove(&question);
            self.reading = Some(Reading { listing, meanwhile: Meanwhile::default(), is_whole: false });
            self.read_last = Instant::now();
            return Ok(true);
        }
        Ok(false)
    }

    /// A list is worth nothing: it is asked for again after a while.
    fn read_in_vain(&mut self, question: Question) {
        self.counters.repeated += 1;
        self.attempts += 1;
        self.doubts.questions.insert(question);
        let rest = if self.attempts < ATTEMPTS { pause(self.attempts) } else { CALM_DOWN };
        self.rest_until = Some(Instant::now() + rest);
    }

    /// Takes a complete list over, once all that was said before its end was taken in.
    fn take_over(&mut self, reading: Reading, changes: &mut Changes) {
        let Reading { listing, meanwhile, .. } = reading;
        let (question, mut fresh) = (listing.question, listing.fresh);
        let mut doubts = Doubts::default();
        let may_have_missed = match question {
            Question::All(object) => {
                if !meanwhile.go_over(&mut fresh) {
                    doubts.kind(object);
                }
                if self.listed.insert(object) {
                    // Nobody has seen the state yet, so nobody need know what changed.
                    self.store.begin(object, fresh, &mut doubts);
                } else {
                    self.store.adopt(object, fresh, changes, &mut doubts);
                }
                meanwhile.heard && COUNTED.contains(&object)
            }
            Question::RoutesBy(family, link) => {
                let by = (family, link);
                self.store.adopt_routes_by(by, &fresh, &meanwhile.spoken_of, changes, &mut doubts);
                drop(fresh);
                self.store.routes[family as usize].forget_unused();
                !meanwhile.spoken_of.is_empty()
            }
        };
        self.counters.lists += 1;
        self.attempts = 0;
        let waited = self.rechecks.remove(&question).map(|(_, waited)| waited);
        if may_have_missed {
            let wait = waited.map_or(RECHECK, |waited| (waited * 2).min(RECHECK_AT_MOST));
            self.rechecks.insert(question, (Instant::now() + wait, wait));
        }
        self.doubt(doubts);
    }
}

/// Ready when there are events; [`Follower::wait`] takes them in.
impl AsFd for Follower {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// Where what events say goes.
struct Taking<'a> {
    store: &'a mut Store,
    reading: Option<&'a mut Reading>,
    changes: &'a mut Changes,
    doubts: &'a mut Doubts,
    counters: &'a mut FollowCounters,
}

impl Taking<'_> {
    /// Takes the messages of a datagram in, and collects what they make doubtful.
    fn take_in(&mut self, datagram: &[u8]) {
        for message in Messages::new(datagram) {
            let Ok(message) = message else {
                // Where one message ends is not known, so neither is what came behind it.
                self.counters.malformed += 1;
                self.doubts.extend(Doubts::all());
                return;
            };
            self.counters.messages += 1;
            let Meaning::Object(message) = message.meaning() else { continue };
            match Decoded::of(&message) {
                Ok(Decoded::Other) => {}
                Ok(Decoded::Hint(object)) => self.doubts.kind(object),
                Ok(Decoded::Update(update)) => {
                    if let Some(reading) = &mut self.reading {
                        reading.meanwhile.note(reading.listing.question, &message, &update);
                    }
                    self.doubts.note(&update, self.store);
                    let object = update.object();
                    if self.store.apply(update, self.changes) == Applied::Unknown {
                        self.doubts.kind(object);
                    }
                }
                Err((object, _)) => {
                    self.counters.malformed += 1;
                    self.doubts.kind(object);
                    // The family may be what could not be read.
                    if let Some(other) = other_family(object) {
                        self.doubts.kind(other);
                    }
                }
            }
        }
    }
}

fn other_family(object: Object) -> Option<Object> {
    match object {
        Object::Routes4 => Some(Object::Routes6),
        Object::Rules4 => Some(Object::Rules6),
        Object::Netconf4 => Some(Object::Netconf6),
        Object::Neighbours => Some(Object::Fdb),
        _ => None,
    }
}
