//! Tests that need root, because they build network namespaces.

/// Whether whoever runs the tests has left this one out, on purpose and not in CI. Says so.
pub(crate) fn is_left_out(test: &str) -> bool {
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let left_out = !in_ci && std::env::var("PACKETWALK_SKIP_PRIVILEGED").is_ok_and(|value| value == "1");
    if left_out {
        println!("left out by PACKETWALK_SKIP_PRIVILEGED=1: {test}");
    }
    left_out
}
