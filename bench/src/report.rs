//! What a measurement prints: a table for people, and the contract's JSON for programs.

use crate::walk::RING;
use packetwalk_walk::BATCH;
use serde::Serialize;
use std::fmt;

/// The spread of a figure over the rounds.
#[derive(Clone, Copy, Debug, Serialize, PartialEq)]
pub(crate) struct Spread {
    /// The best round.
    min: f64,
    /// Half of the rounds were better.
    median: f64,
    /// The worst round.
    max: f64,
}

impl Spread {
    /// Of one figure a round; None where there is none.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let half = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[half]
        } else {
            f64::midpoint(figures[half - 1], figures[half])
        };
        Some(Self { min: hundredths(min), median: hundredths(median), max: hundredths(max) })
    }

    /// The same in another unit.
    pub(crate) fn times(self, factor: f64) -> Self {
        let Self { min, median, max } = self;
        Self {
            min: hundredths(min * factor),
            median: hundredths(median * factor),
            max: hundredths(max * factor),
        }
    }
}

/// Figures are printed to a hundredth: what comes after is noise.
fn hundredths(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

/// What was measured of a case.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    /// Its name.
    pub(crate) name: String,
    /// Clocks a packet or lookup.
    clocks: Spread,
    /// Nanoseconds a packet or lookup.
    ns: Spread,
    /// Instructions a packet or lookup, where they were counted.
    instructions: Option<f64>,
    /// Frames or lookups in a batch.
    batch: usize,
    /// Rounds measured.
    pub(crate) rounds: usize,
}

impl Measured {
    /// `clocks` of each round, and how many nanoseconds one is.
    pub(crate) fn new(
        name: impl Into<String>,
        clocks: Vec<f64>,
        nanoseconds: f64,
        instructions: Option<f64>,
    ) -> Option<Self> {
        let rounds = clocks.len();
        let clocks = Spread::of(clocks)?;
        let ns = clocks.times(nanoseconds);
        let instructions = instructions.map(hundredths);
        Some(Self { name: name.into(), clocks, ns, instructions, batch: BATCH, rounds })
    }
}

/// What was measured of all cases.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// In the order asked for.
    pub(crate) cases: Vec<Measured>,
    /// Conditions, for the table.
    #[serde(skip)]
    pub(crate) conditions: Conditions,
}

/// Under which conditions.
#[derive(Debug)]
pub(crate) struct Conditions {
    /// Frames in a round.
    pub(crate) frames: usize,
    /// Whether the frames come from memory.
    pub(crate) cold: bool,
    /// Nanoseconds that a clock takes.
    pub(crate) nanoseconds: f64,
    /// Why instructions were not counted, though they were asked for.
    pub(crate) not_counted: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conditions { frames, cold, nanoseconds, ref not_counted } = self.conditions;
        let rounds = self.cases.first().map_or(0, |case| case.rounds);
        writeln!(
            f,
            "{rounds} rounds of {frames} frames, in batches of {BATCH}; one clock is {nanoseconds:.4} ns"
        )?;
        if cold {
            writeln!(f, "cold: {frames} buffers of 2 KiB, evicted from the caches before each round")?;
        } else {
            writeln!(f, "warm: {RING} buffers of 2 KiB, used over and over")?;
        }
        writeln!(f)?;
        writeln!(f, "{:20} {:^24} {:^24} {:>12}", "", "clocks a packet", "ns a packet", "instructions")?;
        let columns = "     min  median     max";
        writeln!(f, "{:20} {columns} {columns} {:>12}", "case", "a packet")?;
        for case in &self.cases {
            writeln!(f, "{:20} {case}", case.name)?;
        }
        if let Some(reason) = not_counted {
            writeln!(f, "\ninstructions not available: {reason}")?;
        }
        Ok(())
    }
}

/// All but the name.
impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clocks, ns, instructions, .. } = self;
        let instructions = instructions.map_or("-".to_owned(), |count| format!("{count:.1}"));
        write!(f, "{clocks} {ns} {instructions:>12}")
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.1}{:8.1}{:8.1}", self.min, self.median, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let odd = Spread::of(vec![3.0, 1.0, 9.0]).expect("figures");
        assert_eq!(odd, Spread { min: 1.0, median: 3.0, max: 9.0 });
        let even = Spread::of(vec![4.0, 1.0, 2.0, 9.0]).expect("figures");
        assert_eq!(even, Spread { min: 1.0, median: 3.0, max: 9.0 });
        assert_eq!(Spread::of(Vec::new()), None);
        assert_eq!(odd.times(0.5), Spread { min: 0.5, median: 1.5, max: 4.5 });
    }

    #[test]
    fn the_json_is_the_contracts() {
        let measured = Measured::new("forward/node", vec![2.0, 4.0, 8.0], 0.5, None).expect("rounds");
        let conditions = Conditions { frames: 64, cold: false, nanoseconds: 0.5, not_counted: None };
        let report = Report { cases: vec![measured], conditions };
        assert_eq!(
            serde_json::to_value(&report).expect("JSON"),
            serde_json::json!({"cases": [{"name": "forward/node",
                "clocks": {"min": 2.0, "median": 4.0, "max": 8.0}, "ns": {"min": 1.0, "median": 2.0, "max": 4.0},
                "instructions": null, "batch": 64, "rounds": 3}]})
        );
    }
}
