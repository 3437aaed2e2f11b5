//! What docs/ says of names that are an interface is what the program says.
#![allow(clippy::unwrap_used, reason = "a test may stop where its files are missing")]

use packetwalk_walk::{DropReason, PuntReason, Severity};
use std::fs;
use std::path::Path;

fn row(name: &str, severity: Severity, help: &str) -> String {
    format!("| `{name}` | {} | {help} |", format!("{severity:?}").to_lowercase())
}

#[test]
fn every_reason_is_documented_as_the_program_explains_it() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reasons.md");
    let text = fs::read_to_string(page).unwrap();
    let documented: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let drops = DropReason::ALL.iter().map(|r| row(r.name(), r.severity(), r.help()));
    let punts = PuntReason::ALL.iter().map(|r| row(r.name(), r.severity(), r.help()));
    assert_eq!(documented, drops.chain(punts).collect::<Vec<_>>());
}
