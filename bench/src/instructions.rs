//! Instructions a packet, counted by callgrind: exact, and the same on every machine of one instruction set.

use crate::cases::Case;
use std::io;
use std::process::Command;
use thiserror::Error;

/// Frames in the stream that is counted: a count needs no repetition, and callgrind is slow.
const FRAMES: usize = 4096;
/// The stream is walked once to be verified, and once more as the round asked for.
const WALKS: usize = 2;

/// Why there is no count.
#[derive(Debug, Error)]
pub(crate) enum CountError {
    /// It is not installed, or cannot be run.
    #[error("valgrind cannot be run ({0}): install it, on Debian with apt-get install valgrind")]
    Valgrind(io::Error),
    /// It ran, but the walk did not.
    #[error("under valgrind the walk failed: {0}")]
    Walk(String),
    /// It did not find the function that it should count.
    #[error("callgrind counted nothing: {0}")]
    Nothing(String),
}

/// Counts the instructions of a case by running this program once more, under callgrind.
pub(crate) fn count(case: Case) -> Result<f64, CountError> {
    let program = std::env::current_exe().map_err(CountError::Valgrind)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*walk_batches*"])
        .arg(program)
        .args(["walk", "--case", case.name(), "--rounds", "1", "--frames", &FRAMES.to_string()])
        .output()
        .map_err(CountError::Valgrind)?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(CountError::Walk(log));
    }
    match collected(&log) {
        #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        Some(count @ 1..) => Ok(count as f64 / (FRAMES * WALKS) as f64),
        _ => Err(CountError::Nothing(log)),
    }
}

/// The number in callgrind's line `==PID== Collected : NUMBER`.
fn collected(log: &str) -> Option<u64> {
    log.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrinds_count_is_found_in_its_log() {
        let log = "==7== Events    : Ir\n==7== Collected : 5371399\n==7== \n";
        assert_eq!(collected(log), Some(5_371_399));
        assert_eq!(collected("==7== Events    : Ir\n"), None);
    }
}
