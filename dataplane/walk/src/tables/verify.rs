//! Whether tables are whole: every number in them leads somewhere.
//!
//! The walk indexes by these numbers without asking again. Whoever publishes tables calls [`Tables::verify`] first, so
//! no table can make a worker panic.

use super::{Action, AdjacencyId, HopId, LinkId, PortId, RuleAction, Tables, TunnelKind};
use crate::wire::ethernet;
use core::fmt;

/// A number in the tables leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inconsistent {
    /// Where it stands.
    pub place: String,
    /// What it names.
    pub what: &'static str,
    /// The number.
    pub number: usize,
}

impl fmt::Display for Inconsistent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} names {} {}, which does not exist", self.place, self.what, self.number)
    }
}

impl std::error::Error for Inconsistent {}

impl Tables {
    /// Checks every number that the walk indexes by.
    pub fn verify(&self) -> Result<(), Inconsistent> {
        self.verify_ports()?;
        self.verify_adjacencies()?;
        self.verify_routes()?;
        for (index, tunnel) in self.tunnels.all().iter().enumerate() {
            let place = || format!("tunnel {index}");
            self.link(tunnel.link, place)?;
            if let TunnelKind::Vxlan { bridge: Some(bridge), .. } = tunnel.kind {
                within(usize::from(bridge.0), self.bridges.len(), "bridge", place)?;
            }
        }
        Ok(())
    }

    fn verify_ports(&self) -> Result<(), Inconsistent> {
        for (index, port) in self.ports.iter().enumerate() {
            let place = || format!("port {index}");
            self.link(port.link, place)?;
            if let Some(member) = port.bridge {
                within(usize::from(member.bridge.0), self.bridges.len(), "bridge", place)?;
            }
        }
        for (index, bridge) in self.bridges.iter().enumerate() {
            let place = || format!("bridge {index}");
            self.link(bridge.link, place)?;
            for station in bridge.stations.values() {
                within(station as usize, self.ports.len(), "port", place)?;
            }
        }
        Ok(())
    }

    fn verify_adjacencies(&self) -> Result<(), Inconsistent> {
        // What a lookup without result means.
        self.adjacency(AdjacencyId::NO_ROUTE, || "a failed lookup".into())?;
        for (index, adjacency) in self.adjacencies.iter().enumerate() {
            let place = || format!("adjacency {index}");
            self.link(adjacency.link, place)?;
            if let Action::Send { rewrite, port: PortId(port), encapsulation } = &adjacency.action {
                within(usize::from(*port), self.ports.len(), "port", place)?;
                let least = match encapsulation {
                    super::Encapsulation::None => ethernet::HEADER,
                    super::Encapsulation::Ipip(_) => ethernet::HEADER + crate::wire::ipv4::HEADER,
                    super::Encapsulation::Vxlan(_) => VXLAN_REWRITE,
                };
                within(least, rewrite.len() + 1, "rewrite byte", place)?;
            }
        }
        for (index, group) in self.groups.iter().enumerate() {
            for member in group.buckets() {
                self.adjacency(*member, || format!("group {index}"))?;
            }
        }
        Ok(())
    }

    fn verify_routes(&self) -> Result<(), Inconsistent> {
        for (step, rule) in self.ipv4.rules.iter().enumerate() {
            let place = || format!("rule step {step}");
            match rule.action {
                RuleAction::Lookup(fib) => within(usize::from(fib.0), self.ipv4.fibs.len(), "table", place)?,
                RuleAction::Hop(hop) => self.hop(hop, place)?,
            }
            if let Some(iif) = rule.selector.iif {
                self.link(iif, place)?;
            }
        }
        for (index, fib) in self.ipv4.fibs.iter().enumerate() {
            for value in fib.values() {
                self.hop(HopId(value), || format!("table {index}"))?;
            }
        }
        for neighbour in self.ipv4.neighbours.values() {
            self.adjacency(AdjacencyId(neighbour), || "a neighbour".into())?;
        }
        match self.ipv4.loopback {
            Some(link) => self.link(link, || "the loopback".into()),
            None => Ok(()),
        }
    }

    fn link(&self, link: LinkId, place: impl FnOnce() -> String) -> Result<(), Inconsistent> {
        within(link.index(), self.links.len(), "link", place)
    }

    fn adjacency(&self, id: AdjacencyId, place: impl FnOnce() -> String) -> Result<(), Inconsistent> {
        within(id.index(), self.adjacencies.len(), "adjacency", place)
    }

    fn hop(&self, hop: HopId, place: impl FnOnce() -> String) -> Result<(), Inconsistent> {
        match hop.resolve() {
            Ok(id) => self.adjacency(id, place),
            Err(group) => within(group, self.groups.len(), "group", place),
        }
    }
}

/// Ethernet, IPv4, UDP, VXLAN and the inner Ethernet header.
const VXLAN_REWRITE: usize =
    2 * ethernet::HEADER + crate::wire::ipv4::HEADER + crate::wire::udp::HEADER + crate::wire::vxlan::HEADER;

fn within(
    number: usize,
    count: usize,
    what: &'static str,
    place: impl FnOnce() -> String,
) -> Result<(), Inconsistent> {
    if number < count { Ok(()) } else { Err(Inconsistent { place: place(), what, number }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DropReason;
    use crate::tables::{Adjacency, Encapsulation, Link, Rewrite, RuleStep, Selector};
    use packetwalk_fib::{Fib4, Prefix4};

    fn tables() -> Tables {
        let refuse = Action::Refuse { reason: DropReason::NoRoute, code: Some(0) };
        Tables {
            links: Box::new([Link::default()]),
            adjacencies: Box::new([Adjacency { action: refuse, link: LinkId(0), mtu: 1500, source: None }]),
            ..Tables::default()
        }
    }

    #[test]
    fn numbers_that_lead_nowhere_are_found() {
        assert_eq!(tables().verify(), Ok(()));
        assert_eq!(Tables::default().verify().map_err(|error| error.what), Err("adjacency"));

        let mut bad = tables();
        bad.ipv4.fibs = Box::new([Fib4::from_routes([(Prefix4::DEFAULT, 7)])]);
        let error = bad.verify().expect_err("adjacency 7 does not exist");
        assert_eq!(error.to_string(), "table 0 names adjacency 7, which does not exist");

        let mut bad = tables();
        bad.ipv4.rules = Box::new([RuleStep {
            priority: 0,
            selector: Selector::ALL,
            action: RuleAction::Lookup(super::super::FibId(0)),
        }]);
        assert_eq!(bad.verify().map_err(|error| error.what), Err("table"));
    }

    #[test]
    fn a_rewrite_too_short_for_its_encapsulation_is_found() {
        let mut bad = tables();
        bad.ports = Box::new([crate::tables::Port {
            link: LinkId(0),
            mac: crate::wire::MacAddr::default(),
            role: crate::tables::Role::Uplink,
            up: true,
            mtu: 1500,
            bridge: None,
            vlans: Box::new([]),
        }]);
        let mut rewrite = Rewrite::new();
        rewrite.extend([0; 13]);
        bad.adjacencies[0].action =
            Action::Send { rewrite, port: PortId(0), encapsulation: Encapsulation::None };
        assert_eq!(bad.verify().map_err(|error| error.what), Err("rewrite byte"));
    }
}
