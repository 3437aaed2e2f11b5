//! The kernel's state as workers see it: followed, told to the node, published.
//!
//! Everything between "the kernel said so" and "workers can see it" is here, and on one thread. What is new goes through
//! three steps, because workers take the small tables as they were published and the routes as they are written:
//!
//! 1. tables that hold what the new routes lead to are published;
//! 2. every worker has been quiescent since, so none is left with the tables of before;
//! 3. the routes are written in place.
//!
//! A worker that does not come to the second step holds up what is new, not what it reads: it is named, and waited for.

mod solicit;
mod tell;

use crate::config::Config;
use crate::finding::Finding;
use crate::netlink::{FollowSettings, Follower, NetlinkError};
use crate::node::Node;
use packetwalk_rcu::{Control, Grace, Published, Reader, Stalled};
use packetwalk_walk::Tables;
use solicit::Asker;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tell::Teller;
use thiserror::Error;

/// How the kernel is followed, and workers are waited for.
#[derive(Clone, Copy, Debug)]
pub struct LiveSettings {
    /// How the kernel is followed.
    pub follow: FollowSettings,
    /// How long one step waits for workers; those that it waited for in vain are named.
    pub patience: Duration,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self { follow: FollowSettings::default(), patience: Duration::from_millis(10) }
    }
}

/// Why the tables do not follow the kernel.
#[derive(Debug, Error)]
pub enum LiveError {
    /// The kernel cannot be read.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

/// What [`Live::step`] did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    /// Whether workers see anything else than before.
    pub published: bool,
    /// From the reading of the first message of the batch until workers could see all of it.
    pub latency: Option<Duration>,
}

/// A node that follows the kernel.
#[derive(Debug)]
pub struct Live {
    config: Config,
    settings: LiveSettings,
    follower: Follower,
    teller: Teller,
    asker: Asker,
    node: Node,
    control: Control,
    published: Arc<Published<Tables>>,
    /// Routes wait to be written, until workers have left the tables of before.
    waiting: Option<Waiting>,
    /// Nothing of it can be read by a new worker, but some of it may still be by others.
    garbage: bool,
    stalled: Vec<String>,
    batches: u64,
}

/// What routes wait for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// When the first message about them was read.
    since: Instant,
    grace: Grace,
}

/// How soon to look again whether what was unlinked can be freed.
const RECLAIM: Duration = Duration::from_millis(10);

impl Live {
    /// Reads the state of the network namespace of the calling thread, and publishes what is made of it.
    pub fn open(config: Config, settings: LiveSettings) -> Result<Self, LiveError> {
        let follower = Follower::open(settings.follow)?;
        let (teller, mut node) = Teller::begin(follower.store(), &config);
        // Nobody reads yet, so the order of the steps does not matter.
        node.prepare();
        node.write();
        let mut asker = Asker::open()?;
        asker.want(&node, follower.store());
        asker.ask(follower.store());
        let control = Control::new();
        let published = Arc::new(control.published(node.tables.clone()));
        Ok(Self {
            config,
            settings,
            follower,
            teller,
            asker,
            node,
            control,
            published,
            waiting: None,
            garbage: false,
            stalled: Vec::new(),
            batches: 1,
        })
    }

    /// When [`Live::step`] is to be called even if [`Live::as_fd`] is not ready.
    pub fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        let waiting = self.waiting.map(|_| now);
        let reclaim = self.garbage.then(|| now + RECLAIM);
        [waiting, reclaim, self.follower.next_deadline(), self.asker.deadline()].into_iter().flatten().min()
    }

    /// Takes in what there is, and has workers see what it makes different. Waits for workers, for as long as the settings'
    /// patience, and for nothing else.
    pub fn step(&mut self) -> Result<Step, LiveError> {
        let started = Instant::now();
        self.garbage = self.control.reclaim() > 0;
        // What comes meanwhile waits where the kernel put it.
        if let Some(waiting) = self.waiting {
            return Ok(self.write(waiting));
        }
        let changes = self.follower.take()?;
        self.teller.tell(&mut self.node, self.follower.store(), &changes);
        let generation = self.node.tables.generation;
        let step = self.publish(started);
        let is_other = self.node.tables.generation != generation;
        if is_other {
            self.asker.want(&self.node, self.follower.store());
        }
        let is_due = self.asker.deadline().is_some_and(|at| at <= Instant::now());
        if is_other || is_due || !changes.neighbours.is_empty() || !changes.neighbour_states.is_empty() {
            self.asker.ask(self.follower.store());
        }
        Ok(step)
    }

    /// Begins anew after an error: everything is read again, while workers keep what they have.
    pub fn reopen(&mut self) -> Result<Step, LiveError> {
        let started = Instant::now();
        let follower = Follower::open(self.settings.follow)?;
        let (teller, node) = Teller::begin(follower.store(), &self.config);
        let generation = self.node.tables.generation;
        (self.follower, self.teller, self.node) = (follower, teller, node);
        // The new node has numbers of its own, so nothing of it may meet what is published: all is replaced at once.
        self.waiting = None;
        self.node.tables.generation = generation;
        self.node.prepare();
        self.node.write();
        self.replace(self.node.tables.clone());
        self.batches += 1;
        Ok(Step { published: true, latency: Some(started.elapsed()) })
    }

    fn publish(&mut self, started: Instant) -> Step {
        if !self.node.is_pending() {
            return Step::default();
        }
        if self.node.prepare() {
            self.replace(self.node.tables.clone());
        }
        let waiting = Waiting { since: started, grace: self.control.begin_grace() };
        self.waiting = Some(waiting);
        self.write(waiting)
    }

    /// The second step and the third.
    fn write(&mut self, waiting: Waiting) -> Step {
        match self.control.wait(waiting.grace, self.settings.patience) {
            Ok(()) => self.stalled.clear(),
            Err(Stalled { workers, .. }) => {
                self.stalled = workers;
                return Step::default();
            }
        }
        self.node.grace_passed();
        if self.node.write() {
            self.replace(self.node.tables.clone());
        }
        self.batches += 1;
        self.waiting = None;
        Step { published: true, latency: Some(waiting.since.elapsed()) }
    }

    /// Publishes `tables` whatever the kernel says: for tests of whatever should notice.
    #[doc(hidden)]
    pub fn replace(&mut self, tables: Tables) {
        debug_assert_eq!(tables.verify(), Ok(()));
        self.control.publish(&self.published, tables);
        self.garbage = self.control.reclaim() > 0;
    }

    /// A reader for a new worker of this name.
    pub fn reader(&mut self, worker: impl Into<String>) -> Reader {
        self.control.reader(worker)
    }

    /// Where workers find the tables.
    pub fn published(&self) -> &Arc<Published<Tables>> {
        &self.published
    }

    /// The tables that workers read.
    pub fn tables(&self) -> &Tables {
        self.control.current(&self.published)
    }

    /// How the tables came about.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The kernel's state.
    pub fn follower(&self) -> &Follower {
        &self.follower
    }

    /// How many batches of changes workers have come to see, the first state being one.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// What is odd about how the kernel is followed and asked.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.follower.findings();
        findings.extend(self.asker.finding().cloned());
        findings
    }

    /// Names of the workers that the last step waited for in vain. What is new waits for them; nothing that they may read is
    /// freed.
    pub fn stalled(&self) -> &[String] {
        &self.stalled
    }
}

/// Ready when [`Live::step`] is to be called.
impl AsFd for Live {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.follower.as_fd()
    }
}
