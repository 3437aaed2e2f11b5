//! Why a way does not lead to a port, and what becomes of its packets.

use super::Behind;
use crate::finding::Finding;
use packetwalk_walk::tables::{Action, LinkId};
use packetwalk_walk::{DropReason, PuntReason};
use std::fmt;
use std::net::IpAddr;

/// What is missing on a way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// The link, route or neighbour at fault.
    pub(crate) text: String,
    /// The neighbour that is not known.
    pub(crate) neighbour: Option<(LinkId, IpAddr)>,
}

/// Kinds of faults, by what becomes of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FaultKind {
    /// A neighbour's MAC address.
    Neighbour,
    /// A link that packetwalk does not hold, or a rule or route that it does not walk.
    NotHeld,
    /// A bridge's forwarding entry: the bridge floods.
    Bridge,
    /// The link is down.
    LinkDown,
    /// A VXLAN link's forwarding entry.
    Fdb,
    /// A route to a tunnel's peer.
    Unroutable,
    /// A tunnel's peer is behind the tunnel.
    Loop,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), neighbour: None }
    }

    /// It is not known how to reach `address` on a link of this name.
    pub(crate) fn unresolved(link: LinkId, name: &str, address: IpAddr) -> Self {
        let text = format!("no usable neighbour entry for {address} dev {name}");
        Self { neighbour: Some((link, address)), ..Self::new(FaultKind::Neighbour, text) }
    }

    /// What becomes of the packets.
    pub(crate) fn action(&self, behind: Behind) -> Action {
        match (self.kind, behind) {
            (FaultKind::Neighbour, Behind::Kernel) => Action::Punt(PuntReason::Neighbour),
            (FaultKind::NotHeld, Behind::Kernel) => Action::Punt(PuntReason::NotHeld),
            (FaultKind::Neighbour | FaultKind::NotHeld, Behind::Nothing) => {
                Action::Fail(DropReason::NeighbourUnresolved)
            }
            (FaultKind::Bridge, _) => Action::Punt(PuntReason::Bridge),
            (FaultKind::LinkDown, _) => Action::Fail(DropReason::LinkDown),
            (FaultKind::Fdb, _) => Action::Fail(DropReason::FdbMissing),
            (FaultKind::Unroutable, _) => Action::Fail(DropReason::TunnelUnroutable),
            (FaultKind::Loop, _) => Action::Fail(DropReason::TunnelLoop),
        }
    }

    /// What an operator should hear of it; `who` needs the way. A bridge's entry that aged away is everyday, and a neighbour
    /// that nobody has talked to yet is no loss where a kernel resolves it.
    pub(crate) fn finding(&self, behind: Behind, who: impl fmt::Display) -> Option<Finding> {
        let text = format!("{who}: {}", self.text);
        match (self.kind, behind) {
            (FaultKind::Bridge, _) => None,
            (FaultKind::Neighbour, Behind::Kernel) => Some(Finding::info(text)),
            _ => Some(Finding::warning(text)),
        }
    }
}
