//! Frames that the kernel sent and the walk has no part in: each needs a reason and, where there can
//! be any, evidence among the frames that the walk handed to the kernel. No evidence, no excuse.

use super::packet::{Ipv4, View};
use super::recording::{Passed, Recording, Replayed};

/// Why the kernel sent a frame that the walk rightly did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// A reply to an echo request that was punted.
    EchoReply,
    /// 3/2 or 3/3 about a packet that was punted.
    NothingListens,
    /// The node's own group management (IGMP), sent by its bridge or a link.
    GroupReport,
    /// The node asks for a neighbour, or whether one is still there.
    ArpRequest,
    /// The node answers an ARP request that was punted.
    ArpReply,
    /// The bridge sends on, to another member, what was addressed to a group.
    Flooded,
    /// 3/1 about a packet that waited for a neighbour until the kernel gave it up. The walk has the
    /// kernel resolve neighbours, and in a replay drops such a packet as `neighbour_unresolved`.
    NeighbourGivenUp,
}

/// Pieces of evidence are used up: two replies need two requests.
pub(crate) struct Explainer<'a> {
    recording: &'a Recording,
    /// What was punted and has not yet explained a frame.
    punted: Vec<View<'a>>,
    /// What came in for a group, each with the members that have not sent it on so far.
    to_groups: Vec<&'a Passed>,
    flooded: Vec<(usize, &'a str)>,
}

impl<'a> Explainer<'a> {
    pub(crate) fn new(recording: &'a Recording, replayed: &'a Replayed) -> Self {
        Self {
            recording,
            punted: replayed.punted.iter().map(|frame| View(&frame.bytes)).collect(),
            to_groups: recording.received.iter().filter(|frame| frame.view().is_to_a_group()).collect(),
            flooded: Vec::new(),
        }
    }

    /// The reason for a frame that the kernel sent, or none: then the walk must have sent it, too.
    pub(crate) fn explain(&mut self, sent: &'a Passed) -> Option<Reason> {
        if self.is_flooded(sent) {
            return Some(Reason::Flooded);
        }
        let frame = sent.view();
        if let Some(arp) = frame.arp() {
            let ours = self.recording.node.owns(arp.sender);
            let left_to_the_kernel = |punted: &View<'_>| {
                punted.arp().is_some_and(|asked| asked.target == arp.sender && asked.sender == arp.target)
            };
            return match arp.operation {
                1 if ours => Some(Reason::ArpRequest),
                2 if ours && self.take(left_to_the_kernel) => Some(Reason::ArpReply),
                _ => None,
            };
        }
        let packet = frame.innermost().filter(|packet| self.recording.node.owns(packet.source()))?;
        self.speech(packet)
    }

    /// What the node itself says in IP.
    fn speech(&mut self, packet: Ipv4<'a>) -> Option<Reason> {
        if packet.protocol() == 2 && packet.destination().is_multicast() {
            return Some(Reason::GroupReport);
        }
        match (packet.icmp()?, packet.quoted()) {
            ((0, 0), _) => {
                let asked = |punted: &View<'_>| {
                    punted.innermost().is_some_and(|request| {
                        request.icmp() == Some((8, 0))
                            && request.source() == packet.destination()
                            && request.body()[4..] == packet.body()[4..]
                    })
                };
                self.take(asked).then_some(Reason::EchoReply)
            }
            ((3, 2 | 3), Some(quoted)) => {
                let quotes = |punted: &View<'_>| {
                    punted.innermost().is_some_and(|offender| offender.bytes().starts_with(quoted.bytes()))
                };
                self.take(quotes).then_some(Reason::NothingListens)
            }
            ((3, 1), Some(quoted)) => self.was_given_up(quoted).then_some(Reason::NeighbourGivenUp),
            _ => None,
        }
    }

    /// The kernel had taken one off the TTL when it gave up: no packet came in as it is quoted. An
    /// error about the type of a route quotes the packet as it came.
    fn was_given_up(&self, quoted: Ipv4<'_>) -> bool {
        let same_but_for_the_ttl = |packet: Ipv4<'_>| {
            let (received, quoted) = (packet.bytes(), quoted.bytes());
            packet.ttl() == quoted[8] + 1
                && received[..8] == quoted[..8]
                && received[12..20] == quoted[12..20]
        };
        !self.recording.node.unresolved.is_empty()
            && self
                .recording
                .received
                .iter()
                .filter_map(|frame| frame.view().innermost())
                .any(same_but_for_the_ttl)
    }

    fn is_flooded(&mut self, sent: &'a Passed) -> bool {
        let origin = self.to_groups.iter().enumerate().position(|(index, received)| {
            self.recording.node.share_a_bridge(&received.port, &sent.port)
                && received.frame.bytes == sent.frame.bytes
                && !self.flooded.contains(&(index, sent.port.as_str()))
        });
        self.flooded.extend(origin.map(|index| (index, sent.port.as_str())));
        origin.is_some()
    }

    fn take(&mut self, is_evidence: impl Fn(&View<'a>) -> bool) -> bool {
        let found = self.punted.iter().position(is_evidence);
        found.map(|index| self.punted.swap_remove(index)).is_some()
    }
}
