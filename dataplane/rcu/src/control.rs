//! The control thread's side: it publishes, and it alone frees.

use crate::cell::{self, Cell, Epoch, OFFLINE};
use crate::reader::Reader;
use crate::sync::{Arc, AtomicPtr, AtomicU64, Ordering, fence, yield_now};
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// A pointer that workers follow. Made by [`Control::published`], changed by that control only.
pub struct Published<T> {
    pointer: AtomicPtr<T>,
    /// Whose it is: readers of another control would not be waited for.
    domain: Arc<Epoch>,
}

// SAFETY: workers get `&T` from it on their threads (T: Sync), and control takes the box back on its own (T: Send).
unsafe impl<T: Send + Sync> Sync for Published<T> {}
// SAFETY: as above; the pointer owns its box.
unsafe impl<T: Send + Sync> Send for Published<T> {}

impl<T> Published<T> {
    /// # Panics
    /// If `domain` is not that of the control that made it.
    #[inline]
    pub(crate) fn load(&self, domain: &Arc<Epoch>) -> &T {
        assert!(Arc::ptr_eq(domain, &self.domain), "published by another control");
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: the pointer came from a box and is never null. Readers of the same domain call this, online, so control
        // does not free what they got before they are quiescent (argued in the crate's documentation), and the lifetime that
        // `Reader::load` gives ends before that. Control itself borrows itself for as long as it uses the result.
        unsafe { &*pointer }
    }
}

impl<T> Drop for Published<T> {
    fn drop(&mut self) {
        let pointer = self.pointer.load(Ordering::Relaxed);
        // SAFETY: dropping needs the value exclusively, so no reader holds a reference to it (`Reader::load` borrows it for as long
        // as its result lives), and the pointer is that of a box that nobody else frees.
        drop(unsafe { Box::from_raw(pointer) });
    }
}

impl<T: fmt::Debug> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Published").finish_non_exhaustive()
    }
}

/// A worker has not been quiescent for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stalled {
    /// The names of the workers that control waited for in vain.
    pub workers: Vec<String>,
    /// How long it waited.
    pub waited: Duration,
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not quiescent for {:?}: {}", self.waited, self.workers.join(", "))
    }
}

impl std::error::Error for Stalled {}

/// A grace period that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// Workers that have seen it have passed.
    epoch: u64,
}

/// Something unlinked, and the epoch that must have been seen before it is freed. Lost, if it is dropped before.
struct Retired {
    epoch: u64,
    /// From a box, but none until it is freed: to own a box is to say that nobody else reads what is in it, and workers may.
    garbage: *mut dyn Send,
}

// SAFETY: it is as if it owned the box, whose content may be sent.
unsafe impl Send for Retired {}

/// The one that publishes and frees. Not `Clone`: there is one.
pub struct Control {
    epoch: Arc<Epoch>,
    cells: Vec<Arc<Cell>>,
    retired: VecDeque<Retired>,
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    /// Without workers.
    pub fn new() -> Self {
        Self { epoch: cell::epoch(), cells: Vec::new(), retired: VecDeque::new() }
    }

    /// A reader for a new worker.
    pub fn reader(&mut self, name: impl Into<String>) -> Reader {
        // A worker that has gone holds its cell no longer.
        self.cells.retain(|cell| Arc::strong_count(cell) > 1);
        let cell = Arc::new(Cell { seen: AtomicU64::new(OFFLINE), name: name.into() });
        self.cells.push(Arc::clone(&cell));
        Reader::new(Arc::clone(&self.epoch), cell)
    }

    /// Publishes a first value.
    pub fn published<T: Send + Sync + 'static>(&self, value: T) -> Published<T> {
        Published { pointer: AtomicPtr::new(Box::into_raw(Box::new(value))), domain: Arc::clone(&self.epoch) }
    }

    /// What is published, for control itself.
    pub fn current<'p, T>(&'p self, published: &'p Published<T>) -> &'p T {
        published.load(&self.epoch)
    }

    /// Replaces what is published. The old value is freed by a later [`Control::reclaim`], when no worker can read it.
    ///
    /// # Panics
    /// If another control made `published`.
    pub fn publish<T: Send + Sync + 'static>(&mut self, published: &Published<T>, value: T) {
        assert!(Arc::ptr_eq(&self.epoch, &published.domain), "published by another control");
        // Release: whoever loads the pointer sees the value whole. What it replaces was stored here, too, and is now ours to free.
        let old = published.pointer.swap(Box::into_raw(Box::new(value)), Ordering::Release);
        self.retire_pointer(old);
    }

    /// Takes over something that is dropped as by [`Control::publish`], when no worker can be in what it stands for any more:
    /// a reference count, the numbers of nodes. What workers hold references to must lie behind the box, not in it:
    /// whoever owns a box claims to be the only one who reads it.
    pub fn retire(&mut self, garbage: Box<impl Send + 'static>) {
        self.retire_pointer(Box::into_raw(garbage));
    }

    /// `garbage` came from a box, and is this control's alone to free.
    fn retire_pointer(&mut self, garbage: *mut (impl Send + 'static)) {
        let epoch = self.advance();
        self.retired.push_back(Retired { epoch, garbage });
    }

    /// Begins a new epoch: what was unlinked before is out of reach of all who have seen it.
    fn advance(&mut self) -> u64 {
        // Release: whoever sees the epoch sees what was stored before it.
        let epoch = self.epoch.0.fetch_add(1, Ordering::Release) + 1;
        // Between the unlinking and the look at the cells: see the crate's argument, "comes online".
        fence(Ordering::SeqCst);
        epoch
    }

    /// Frees what no worker can still read, without waiting. Returns how much is left.
    pub fn reclaim(&mut self) -> usize {
        let passed = self.oldest_seen();
        while self.retired.front().is_some_and(|retired| retired.epoch <= passed) {
            if let Some(Retired { garbage, .. }) = self.retired.pop_front() {
                // SAFETY: the pointer is that of a box and was unlinked before its epoch; all workers have seen that epoch or are
                // offline, so none holds a reference (argued in the crate's documentation). Taken out of the list, it is freed once.
                drop(unsafe { Box::from_raw(garbage) });
            }
        }
        self.retired.len()
    }

    /// Begins a grace period: it is over once every worker that is online now has been quiescent or offline.
    pub fn begin_grace(&mut self) -> Grace {
        Grace { epoch: self.advance() }
    }

    /// Waits until a grace period of this control is over, and frees. Where a worker has not been quiescent within `patience` it
    /// is named, and what it may read is kept; the same period can be waited for again.
    pub fn wait(&mut self, grace: Grace, patience: Duration) -> Result<(), Stalled> {
        let Grace { epoch } = grace;
        let start = Instant::now();
        loop {
            if self.oldest_seen() >= epoch {
                self.reclaim();
                return Ok(());
            }
            let waited = start.elapsed();
            if waited >= patience {
                return Err(Stalled { workers: self.behind(epoch), waited });
            }
            yield_now();
        }
    }

    /// Waits until every online worker has been quiescent once after this call began, and frees.
    pub fn synchronize(&mut self, patience: Duration) -> Result<(), Stalled> {
        let grace = self.begin_grace();
        self.wait(grace, patience)
    }

    /// The online workers that have not seen `epoch`.
    fn behind(&self, epoch: u64) -> Vec<String> {
        let late = self.cells.iter().filter(|cell| {
            let seen = cell.seen.load(Ordering::Acquire);
            seen != OFFLINE && seen < epoch
        });
        late.map(|cell| cell.name.clone()).collect()
    }

    /// The oldest epoch that an online worker may still be in.
    fn oldest_seen(&self) -> u64 {
        let seen = self.cells.iter().map(|cell| cell.seen.load(Ordering::Acquire));
        seen.filter(|seen| *seen != OFFLINE).min().unwrap_or(u64::MAX)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // What a worker may still read outlives control: better lost than freed under it.
        self.reclaim();
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("cells", &self.cells)
            .field("retired", &self.retired.len())
            .finish_non_exhaustive()
    }
}
