//! After set-up the walk allocates nothing, whatever comes in: a counting allocator looks on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a test that cannot go on has failed
#![allow(missing_docs, unreachable_pub)] // nobody imports a test
#![allow(dead_code)] // the common part serves the other tests too
#![allow(unsafe_code)] // `GlobalAlloc` is an unsafe trait

#[path = "walk/common/mod.rs"]
mod common;

use common::node::{CALI1, PORTS};
use common::sink::Recorder;
use common::traffic::{Sample, samples};
use common::{Node, packets};
use packetwalk_walk::{BATCH, Batch, Event, Frame, HEADROOM, Instant, Observer, Outcome, walk_observed};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts the calls that this thread makes: tests run side by side.
struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends has lost its counter, and nobody asks for it any more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator as it came; counting touches a `Cell` without a destructor and
// does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls of the allocator while `work` runs.
fn allocator_calls(work: impl FnOnce()) -> u64 {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}

/// Remembers the last outcome, without a heap.
#[derive(Default)]
struct Last(Option<Outcome>);

impl Observer for Last {
    fn event(&mut self, _: usize, event: Event<'_>) {
        if let Event::Ended(outcome) = event {
            self.0 = Some(outcome);
        }
    }
}

/// Walks `frames` in one batch, with everything made before, and returns what the walk itself allocated.
fn calls_of_walk(node: &mut Node, frames: &[Sample]) -> u64 {
    let mut buffers: Vec<Vec<u8>> =
        frames.iter().map(|sample| [vec![0; HEADROOM], sample.frame.clone()].concat()).collect();
    let mut spares = vec![vec![0; 2048 + HEADROOM]; 256];
    let mut batch = Batch::new();
    for (buffer, sample) in buffers.iter_mut().zip(frames) {
        batch.push(Frame::new(buffer, HEADROOM, sample.frame.len(), sample.port).expect("it fits"));
    }
    let spares = spares.iter_mut().map(Vec::as_mut_slice).collect();
    let mut sink = Recorder::new(PORTS, frames.len(), spares);
    sink.ring = node.ring;
    let mut last = Last::default();
    let calls = allocator_calls(|| {
        walk_observed(&node.tables, &mut node.worker, Instant(0), &mut batch, &mut sink, &mut last);
    });
    assert!(last.0.is_some());
    calls
}

#[test]
fn the_allocator_does_count() {
    assert!(allocator_calls(|| drop(std::hint::black_box(vec![1u8; 100]))) >= 2);
}

#[test]
fn no_way_through_the_walk_allocates() {
    let mut node = Node::new();
    for sample in samples() {
        assert_eq!(calls_of_walk(&mut node, std::slice::from_ref(&sample)), 0, "{}", sample.name);
    }
    // The samples took every way: what they counted says so.
    let counters = &node.worker.counters;
    assert!(counters.forwarded > 10 && counters.answered > 3 && counters.punted() > 10);
    assert!(counters.icmp_errors > 5 && counters.fragments > 3);
}

#[test]
fn a_full_batch_allocates_nothing() {
    let mut node = Node::new();
    let samples = samples();
    for batch in samples.chunks(BATCH) {
        assert_eq!(calls_of_walk(&mut node, batch), 0);
    }
}

#[test]
fn nothing_is_allocated_where_rings_are_full_and_spares_are_out() {
    let mut node = Node::new();
    node.ring = 1;
    let frame = packets::ip_frame(
        common::node::CALI_MAC,
        common::node::POD1_MAC,
        &packets::udp(common::node::POD1, common::node::NARROW, 1400),
    );
    let large = vec![Sample { name: "too big", port: CALI1, frame }; BATCH];
    assert_eq!(calls_of_walk(&mut node, &large), 0);
}
