//! What became of the frames of a replay, for people and for programs.

use anstyle::{AnsiColor, Style};
use packetwalk_walk::Severity;
use packetwalk_walk::counters::{Counters, PortCounters};
use packetwalk_walk::outcome::{DropReason, PuntReason};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// The report, in the shape of its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How the walks of all frames ended.
    pub outcome: Outcomes,
    /// Frames lost, by the name of the reason; reasons that occurred.
    pub drop: BTreeMap<&'static str, u64>,
    /// Frames for the kernel, by the name of the reason; reasons that occurred.
    pub punt: BTreeMap<&'static str, u64>,
    /// Frames sent beyond one for each received.
    pub originated: Originated,
    /// What is neither, and worth knowing.
    pub note: Notes,
    /// Every port of the node, in the order of the state.
    #[serde(serialize_with = "as_map")]
    pub ports: Vec<(String, Traffic)>,
}

/// rx = forwarded + answered + punted + dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Frames received.
    pub rx: u64,
    /// Frames sent on.
    pub forwarded: u64,
    /// ARP requests answered.
    pub answered: u64,
    /// Frames for the kernel.
    pub punted: u64,
    /// Frames lost.
    pub dropped: u64,
}

/// Frames sent beyond one for each received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Originated {
    /// ICMP errors.
    pub icmp_error: u64,
    /// Fragments beyond the first of a packet.
    pub fragment: u64,
    /// ARP requests.
    pub arp_request: u64,
}

/// What is neither outcome nor frame sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Notes {
    /// Combinations of ECN fields at a tunnel's exit that RFC 6040 4.2 calls dangerous.
    pub ecn_anomaly: u64,
    /// ICMP errors that were due and not sent; left out where there were none.
    #[serde(skip_serializing_if = "is_zero")]
    pub icmp_suppressed: u64,
}

/// Frames and bytes of a port. Bytes are Ethernet frames without FCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
}

impl From<PortCounters> for Traffic {
    fn from(counters: PortCounters) -> Self {
        let PortCounters { rx_packets, rx_bytes, tx_packets, tx_bytes } = counters;
        Self { rx_packets, rx_bytes, tx_packets, tx_bytes }
    }
}

impl Report {
    /// The report of `counters` for ports of these names, by their numbers.
    pub fn new(counters: &Counters, ports: &[String]) -> Self {
        let drops = DropReason::ALL.iter().map(|reason| (reason.name(), counters.drop[*reason as usize]));
        let punts = PuntReason::ALL.iter().map(|reason| (reason.name(), counters.punt[*reason as usize]));
        Self {
            outcome: Outcomes {
                rx: counters.rx,
                forwarded: counters.forwarded,
                answered: counters.answered,
                punted: counters.punted(),
                dropped: counters.dropped(),
            },
            drop: drops.filter(|(_, count)| *count > 0).collect(),
            punt: punts.filter(|(_, count)| *count > 0).collect(),
            originated: Originated {
                icmp_error: counters.icmp_errors,
                fragment: counters.fragments,
                arp_request: counters.arp_requests,
            },
            note: Notes { ecn_anomaly: counters.ecn_anomalies, icmp_suppressed: counters.icmp_suppressed },
            ports: ports.iter().cloned().zip(counters.ports.iter().copied().map(Traffic::from)).collect(),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A list of pairs as a map that keeps their order.
fn as_map<S: Serializer>(pairs: &[(String, Traffic)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, traffic)| (name, traffic)))
}

const HEADING: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default();
const ERROR: Style = AnsiColor::Red.on_default();

/// For people. With escape sequences for bold and colour, which whoever prints it takes out where they are not wanted.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcomes { rx, forwarded, answered, punted, dropped } = self.outcome;
        section(f, "frames")?;
        for (name, count) in [
            ("received", rx),
            ("forwarded", forwarded),
            ("answered", answered),
            ("punted", punted),
            ("dropped", dropped),
        ] {
            line(f, Style::new(), name, count, &share(count, rx))?;
        }
        self.reasons(f)?;
        let Originated { icmp_error, fragment, arp_request } = self.originated;
        list(
            f,
            "originated",
            &[
                ("icmp_error", icmp_error, "ICMP errors sent"),
                ("fragment", fragment, "fragments sent beyond the first of each packet"),
                ("arp_request", arp_request, "ARP requests sent"),
            ],
        )?;
        list(
            f,
            "noted",
            &[
                (
                    "ecn_anomaly",
                    self.note.ecn_anomaly,
                    "left a tunnel with ECN marks that RFC 6040 calls dangerous",
                ),
                ("icmp_suppressed", self.note.icmp_suppressed, "ICMP errors that were due and not sent"),
            ],
        )?;
        self.traffic(f)
    }
}

impl Report {
    fn reasons(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.drop.is_empty() {
            section(f, "dropped because")?;
        }
        for reason in DropReason::ALL {
            if let Some(count) = self.drop.get(reason.name()) {
                line(f, style_of(reason.severity()), reason.name(), *count, reason.help())?;
            }
        }
        if !self.punt.is_empty() {
            section(f, "punted because")?;
        }
        for reason in PuntReason::ALL {
            if let Some(count) = self.punt.get(reason.name()) {
                line(f, style_of(reason.severity()), reason.name(), *count, reason.help())?;
            }
        }
        Ok(())
    }

    /// The ports that saw any.
    fn traffic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let busy = || self.ports.iter().filter(|(_, traffic)| traffic.rx_packets + traffic.tx_packets > 0);
        let width = busy().map(|(name, _)| name.len()).max().unwrap_or(0).max(20);
        if busy().next().is_some() {
            writeln!(
                f,
                "{HEADING}{:<indent$} {:>12} {:>14} {:>12} {:>14}{HEADING:#}",
                "ports",
                "rx packets",
                "rx bytes",
                "tx packets",
                "tx bytes",
                indent = width + 2
            )?;
        }
        for (name, Traffic { rx_packets, rx_bytes, tx_packets, tx_bytes }) in busy() {
            writeln!(f, "  {name:<width$} {rx_packets:>12} {rx_bytes:>14} {tx_packets:>12} {tx_bytes:>14}")?;
        }
        Ok(())
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str) -> fmt::Result {
    writeln!(f, "{HEADING}{title}{HEADING:#}")
}

fn line(f: &mut fmt::Formatter<'_>, style: Style, name: &str, count: u64, text: &str) -> fmt::Result {
    let shown = format!(
        "  {style}{name}{style:#}{:pad$} {count:>12}  {text}",
        "",
        pad = 20usize.saturating_sub(name.len())
    );
    writeln!(f, "{}", shown.trim_end())
}

/// A section of the counts that are not zero.
fn list(f: &mut fmt::Formatter<'_>, title: &str, counts: &[(&str, u64, &str)]) -> fmt::Result {
    if counts.iter().any(|(_, count, _)| *count > 0) {
        section(f, title)?;
    }
    for (name, count, text) in counts.iter().filter(|(_, count, _)| *count > 0) {
        line(f, Style::new(), name, *count, text)?;
    }
    Ok(())
}

fn style_of(severity: Severity) -> Style {
    match severity {
        Severity::Info => Style::new(),
        Severity::Warning => WARNING,
        Severity::Error => ERROR,
    }
}

/// A share of all, in tenths of a percent, without floating point.
fn share(count: u64, all: u64) -> String {
    if all == 0 {
        return String::new();
    }
    let tenths = u128::from(count) * 1000 / u128::from(all);
    format!("{:>3}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters() -> Counters {
        let mut counters = Counters::new(3);
        counters.rx = 9;
        counters.forwarded = 5;
        counters.answered = 1;
        counters.punt[PuntReason::Local as usize] = 1;
        counters.drop[DropReason::TtlExpired as usize] = 1;
        counters.drop[DropReason::NoRoute as usize] = 1;
        counters.icmp_errors = 2;
        counters.ports[0] = PortCounters { rx_packets: 9, rx_bytes: 900, tx_packets: 3, tx_bytes: 318 };
        counters.ports[2] = PortCounters { rx_packets: 0, rx_bytes: 0, tx_packets: 5, tx_bytes: 500 };
        counters
    }

    fn report(counters: &Counters) -> Report {
        Report::new(counters, &["eth0".into(), "cali9".into(), "cali1".into()])
    }

    #[test]
    fn the_json_has_the_shape_of_the_contract() {
        let expected = r#"{"outcome":{"rx":9,"forwarded":5,"answered":1,"punted":1,"dropped":2},
            "drop":{"no_route":1,"ttl_expired":1},"punt":{"local":1},
            "originated":{"icmp_error":2,"fragment":0,"arp_request":0},"note":{"ecn_anomaly":0},
            "ports":{"eth0":{"rx_packets":9,"rx_bytes":900,"tx_packets":3,"tx_bytes":318},
                     "cali9":{"rx_packets":0,"rx_bytes":0,"tx_packets":0,"tx_bytes":0},
                     "cali1":{"rx_packets":0,"rx_bytes":0,"tx_packets":5,"tx_bytes":500}}}"#;
        let expected: String = expected.lines().map(str::trim_start).collect();
        assert_eq!(serde_json::to_string(&report(&counters())).expect("serializable"), expected);
    }

    #[test]
    fn suppressed_icmp_errors_are_noted_where_there_were_any() {
        let mut counters = counters();
        counters.icmp_suppressed = 3;
        let json = serde_json::to_value(report(&counters)).expect("serializable");
        assert_eq!(json["note"], serde_json::json!({"ecn_anomaly": 0, "icmp_suppressed": 3}));
    }

    #[test]
    fn the_text_explains_each_reason_and_leaves_idle_ports_out() {
        let text = anstream::adapter::strip_str(&report(&counters()).to_string()).to_string();
        let expected = "\
frames
  received                        9  100.0 %
  forwarded                       5   55.5 %
  answered                        1   11.1 %
  punted                          1   11.1 %
  dropped                         2   22.2 %
dropped because
  ttl_expired                     1  the TTL ended here; the sender is told (ICMP 11/0) where an error is due
  no_route                        1  no table has a route to the destination
punted because
  local                           1  it is for this node itself
originated
  icmp_error                      2  ICMP errors sent
ports                    rx packets       rx bytes   tx packets       tx bytes
  eth0                            9            900            3            318
  cali1                           0              0            5            500
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_replay_of_nothing_has_no_shares() {
        let text = report(&Counters::new(3)).to_string();
        assert!(text.contains("received") && !text.contains('%') && !text.contains("rx packets"), "{text}");
    }
}
