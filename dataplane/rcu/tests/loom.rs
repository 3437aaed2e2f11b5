//! Every interleaving of publish, reclaim, change in place, offline, online and shutdown:
//! `RUSTFLAGS="--cfg loom" cargo test --release -p packetwalk-rcu --test loom`.
//!
//! Each ordering and fence of the crate is needed by one of these models: weaken it, and that model fails.
#![cfg(loom)]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use packetwalk_rcu::{Control, Published, Reader};
use std::time::Duration;

/// Loom's time does not pass: whoever waits for a worker that never comes waits for ever, and loom says so.
const PATIENCE: Duration = Duration::MAX;

/// What a value is to whoever watches it. A read that is not ordered before the freeing, or after the making, is
/// reported by loom, whatever it saw.
struct Content(UnsafeCell<Option<u64>>);

// SAFETY: loom fails the model when two threads touch the cell without an order between them, which is what is tested.
unsafe impl Sync for Content {}
// SAFETY: as above.
unsafe impl Send for Content {}

impl Content {
    fn new(value: u64) -> Self {
        Self(UnsafeCell::new(Some(value)))
    }

    fn value(&self) -> Option<u64> {
        // SAFETY: loom allows this access only when it races with none.
        self.0.with(|content| unsafe { *content })
    }

    fn set(&self, value: Option<u64>) {
        // SAFETY: loom allows this access only when it races with none.
        self.0.with_mut(|content| unsafe { *content = value });
    }
}

/// A published value: freeing it empties its content, which outlives it to be looked at.
struct Watched(Arc<Content>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

fn watched(value: u64) -> (Watched, Arc<Content>) {
    let content = Arc::new(Content::new(value));
    (Watched(Arc::clone(&content)), content)
}

fn read(reader: &Reader, published: &Published<Watched>) -> u64 {
    reader.load(published).0.value().expect("not freed under a reader")
}

/// A worker that reads `published` before and after it was quiescent.
fn worker(mut reader: Reader, published: &Arc<Published<Watched>>) -> thread::JoinHandle<()> {
    let published = Arc::clone(published);
    thread::spawn(move || {
        let one = read(&reader, &published);
        let two = read(&reader, &published);
        assert!(two >= one);
        reader.quiescent();
        assert!(read(&reader, &published) >= two);
    })
}

#[test]
fn publish_and_reclaim() {
    loom::model(|| {
        let mut control = Control::new();
        let (first, first_content) = watched(1);
        let published = Arc::new(control.published(first));
        let reader = control.reader("worker");
        let worker = worker(reader, &published);
        control.publish(&published, watched(2).0);
        control.reclaim();
        worker.join().unwrap();
        // The reader is gone, and with it its claim.
        assert_eq!(control.reclaim(), 0);
        assert_eq!(first_content.value(), None);
    });
}

#[test]
fn the_slower_of_two_workers_is_waited_for() {
    // Three threads have too many interleavings to try all: those with up to two preemptions.
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let mut control = Control::new();
        let published = Arc::new(control.published(watched(1).0));
        let readers = [control.reader("one"), control.reader("two")];
        let workers = readers.map(|reader| worker(reader, &published));
        control.publish(&published, watched(2).0);
        control.reclaim();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(control.reclaim(), 0);
    });
}

#[test]
fn a_worker_that_joins_or_leaves_hides_no_other() {
    loom::model(|| {
        let mut control = Control::new();
        let published = Arc::new(control.published(watched(1).0));
        let reader = control.reader("worker");
        let worker = worker(reader, &published);
        drop(control.reader("left at once"));
        let joined = control.reader("joined");
        control.publish(&published, watched(2).0);
        drop(joined);
        control.reclaim();
        worker.join().unwrap();
        assert_eq!(control.reclaim(), 0);
    });
}

#[test]
fn synchronize_frees_before_it_returns() {
    loom::model(|| {
        let mut control = Control::new();
        let (first, first_content) = watched(1);
        let published = Arc::new(control.published(first));
        let reader = control.reader("worker");
        let worker = worker(reader, &published);
        control.publish(&published, watched(2).0);
        control.synchronize(PATIENCE).unwrap();
        assert_eq!(first_content.value(), None);
        worker.join().unwrap();
    });
}

/// A table of one entry that leads to one of two nodes, as the FIB's do.
struct InPlace {
    entry: AtomicUsize,
    nodes: [Content; 2],
}

impl InPlace {
    fn look_up(&self) -> u64 {
        self.nodes[self.entry.load(Ordering::Acquire)].value().unwrap()
    }
}

#[test]
fn a_node_is_used_again_once_no_worker_is_in_it() {
    loom::model(|| {
        let mut control = Control::new();
        let nodes = [Content::new(1), Content::new(0)];
        let table = Arc::new(InPlace { entry: AtomicUsize::new(0), nodes });
        let mut reader = control.reader("worker");
        let theirs = Arc::clone(&table);
        let worker = thread::spawn(move || {
            let one = theirs.look_up();
            reader.quiescent();
            let two = theirs.look_up();
            assert!(two >= one);
            drop(reader.offline());
            assert!(theirs.look_up() >= two);
        });
        table.nodes[1].set(Some(2));
        table.entry.store(1, Ordering::Release);
        control.synchronize(PATIENCE).unwrap();
        table.nodes[0].set(Some(3));
        table.entry.store(0, Ordering::Release);
        worker.join().unwrap();
    });
}

#[test]
fn offline_and_online_again() {
    loom::model(|| {
        let mut control = Control::new();
        let published = Arc::new(control.published(watched(1).0));
        let mut reader = control.reader("worker");
        let theirs = Arc::clone(&published);
        let worker = thread::spawn(move || {
            read(&reader, &theirs);
            drop(reader.offline());
            read(&reader, &theirs);
        });
        control.publish(&published, watched(2).0);
        control.reclaim();
        worker.join().unwrap();
        assert_eq!(control.reclaim(), 0);
    });
}

#[test]
fn a_worker_comes_online_while_control_publishes_twice() {
    loom::model(|| {
        let mut control = Control::new();
        let published = Arc::new(control.published(watched(1).0));
        let mut reader = control.reader("worker");
        let theirs = Arc::clone(&published);
        let worker = thread::spawn(move || {
            drop(reader.offline());
            read(&reader, &theirs);
        });
        for value in [2, 3] {
            control.publish(&published, watched(value).0);
            control.reclaim();
        }
        worker.join().unwrap();
        assert_eq!(control.reclaim(), 0);
    });
}

#[test]
fn shutdown_of_control_first() {
    loom::model(|| {
        let mut control = Control::new();
        // Without a witness of its freeing: what control cannot free any more is lost on purpose.
        let published = Arc::new(control.published(1));
        let reader = control.reader("worker");
        let theirs = Arc::clone(&published);
        let worker = thread::spawn(move || *reader.load(&theirs));
        control.publish(&published, 2);
        drop(control);
        assert!(matches!(worker.join().unwrap(), 1 | 2));
    });
}

#[test]
fn shutdown_of_the_worker_first() {
    loom::model(|| {
        let mut control = Control::new();
        let (first, first_content) = watched(1);
        let published = Arc::new(control.published(first));
        let reader = control.reader("worker");
        let theirs = Arc::clone(&published);
        let worker = thread::spawn(move || read(&reader, &theirs));
        control.publish(&published, watched(2).0);
        worker.join().unwrap();
        drop(control);
        assert_eq!(first_content.value(), None);
    });
}
