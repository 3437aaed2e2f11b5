//! Any frames on the node of the walk's tests: each has one outcome, the counters balance, no buffer is lost, what is punted
//! is what was received, and what is sent is well-formed. `Node::burst` asserts all of it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use packetwalk_fuzz::common::Node;
use packetwalk_fuzz::common::node::{CALI2, ETH1, PORTS, VETH1};
use packetwalk_fuzz::frames;
use packetwalk_walk::tables::Role;
use packetwalk_walk::{Instant, Settings, Worker};
use std::cell::RefCell;

thread_local! {
    static NODES: RefCell<Vec<Node>> = RefCell::new(nodes());
}

/// The node as it is, and with other settings.
fn nodes() -> Vec<Node> {
    let plain = Node::new();
    let mut behind = Node::new();
    behind.tables.kernel_behind = true;
    if let Some(member) = &mut behind.tables.ports[VETH1.index()].bridge {
        member.hairpin = true;
    }
    behind.tables.ports[CALI2.index()].role = Role::Uplink;
    let mut short = Node::new();
    short.ring = 2;
    short.set_spares(3);
    short.gone.push(ETH1);
    let mut narrow = Node::new();
    for (number, adjacency) in narrow.tables.adjacencies.iter_mut().enumerate() {
        adjacency.mtu = [68, 576, 1500, 1280, 29][number % 5];
    }
    vec![plain, behind, short, narrow]
}

fuzz_target!(|input: &[u8]| {
    let (which, bursts) = frames::read(input);
    NODES.with_borrow_mut(|nodes| {
        let count = nodes.len();
        let node = &mut nodes[usize::from(which) % count];
        // Each input begins anew, so that a crash can be had again from it alone.
        node.worker = Worker::new(PORTS, Settings::default());
        let mut now = 0;
        for burst in &bursts {
            now += if burst.later { 1_000_000 } else { 0 };
            node.burst(Instant(now), &burst.frames);
        }
    });
});
