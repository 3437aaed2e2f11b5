//! Following the kernel: its state, kept in step with its messages.
//!
//! Events and questions go over sockets of their own, so that an answer is never behind a storm of events. What a message
//! says of its object is taken in as it comes. What it makes doubtful ([`super::doubt`]) is listed again, once for a whole
//! burst; the same is done with everything after messages were lost. Meanwhile the old state stays in use, and only
//! the difference is applied, so there is no moment without routes.
//!
//! An event that was sent before a list was read may be taken in after it. That does no harm: for each object the last
//! event says how it is, and what has no event of its own is listed again because of one that comes later still.

use super::changes::Changes;
use super::doubt::doubts;
use super::dump::Requests;
use super::error::NetlinkError;
use super::message::{Meaning, Messages};
use super::object::Object;
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

/// How long to wait before a list that did not hold still is tried again.
const CALM_DOWN: Duration = Duration::from_millis(100);

/// Kinds whose lists may miss an object when another changes meanwhile, without saying so (`NLM_F_DUMP_INTR`): the kernel
/// goes through them by counting.
const COUNTED: [Object; 3] = [Object::Neighbours, Object::Fdb, Object::Routes6];

/// How long to wait before such a list is checked by another: at first, and at most.
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
    /// Lists that changed while they were read, and were read again.
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
    doubtful: BTreeSet<Object>,
    /// When the first and the last of them came about.
    doubtful_since: Option<(Instant, Instant)>,
    /// Lists that may have missed something: when they are read again, and how long was waited for that.
    rechecks: BTreeMap<Object, (Instant, Duration)>,
    counters: FollowCounters,
    granted: usize,
    settings: FollowSettings,
}

impl Follower {
    /// Subscribes to all events, and reads the state as it is.
    pub fn open(settings: FollowSettings) -> Result<Self, NetlinkError> {
        // First, so that nothing happens between the lists and the events unseen.
        let events = Socket::for_events(&GROUPS)?;
        let granted = events.enlarge(settings.receive_buffer)?;
        let mut requests = Requests::open()?;
        let mut store = Store::default();
        for object in Object::ALL {
            requests.list(object, &mut store)?;
        }
        Ok(Self {
            events,
            requests,
            store,
            doubtful: BTreeSet::new(),
            doubtful_since: None,
            rechecks: BTreeMap::new(),
            counters: FollowCounters::default(),
            granted,
            settings,
        })
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
        FollowCounters { repeated: self.requests.repeated, ..self.counters }
    }

    /// Whether something is known to be out of date: it is about to be listed again.
    pub fn is_behind(&self) -> bool {
        !self.doubtful.is_empty() || !self.rechecks.is_empty()
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

    /// When to call [`Self::take`] even though there are no events: something is to be listed again then.
    pub fn next_deadline(&self) -> Option<Instant> {
        let doubt = self.doubtful_since.map(|(first, last)| (last + QUIET).min(first + AT_LATEST));
        let recheck = self.rechecks.values().map(|(at, _)| *at).min();
        doubt.into_iter().chain(recheck).min()
    }

    fn take_into(&mut self, changes: &mut Changes) -> Result<(), NetlinkError> {
        let drained = self.drain(changes)?;
        let is_due = self.next_deadline().is_some_and(|at| at <= Instant::now());
        // Lost messages are made up for only once nothing older than the lists is left to be read.
        if drained.is_all && is_due {
            self.settle(changes)?;
        }
        Ok(())
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

    /// Takes in what is there.
    fn drain(&mut self, changes: &mut Changes) -> Result<Drained, NetlinkError> {
        let started = Instant::now();
        let mut drained = Drained::default();
        while !drained.is_all && started.elapsed() <= BURST {
            match self.events.receive()? {
                Received::Datagram(datagram) => {
                    take_in(datagram, &mut self.store, changes, &mut drained, &mut self.counters);
                }
                Received::Nothing => drained.is_all = true,
                Received::Overrun => {
                    self.counters.overruns += 1;
                    drained.doubtful.extend(Object::ALL);
                }
            }
        }
        self.doubt(&drained.doubtful);
        Ok(drained)
    }

    fn doubt(&mut self, objects: &BTreeSet<Object>) {
        if !objects.is_empty() {
            self.doubtful.extend(objects);
            let now = Instant::now();
            let first = self.doubtful_since.map_or(now, |(first, _)| first);
            self.doubtful_since = Some((first, now));
        }
    }

    /// Lists what is doubtful again.
    fn settle(&mut self, changes: &mut Changes) -> Result<(), NetlinkError> {
        self.doubtful_since = None;
        let now = Instant::now();
        let due = self.rechecks.iter().filter(|(_, (at, _))| *at <= now).map(|(object, _)| *object);
        self.doubtful.extend(due);
        while let Some(object) = self.doubtful.first().copied() {
            let mut fresh = Store::default();
            match self.requests.list(object, &mut fresh) {
                Ok(()) => {}
                Err(NetlinkError::Interrupted { .. }) => {
                    let later = Instant::now() + CALM_DOWN;
                    self.doubtful_since = Some((later, later));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            self.counters.lists += 1;
            self.doubtful.remove(&object);
            self.store.adopt(object, fresh, changes);
            if COUNTED.contains(&object) {
                self.recheck_if_changed_meanwhile(object, changes)?;
            }
        }
        Ok(())
    }

    /// An event about the kind of objects that was just listed means that the list may have missed one.
    fn recheck_if_changed_meanwhile(
        &mut self,
        object: Object,
        changes: &mut Changes,
    ) -> Result<(), NetlinkError> {
        let waited = self.rechecks.remove(&object).map(|(_, waited)| waited);
        let drained = self.drain(changes)?;
        if !drained.is_all || drained.heard.contains(&object) {
            let wait = waited.map_or(RECHECK, |waited| (waited * 2).min(RECHECK_AT_MOST));
            self.rechecks.insert(object, (Instant::now() + wait, wait));
        }
        Ok(())
    }
}

/// Ready when there are events; [`Follower::wait`] takes them in.
impl AsFd for Follower {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// What came of reading events.
#[derive(Default)]
struct Drained {
    /// Whether nothing was left to be read.
    is_all: bool,
    /// The kinds of objects that were spoken of.
    heard: BTreeSet<Object>,
    /// The kinds that have to be listed again.
    doubtful: BTreeSet<Object>,
}

/// Takes the messages of a datagram in, and collects what they make doubtful.
fn take_in(
    datagram: &[u8],
    store: &mut Store,
    changes: &mut Changes,
    drained: &mut Drained,
    counters: &mut FollowCounters,
) {
    let Drained { heard, doubtful, .. } = drained;
    for message in Messages::new(datagram) {
        let Ok(message) = message else {
            // Where one message ends is not known, so neither is what came behind it.
            counters.malformed += 1;
            doubtful.extend(Object::ALL);
            return;
        };
        counters.messages += 1;
        let Meaning::Object(message) = message.meaning() else { continue };
        match Decoded::of(&message) {
            Ok(Decoded::Other) => {}
            Ok(Decoded::Hint(object)) => {
                doubtful.insert(object);
            }
            Ok(Decoded::Update(update)) => {
                doubtful.extend(doubts(&update, store));
                let object = update.object();
                heard.insert(object);
                if store.apply(update, changes) == Applied::Unknown {
                    doubtful.insert(object);
                }
            }
            Err((object, _)) => {
                counters.malformed += 1;
                doubtful.insert(object);
                // The family may be what could not be read.
                doubtful.extend(other_family(object));
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
