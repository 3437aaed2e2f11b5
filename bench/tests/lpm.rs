//! What `packetwalk-bench lpm` prints, in a process that has done nothing else: memory is measured by what it has resident.
#![allow(clippy::expect_used, reason = "a test")]

use serde_json::Value;
use std::process::Command;

#[test]
fn a_comparison_has_the_contracts_shape_and_knows_what_tables_take() {
    let output = Command::new(env!("CARGO_BIN_EXE_packetwalk-bench"))
        .args([
            "lpm",
            "--json",
            "--table",
            "ipv4-node",
            "--stream",
            "zipf",
            "--lookups",
            "6400",
            "--rounds",
            "2",
        ])
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");

    let cases = report["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 6);
    for case in cases {
        assert!(case["name"].as_str().is_some_and(|name| name.starts_with("ipv4-node/zipf/")), "{case}");
        for unit in ["clocks", "ns"] {
            let [min, median, max] = ["min", "median", "max"].map(|figure| case[unit][figure].as_f64());
            assert!(min > Some(0.0) && min <= median && median <= max, "{case}");
        }
        assert_eq!(
            (&case["instructions"], &case["batch"], &case["rounds"]),
            (&Value::Null, &64.into(), &2.into())
        );
    }

    let resident = |name| {
        let tables = report["tables"].as_array().expect("tables");
        let table = tables.iter().find(|table| table["name"] == name).expect("a table of that name");
        table["resident"].as_u64().expect("bytes")
    };
    // 2^24 entries of two bytes, all of them written.
    assert!((32 << 20..40 << 20).contains(&resident("ipv4-node/dir-24-8")), "{report}");
    assert!(resident("ipv4-node/packetwalk") < 1 << 20, "{report}");
    // 64 KiB of root and 16 KiB of nodes each.
    let policy_tables = report["policy_tables"][2].as_u64().expect("bytes");
    assert!((6 << 20..10 << 20).contains(&policy_tables), "{report}");
}
