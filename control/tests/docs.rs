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

#[test]
fn every_test_that_the_conformance_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/conformance.md")).unwrap();
    let named: Vec<(&str, &str)> =
        page.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::")).collect();
    assert!(named.len() > 50, "only {} tests are named", named.len());
    for (file, test) in named.into_iter().filter(|(file, _)| *file != "file") {
        let path = root.join("dataplane/walk/tests/walk").join(file).with_extension("rs");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("\nfn {test}() {{")), "{file}::{test} does not exist");
    }
}
