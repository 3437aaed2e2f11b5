//! Control and workers on real threads, and under Miri: `scripts/miri`.
#![cfg(not(loom))]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use packetwalk_rcu::Control;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const ROUNDS: u64 = if cfg!(miri) { 30 } else { 20_000 };
const PATIENCE: Duration = Duration::from_secs(if cfg!(miri) { 600 } else { 30 });

/// A value whose two halves are equal while it lives.
struct Pair(u64, Box<u64>, Arc<AtomicUsize>);

impl Pair {
    fn new(value: u64, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(value, Box::new(value), Arc::clone(alive))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        *self.1 = u64::MAX;
        self.2.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn workers_never_see_a_freed_value_and_nothing_leaks() {
    let alive = Arc::new(AtomicUsize::new(0));
    let mut control = Control::new();
    let published = Arc::new(control.published(Pair::new(0, &alive)));
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..2)
        .map(|number| {
            let mut reader = control.reader(format!("worker {number}"));
            let (published, stop) = (Arc::clone(&published), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut last = 0;
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..8 {
                        let pair = reader.load(&published);
                        assert_eq!(pair.0, *pair.1);
                        assert!(pair.0 >= last, "time runs forward");
                        last = pair.0;
                    }
                    reader.quiescent();
                    if last % 7 == 0 {
                        let offline = reader.offline();
                        std::thread::yield_now();
                        drop(offline);
                    }
                }
            })
        })
        .collect();
    for value in 1..=ROUNDS {
        control.publish(&published, Pair::new(value, &alive));
        match value % 3 {
            0 => control.synchronize(PATIENCE).unwrap(),
            _ => drop(control.reclaim()),
        }
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(control.reclaim(), 0);
    drop(published);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn a_stalled_worker_is_named_and_what_it_reads_is_kept() {
    let alive = Arc::new(AtomicUsize::new(0));
    let mut control = Control::new();
    let published = control.published(Pair::new(1, &alive));
    let mut stuck = control.reader("worker 3 (core 5)");
    let sleeping = &mut control.reader("worker 4 (core 6)");
    let _offline = sleeping.offline();

    let old = stuck.load(&published);
    control.publish(&published, Pair::new(2, &alive));
    let stalled = control.synchronize(Duration::from_millis(5)).unwrap_err();
    assert_eq!(stalled.workers, ["worker 3 (core 5)"]);
    assert_eq!((old.0, *old.1), (1, 1));
    assert_eq!(alive.load(Ordering::Relaxed), 2);

    stuck.quiescent();
    assert_eq!(control.reclaim(), 0);
    assert_eq!(alive.load(Ordering::Relaxed), 1);
}

#[test]
fn what_all_have_passed_is_freed_while_they_go_on() {
    let alive = Arc::new(AtomicUsize::new(0));
    let mut control = Control::new();
    let published = control.published(Pair::new(1, &alive));
    let mut readers = [control.reader("one"), control.reader("two")];
    control.publish(&published, Pair::new(2, &alive));
    for (reader, left) in readers.iter_mut().zip([1, 0]) {
        assert_eq!(control.reclaim(), 1);
        reader.quiescent();
        assert_eq!(control.reclaim(), left);
    }
    assert_eq!(alive.load(Ordering::Relaxed), 1);
}

#[test]
#[cfg_attr(miri, ignore = "it loses memory on purpose: scripts/miri runs it without looking for leaks")]
fn control_may_go_first() {
    let alive = Arc::new(AtomicUsize::new(0));
    let mut control = Control::new();
    let published = control.published(Pair::new(1, &alive));
    let reader = control.reader("worker");
    let old = reader.load(&published);
    control.publish(&published, Pair::new(2, &alive));
    drop(control);
    assert_eq!((old.0, *old.1), (1, 1), "a value that a worker reads outlives control");
}

#[test]
#[should_panic(expected = "another control")]
fn a_reader_of_another_control_is_refused() {
    let (ours, mut theirs) = (Control::new(), Control::new());
    let published = ours.published(1);
    theirs.reader("stranger").load(&published);
}
