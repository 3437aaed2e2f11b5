//! What a comparison prints.

use super::footprint::Footprint;
use crate::report::Measured;
use packetwalk_walk::BATCH;
use serde::Serialize;
use std::fmt;

/// What was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Table, stream and structure of each.
    pub(crate) cases: Vec<Measured>,
    /// What the tables take.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tables: Vec<Footprint>,
    /// Bytes that so many policy tables of so many routes take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy_tables: Option<(usize, usize, u64)>,
    /// Addresses in a round.
    #[serde(skip)]
    pub(crate) lookups: u32,
    /// Nanoseconds that a clock takes.
    #[serde(skip)]
    pub(crate) nanoseconds: f64,
    /// Why instructions were not counted, though they were asked for.
    #[serde(skip)]
    pub(crate) not_counted: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.cases.first().map_or(0, |case| case.rounds);
        let (lookups, nanoseconds) = (self.lookups, self.nanoseconds);
        writeln!(
            f,
            "{rounds} rounds of {lookups} lookups, in batches of {BATCH}; one clock is {nanoseconds:.4} ns"
        )?;
        let columns = "     min  median     max";
        writeln!(f, "\n{:32} {:^24} {:^24} {:>12}", "", "clocks a lookup", "ns a lookup", "instructions")?;
        writeln!(f, "{:32} {columns} {columns} {:>12}", "table/stream/structure", "a lookup")?;
        for case in &self.cases {
            writeln!(f, "{:32} {case}", case.name)?;
        }
        if let Some(reason) = &self.not_counted {
            writeln!(f, "\ninstructions not available: {reason}")?;
        }
        if !self.tables.is_empty() {
            writeln!(
                f,
                "\n{:24} {:>9} {:>10} {:>12} {:>20}",
                "table/structure", "routes", "MiB", "build ns", "remove and insert ns"
            )?;
        }
        for Footprint { name, routes, resident, build_ns, change_ns } in &self.tables {
            let change = change_ns.map_or("-".to_owned(), |ns| ns.to_string());
            writeln!(f, "{name:24} {routes:9} {:10.2} {build_ns:12} {change:>20}", mebibytes(*resident))?;
        }
        if let Some((tables, routes, bytes)) = self.policy_tables {
            writeln!(f, "\n{tables} policy tables of {routes} routes each: {:.2} MiB", mebibytes(bytes))?;
        }
        Ok(())
    }
}

fn mebibytes(bytes: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "printed to a hundredth")]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    mebibytes
}
