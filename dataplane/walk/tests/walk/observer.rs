//! Who watches a walk sees each frame's steps in the order of the walk, and changes nothing.

use crate::common::node::{CALI1, PORTS};
use crate::common::packets::*;
use crate::common::traffic::samples;
use crate::common::{Node, OnPort, node};
use packetwalk_walk::{BATCH, Event, Instant, Observer, Outcome, Unobserved};

/// The steps of each frame of a batch, by place.
#[derive(Default)]
struct Watcher {
    steps: Vec<Vec<Step>>,
    sent: Vec<OnPort>,
    outcomes: Vec<(usize, Outcome)>,
}

/// A step's name, as far as its order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Received,
    Ethernet,
    Switched,
    Arp,
    Ipv4,
    Rule,
    Routed,
    Group,
    Neighbour,
    InnerIpv4,
    Exit,
    Forward,
    Fragmented,
    Icmp,
    Sent,
    Ended,
}

impl Observer for Watcher {
    fn event(&mut self, slot: usize, event: Event<'_>) {
        if self.steps.len() <= slot {
            self.steps.resize(slot + 1, Vec::new());
        }
        self.steps[slot].push(match event {
            Event::Received { .. } => Step::Received,
            Event::Ethernet { .. } => Step::Ethernet,
            Event::Switched { .. } => Step::Switched,
            Event::Arp { .. } => Step::Arp,
            Event::Ipv4 { inner, .. } => {
                if inner {
                    Step::InnerIpv4
                } else {
                    Step::Ipv4
                }
            }
            Event::Rule { .. } => Step::Rule,
            Event::Routed { .. } => Step::Routed,
            Event::Group { .. } => Step::Group,
            Event::Neighbour { .. } => Step::Neighbour,
            Event::Exit { .. } => Step::Exit,
            Event::Forward { .. } => Step::Forward,
            Event::Fragmented { .. } => Step::Fragmented,
            Event::IcmpError { .. } | Event::IcmpSuppressed { .. } => Step::Icmp,
            Event::Sent { port, frame } => {
                self.sent.push((port, frame.to_vec()));
                Step::Sent
            }
            Event::Ended(outcome) => {
                self.outcomes.push((slot, outcome));
                Step::Ended
            }
        });
    }
}

/// Whether a frame's steps are in the order of the walk: once, but for rules, which are tried one by one, for frames sent,
/// and for the second lookup that comes after a tunnel's exit.
fn in_order(steps: &[Step]) -> bool {
    let exit = steps.iter().position(|step| *step == Step::Exit);
    let (outer, inner) = steps.split_at(exit.map_or(steps.len(), |exit| exit + 1));
    let sorted = |steps: &[Step]| {
        steps
            .windows(2)
            .all(|pair| pair[0] < pair[1] || pair[0] == pair[1] && matches!(pair[0], Step::Rule | Step::Sent))
    };
    let whole = |steps: &[Step]| steps.first() == Some(&Step::Received) && steps.last() == Some(&Step::Ended);
    sorted(outer) && sorted(inner) && whole(steps)
}

#[test]
fn each_frames_steps_come_in_the_order_of_the_walk() {
    let frames: Vec<OnPort> = samples().into_iter().map(|sample| (sample.port, sample.frame)).collect();
    let mut node = Node::new();
    for group in frames.chunks(BATCH) {
        let mut watcher = Watcher::default();
        let walked = node.burst_observed(Instant(0), group, &mut watcher);
        assert_eq!(watcher.steps.len(), group.len());
        for (steps, (_, frame)) in watcher.steps.iter().zip(group) {
            assert!(in_order(steps), "{steps:?} of {frame:02x?}");
        }
        // Frames end one after the other, each once, and what was seen leaving is what left.
        let order: Vec<usize> = watcher.outcomes.iter().map(|(slot, _)| *slot).collect();
        assert_eq!(order, (0..group.len()).collect::<Vec<_>>());
        assert_eq!(watcher.sent, walked.sent);
        let count = |kind: fn(&Outcome) -> bool| {
            watcher.outcomes.iter().filter(|(_, outcome)| kind(outcome)).count() as u64
        };
        assert_eq!(count(|outcome| matches!(outcome, Outcome::Forwarded(_))), walked.counters.forwarded);
        assert_eq!(count(|outcome| matches!(outcome, Outcome::Answered(_))), walked.counters.answered);
        assert_eq!(count(|outcome| matches!(outcome, Outcome::Punted(_))), walked.counters.punted());
        assert_eq!(count(|outcome| matches!(outcome, Outcome::Dropped(_))), walked.counters.dropped());
    }
}

#[test]
fn an_observed_walk_sends_the_same_bytes_as_an_unobserved_one() {
    let frames: Vec<OnPort> = samples().into_iter().map(|sample| (sample.port, sample.frame)).collect();
    let (mut watched, mut alone) = (Node::new(), Node::new());
    for group in frames.chunks(BATCH) {
        let seen = watched.burst_observed(Instant(0), group, &mut Watcher::default());
        let unseen = alone.burst_observed(Instant(0), group, &mut Unobserved);
        assert_eq!((seen.sent, seen.punted, seen.dropped), (unseen.sent, unseen.punted, unseen.dropped));
    }
    assert_eq!(watched.total, alone.total);
    assert_eq!(watched.total.ports.len(), PORTS);
}

/// The steps of one frame, by name.
fn steps_of(name: &str) -> Vec<Step> {
    let sample = samples().into_iter().find(|sample| sample.name == name).unwrap();
    let mut watcher = Watcher::default();
    Node::new().burst_observed(Instant(0), &[(sample.port, sample.frame)], &mut watcher);
    watcher.steps[0].iter().copied().filter(|step| *step != Step::Rule).collect()
}

#[test]
fn the_steps_of_some_frames_are_these() {
    use Step::{
        Arp, Ended, Ethernet, Exit, Forward, Fragmented, Group, Icmp, InnerIpv4, Ipv4, Neighbour, Received,
        Routed, Sent, Switched,
    };
    assert_eq!(steps_of("runt"), [Received, Ethernet, Ended]);
    assert_eq!(steps_of("ARP for an own address"), [Received, Ethernet, Arp, Sent, Ended]);
    assert_eq!(steps_of("between members"), [Received, Ethernet, Switched, Sent, Ended]);
    assert_eq!(steps_of("wrong checksum"), [Received, Ethernet, Ended]);
    assert_eq!(steps_of("to a pod"), [Received, Ethernet, Ipv4, Routed, Forward, Sent, Ended]);
    assert_eq!(steps_of("to a group"), [Received, Ethernet, Ipv4, Routed, Group, Forward, Sent, Ended]);
    assert_eq!(
        steps_of("to a neighbour"),
        [Received, Ethernet, Ipv4, Routed, Neighbour, Forward, Sent, Ended]
    );
    assert_eq!(steps_of("TTL 1"), [Received, Ethernet, Ipv4, Routed, Forward, Icmp, Sent, Ended]);
    assert_eq!(
        steps_of("too big without DF"),
        [Received, Ethernet, Ipv4, Routed, Forward, Fragmented, Sent, Sent, Ended]
    );
    assert_eq!(
        steps_of("out of VXLAN"),
        [Received, Ethernet, Ipv4, Routed, InnerIpv4, Exit, Routed, Neighbour, Forward, Sent, Ended]
    );
}

#[test]
fn a_way_back_that_is_looked_up_for_an_error_is_no_step_of_the_frame() {
    let frame = ip_frame(node::CALI_MAC, node::POD1_MAC, &udp(node::POD1, node::WORLD, 100).ttl(1));
    let mut watcher = Watcher::default();
    Node::new().burst_observed(Instant(0), &[(CALI1, frame)], &mut watcher);
    assert_eq!(watcher.steps[0].iter().filter(|step| **step == Step::Routed).count(), 1);
}
