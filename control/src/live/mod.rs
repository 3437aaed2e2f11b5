//! The kernel's state as workers see it: followed, built, published.
//!
//! Everything between "the kernel said so" and "workers can see it" is here, and on one thread.

use crate::config::Config;
use crate::netlink::{FollowSettings, Follower, NetlinkError};
use crate::node::Node;
use crate::resolve::Behind;
use packetwalk_rcu::{Control, Published, Reader, Stalled};
use packetwalk_walk::Tables;
use packetwalk_walk::tables::Inconsistent;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How the kernel is followed, and workers are waited for.
#[derive(Clone, Copy, Debug)]
pub struct LiveSettings {
    /// How the kernel is followed.
    pub follow: FollowSettings,
    /// How long workers are waited for after a publication before they are called stalled.
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
    /// A fault of packetwalk: what was built is not whole, so it is not published.
    #[error(
        "tables: {0}; this is a fault of packetwalk, please report it with the output of `packetwalk snapshot`"
    )]
    Tables(Inconsistent),
}

/// What [`Live::step`] did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    /// Whether workers see other tables than before.
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
    node: Node,
    control: Control,
    published: Published<Tables>,
    generation: u64,
    stalled: Vec<String>,
}

/// How soon to look again while something has to be listed anew.
const SETTLE: Duration = Duration::from_millis(2);

impl Live {
    /// Reads the state of the network namespace of the calling thread, and publishes what is made of it.
    pub fn open(config: Config, settings: LiveSettings) -> Result<Self, LiveError> {
        let follower = Follower::open(settings.follow)?;
        let node = build(&follower, &config, 1)?;
        let control = Control::new();
        let published = control.published(node.tables.clone());
        Ok(Self { config, settings, follower, node, control, published, generation: 1, stalled: Vec::new() })
    }

    /// When [`Live::step`] is to be called even if [`Live::as_fd`] is not ready.
    pub fn deadline(&self) -> Option<Instant> {
        self.follower.is_behind().then(|| Instant::now() + SETTLE)
    }

    /// Takes in what there is, and publishes what it makes different. Does not block.
    pub fn step(&mut self) -> Result<Step, LiveError> {
        let started = Instant::now();
        if self.follower.wait(Duration::ZERO)?.is_empty() {
            return Ok(Step::default());
        }
        self.publish()?;
        Ok(Step { published: true, latency: Some(started.elapsed()) })
    }

    /// Begins anew after an error: everything is read again, while workers keep what they have.
    pub fn reopen(&mut self) -> Result<Step, LiveError> {
        self.follower = Follower::open(self.settings.follow)?;
        self.publish()?;
        Ok(Step { published: true, latency: None })
    }

    fn publish(&mut self) -> Result<(), LiveError> {
        self.generation += 1;
        self.node = build(&self.follower, &self.config, self.generation)?;
        self.replace(self.node.tables.clone());
        Ok(())
    }

    /// Publishes `tables` whatever the kernel says: for tests of whatever should notice.
    #[doc(hidden)]
    pub fn replace(&mut self, tables: Tables) {
        self.control.publish(&self.published, tables);
        self.stalled = match self.control.synchronize(self.settings.patience) {
            Ok(()) => Vec::new(),
            Err(Stalled { workers, .. }) => workers,
        };
    }

    /// A reader for a new worker of this name.
    pub fn reader(&mut self, worker: impl Into<String>) -> Reader {
        self.control.reader(worker)
    }

    /// Where workers find the tables.
    pub fn published(&self) -> &Published<Tables> {
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

    /// Names of the workers that were not quiescent within the time that the settings give them.
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

fn build(follower: &Follower, config: &Config, generation: u64) -> Result<Node, LiveError> {
    let mut node = Node::build(&follower.state(), config, Behind::Kernel);
    node.tables.generation = generation;
    node.tables.verify().map_err(LiveError::Tables)?;
    Ok(node)
}
