//! The same frames one at a time and in bursts: the same bytes in the same order, and the same counters.

use crate::common::traffic::samples;
use crate::common::{Node, OnPort};
use packetwalk_walk::{BATCH, Instant};
use proptest::prelude::*;

/// What a node sent and how it counted, when `frames` came in bursts of `size`. Frames come in groups of [`BATCH`] that have
/// one time; groups are `pause` nanoseconds apart.
fn walked_in_bursts_of(size: usize, frames: &[OnPort], pause: u64) -> (Vec<OnPort>, Node) {
    let mut node = Node::new();
    // A spare for every error and fragment that a group can want: the pool is no part of what is compared.
    node.set_spares(4 * BATCH);
    let mut sent = Vec::new();
    for (number, group) in frames.chunks(BATCH).enumerate() {
        for burst in group.chunks(size) {
            sent.extend(node.burst(Instant(number as u64 * pause), burst).sent);
        }
    }
    (sent, node)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_at_a_time_and_in_bursts_of_64_is_the_same(
        chosen in prop::collection::vec((any::<prop::sample::Index>(), any::<(prop::sample::Index, u8)>(), 0..10u8), 1..200),
        size in prop_oneof![Just(64usize), 2..64usize],
        pause in 0..20_000_000u64,
    ) {
        let samples = samples();
        let frames: Vec<OnPort> = chosen
            .into_iter()
            .map(|(sample, (at, value), odds)| {
                let sample = &samples[sample.index(samples.len())];
                let mut frame = sample.frame.clone();
                // Most frames as they are; some with a byte that is another.
                if odds < 2 {
                    let at = at.index(frame.len());
                    frame[at] = value;
                }
                (sample.port, frame)
            })
            .collect();
        let (one_by_one, alone) = walked_in_bursts_of(1, &frames, pause);
        let (in_bursts, together) = walked_in_bursts_of(size, &frames, pause);
        // Identifications of originated packets and the token bucket are in these bytes, too.
        prop_assert_eq!(one_by_one, in_bursts);
        prop_assert_eq!(&alone.total, &together.total);
    }
}

#[test]
fn a_burst_of_every_sample_is_the_same_as_one_by_one() {
    let frames: Vec<OnPort> = samples().into_iter().map(|sample| (sample.port, sample.frame)).collect();
    let (one_by_one, alone) = walked_in_bursts_of(1, &frames, 0);
    let (in_bursts, together) = walked_in_bursts_of(BATCH, &frames, 0);
    assert_eq!(one_by_one, in_bursts);
    assert_eq!(alone.total, together.total);
    assert!(alone.total.forwarded > 10 && alone.total.originated() > 5);
}

#[test]
fn frames_leave_in_the_order_in_which_they_came() {
    let frames: Vec<OnPort> = samples().into_iter().map(|sample| (sample.port, sample.frame)).collect();
    // An error and a fragment leave beside the frame that they belong to, not at the end of the batch.
    let mut node = Node::new();
    node.set_spares(4 * BATCH);
    let mut one_by_one = Vec::new();
    for frame in &frames {
        one_by_one.push(node.burst(Instant(0), std::slice::from_ref(frame)).sent.len());
    }
    let mut node = Node::new();
    node.set_spares(4 * BATCH);
    let mut sent = 0;
    for (number, group) in frames.chunks(BATCH).enumerate() {
        let walked = node.burst(Instant(0), group);
        let expected: usize = one_by_one[number * BATCH..].iter().take(group.len()).sum();
        assert_eq!(walked.sent.len(), expected);
        sent += expected;
    }
    assert_eq!(sent as u64, node.total.tx());
}
