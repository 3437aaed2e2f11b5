//! Instructions a packet or lookup, counted by callgrind: exact, and the same on every machine of one instruction set.

use std::io;
use std::process::Command;
use thiserror::Error;

/// What is counted.
pub(crate) struct Subject {
    /// The function whose instructions, with those of all that it calls, are counted.
    pub(crate) function: &'static str,
    /// The arguments with which this program calls it.
    pub(crate) arguments: Vec<String>,
    /// Packets or lookups that it is called for.
    pub(crate) units: usize,
}

/// Why there is no count.
#[derive(Debug, Error)]
pub(crate) enum CountError {
    /// It is not installed, or cannot be run.
    #[error("valgrind cannot be run ({0}): install it, on Debian with apt-get install valgrind")]
    Valgrind(io::Error),
    /// It ran, but what should be counted did not.
    #[error("under valgrind it failed: {0}")]
    Failed(String),
    /// It did not find the function that it should count.
    #[error("callgrind counted nothing: {0}")]
    Nothing(String),
}

/// Counts the instructions of a packet or lookup by running this program once more, under callgrind.
pub(crate) fn count(subject: &Subject) -> Result<f64, CountError> {
    let program = std::env::current_exe().map_err(CountError::Valgrind)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect=*{}*", subject.function))
        .arg(program)
        .args(&subject.arguments)
        .output()
        .map_err(CountError::Valgrind)?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(CountError::Failed(log));
    }
    match collected(&log) {
        #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        Some(count @ 1..) => Ok(count as f64 / subject.units as f64),
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
