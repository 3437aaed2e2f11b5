//! The walk against the kernel: the same frames by the same port, in the same order within a flow,
//! equal in every byte but for the fields that are free.

use std::collections::BTreeMap;

use super::explain::{Explainer, Reason};
use super::packet::View;
use super::recording::{Node, Recording, Replayed};
use crate::common::{Comparison, Frame};

/// What was seen, so that a test can say that a recording exercised what it should.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Frames that the walk and the kernel both sent.
    pub(crate) equal: usize,
    pub(crate) entered_tunnel: usize,
    /// Entered with another outer TOS than the kernel's.
    pub(crate) dscp_or_ce_copied: usize,
    pub(crate) fragments: usize,
    /// ICMP errors of both, by type and code.
    pub(crate) errors: BTreeMap<(u8, u8), usize>,
    /// ARP requests of the walk.
    pub(crate) asked: usize,
    /// Frames that only the kernel sent.
    pub(crate) explained: BTreeMap<Reason, usize>,
}

/// Compares one node's recording with its replay; the error shows the first differences.
pub(crate) fn compare(recording: &Recording, replayed: &Replayed) -> Result<Seen, String> {
    let node = &recording.node;
    let mut seen = Seen::default();
    let mut faults = Vec::new();
    let mut ports: BTreeMap<&str, [Vec<Frame>; 2]> = BTreeMap::new();
    let mut kernel_asked = Vec::new();

    let mut explainer = Explainer::new(recording, replayed);
    for passed in &recording.sent {
        if let Some(reason) = explainer.explain(passed) {
            *seen.explained.entry(reason).or_default() += 1;
            if reason == Reason::ArpRequest {
                kernel_asked.push((&passed.port, &passed.frame.bytes));
            }
            continue;
        }
        seen.count(node, passed.view());
        let (frame, differed) = as_the_walk_means_to(node, passed.frame.clone())
            .map_err(|fault| format!("{}: {fault}: {}", passed.port, passed.view()))?;
        seen.dscp_or_ce_copied += usize::from(differed);
        ports.entry(&passed.port).or_default()[0].push(frame);
    }
    for passed in &replayed.sent {
        if passed.view().arp().is_some_and(|arp| arp.operation == 1 && node.owns(arp.sender)) {
            // How often a neighbour is asked for follows other timers than the kernel's; what is sent does not.
            seen.asked += 1;
            if !kernel_asked.contains(&(&passed.port, &passed.frame.bytes)) {
                faults.push(format!("{}: the kernel did not ask so: {}", passed.port, passed.view()));
            }
        } else {
            ports.entry(&passed.port).or_default()[1].push(passed.frame.clone());
        }
    }

    let comparison = Comparison::of_node(node.addresses.clone());
    for (port, [kernel, walk]) in &ports {
        if let Err(differences) = comparison.per_flow(kernel, walk) {
            faults.push(format!("{port}: {differences}"));
        }
    }
    if faults.is_empty() { Ok(seen) } else { Err(faults.join("\n")) }
}

/// The kernel's frame with the one thing changed that differs on purpose: at tunnel entry the kernel's
/// VXLAN device leaves the outer DSCP at zero and turns CE into ECT(0) (RFC 3168), the walk copies both
/// (RFC 6040 normal mode, uniform model of RFC 2983). Says whether that made a difference; a kernel that
/// does otherwise is an error.
fn as_the_walk_means_to(node: &Node, mut frame: Frame) -> Result<(Frame, bool), String> {
    const CE: u8 = 3;
    const ECT_0: u8 = 2;
    let view = View(&frame.bytes);
    let entered = view.ipv4().filter(|outer| node.owns(outer.source()));
    if let (Some(outer), Some(packet)) = (entered, view.carried().and_then(View::ipv4)) {
        let ecn = if packet.tos() & CE == CE { ECT_0 } else { packet.tos() & CE };
        let (outer_tos, inner_tos) = (outer.tos(), packet.tos());
        if outer_tos != ecn {
            return Err(format!("the kernel's outer TOS is {outer_tos:02x} for {inner_tos:02x} inside"));
        }
        frame.bytes[15] = inner_tos; // the header checksum is left out with the identification
        return Ok((frame, outer_tos != inner_tos));
    }
    Ok((frame, false))
}

impl Seen {
    fn count(&mut self, node: &Node, frame: View<'_>) {
        self.equal += 1;
        let entered =
            frame.carried().is_some() && frame.ipv4().is_some_and(|outer| node.owns(outer.source()));
        self.entered_tunnel += usize::from(entered);
        if let Some(packet) = frame.innermost() {
            self.fragments += usize::from(packet.is_fragment());
            if packet.quoted().is_some() && node.owns(packet.source()) {
                *self.errors.entry(packet.icmp().unwrap_or_default()).or_default() += 1;
            }
        }
    }
}
