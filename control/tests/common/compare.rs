//! Two lists of frames compared, byte for byte but for the free fields.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::capture::Frame;
use super::describe::{one_line, side_by_side};
use super::free::{Flow, FreeFieldRules, free_fields, masked};

/// Ephemeral ports, where VXLAN source ports lie unless the link has a `port_range`.
const VXLAN_SOURCES: RangeInclusive<u16> = 49152..=65535;

pub(crate) struct Comparison {
    /// The node's own addresses: packets from them that it did not forward have free fields.
    pub(crate) own: Vec<Ipv4Addr>,
    pub(crate) vxlan_sources: RangeInclusive<u16>,
}

impl Comparison {
    pub(crate) fn of_node(own: Vec<Ipv4Addr>) -> Self {
        Self { own, vxlan_sources: VXLAN_SOURCES }
    }

    /// The same frames in the same order, or a text that shows each difference.
    pub(crate) fn in_order(&self, expected: &[Frame], actual: &[Frame]) -> Result<(), String> {
        let expected: Vec<&Frame> = expected.iter().collect();
        let actual: Vec<&Frame> = actual.iter().collect();
        report(&[self.differences(&expected, &actual), self.free_field_faults(&actual)].concat())
    }

    /// The same frames in the same order within each flow; flows may interleave otherwise.
    pub(crate) fn per_flow(&self, expected: &[Frame], actual: &[Frame]) -> Result<(), String> {
        let mut flows: BTreeMap<Flow, [Vec<&Frame>; 2]> = BTreeMap::new();
        for (side, frames) in [expected, actual].into_iter().enumerate() {
            for frame in frames {
                flows.entry(Flow::of(&frame.bytes)).or_default()[side].push(frame);
            }
        }
        let mut found = Vec::new();
        for (flow, [expected, actual]) in &flows {
            found.extend(
                self.differences(expected, actual).into_iter().map(|text| format!("{flow:?}: {text}")),
            );
        }
        found.extend(self.free_field_faults(&actual.iter().collect::<Vec<_>>()));
        report(&found)
    }

    fn differences(&self, expected: &[&Frame], actual: &[&Frame]) -> Vec<String> {
        let mut found = Vec::new();
        for index in 0..expected.len().max(actual.len()) {
            let number = index + 1;
            match (expected.get(index), actual.get(index)) {
                (Some(expected), Some(actual)) => {
                    if masked(&expected.bytes, &self.own) != masked(&actual.bytes, &self.own) {
                        found.push(format!("frame {number} differs\n{}", self.both(expected, actual)));
                    }
                }
                (Some(missing), None) => {
                    found.push(format!("frame {number} was not sent\n  {}", one_line(&missing.bytes)));
                }
                (None, Some(surplus)) => {
                    found.push(format!("frame {number} is not expected\n  {}", one_line(&surplus.bytes)));
                }
                (None, None) => {}
            }
        }
        found
    }

    fn both(&self, expected: &Frame, actual: &Frame) -> String {
        format!(
            "  expected {}\n  sent     {}\n{}",
            one_line(&expected.bytes),
            one_line(&actual.bytes),
            side_by_side(&expected.bytes, &actual.bytes, &free_fields(&expected.bytes, &self.own)),
        )
    }

    fn free_field_faults(&self, actual: &[&Frame]) -> Vec<String> {
        let mut rules = FreeFieldRules::new(&self.own, self.vxlan_sources.clone());
        actual
            .iter()
            .enumerate()
            .filter_map(|(index, frame)| {
                let fault = rules.fault_of(&frame.bytes)?;
                Some(format!("frame {}: {fault}\n  {}", index + 1, one_line(&frame.bytes)))
            })
            .collect()
    }
}

/// The first few differences: after a lost frame all that follow differ, and say nothing more.
fn report(differences: &[String]) -> Result<(), String> {
    const SHOWN: usize = 3;
    if differences.is_empty() {
        return Ok(());
    }
    let mut text = differences.iter().take(SHOWN).fold(String::new(), |mut text, difference| {
        let _ = writeln!(text, "{difference}");
        text
    });
    if differences.len() > SHOWN {
        let _ = writeln!(text, "... and {} more differences", differences.len() - SHOWN);
    }
    Err(text)
}
