//! Every interleaving of publish, reclaim, offline, online and shutdown:
//! `RUSTFLAGS="--cfg loom" cargo test --release -p packetwalk-rcu --test loom`.
#![cfg(loom)]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use packetwalk_rcu::Control;

/// Says when it was freed; loom sees a read that races with it.
struct Watched {
    value: u64,
    freed: Arc<AtomicBool>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.freed.store(true, Ordering::Relaxed);
    }
}

fn watched(value: u64) -> (Watched, Arc<AtomicBool>) {
    let freed = Arc::new(AtomicBool::new(false));
    (Watched { value, freed: Arc::clone(&freed) }, freed)
}

/// Reads, and asserts that what was read is not freed while it is held.
fn read(reader: &packetwalk_rcu::Reader, published: &packetwalk_rcu::Published<Watched>) -> u64 {
    let seen = reader.load(published);
    assert!(!seen.freed.load(Ordering::Relaxed), "freed under a reader");
    let value = seen.value;
    assert!(!seen.freed.load(Ordering::Relaxed), "freed under a reader");
    value
}

#[test]
fn publish_and_reclaim() {
    loom::model(|| {
        let mut control = Control::new();
        let (first, first_freed) = watched(1);
        let published = Arc::new(control.published(first));
        let mut reader = control.reader("worker");
        let theirs = Arc::clone(&published);
        let worker = thread::spawn(move || {
            let one = read(&reader, &theirs);
            let two = read(&reader, &theirs);
            assert!(two >= one);
            reader.quiescent();
            let three = read(&reader, &theirs);
            assert!(three >= two);
        });
        let (second, _) = watched(2);
        control.publish(&published, second);
        control.reclaim();
        worker.join().unwrap();
        // The reader is gone, and with it its claim.
        assert_eq!(control.reclaim(), 0);
        assert!(first_freed.load(Ordering::Relaxed));
    });
}

#[test]
fn offline_and_online_again() {
    loom::model(|| {
        let mut control = Control::new();
        let (first, _) = watched(1);
        let published = Arc::new(control.published(first));
        let mut reader = control.reader("worker");
        let theirs = Arc::clone(&published);
        let worker = thread::spawn(move || {
            read(&reader, &theirs);
            drop(reader.offline());
            read(&reader, &theirs);
        });
        let (second, _) = watched(2);
        control.publish(&published, second);
        control.reclaim();
        worker.join().unwrap();
        assert_eq!(control.reclaim(), 0);
    });
}

#[test]
fn a_worker_that_starts_while_control_frees() {
    loom::model(|| {
        let mut control = Control::new();
        let (first, _) = watched(1);
        let published = Arc::new(control.published(first));
        let mut reader = control.reader("worker");
        let offline = Arc::new(AtomicBool::new(false));
        let (theirs, told) = (Arc::clone(&published), Arc::clone(&offline));
        let worker = thread::spawn(move || {
            let guard = reader.offline();
            told.store(true, Ordering::Relaxed);
            drop(guard);
            read(&reader, &theirs)
        });
        let (second, _) = watched(2);
        control.publish(&published, second);
        control.reclaim();
        let (third, _) = watched(3);
        control.publish(&published, third);
        control.reclaim();
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
