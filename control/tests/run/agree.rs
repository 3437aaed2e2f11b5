//! The running process's answers beside the kernel's own.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;

use crate::namespace::Namespace;
use crate::process::Packetwalk;

/// What `ip route get` says where a route refuses, and how the route that does so begins.
const REFUSALS: [(&str, &str); 3] = [
    ("RTNETLINK answers: Invalid argument", "blackhole "),
    ("RTNETLINK answers: No route to host", "unreachable "),
    ("RTNETLINK answers: Permission denied", "prohibit "),
];

/// Addresses in and around each prefix: one inside, those at its edges, and those just outside.
pub(crate) fn samples(prefixes: impl IntoIterator<Item = Ipv4Net>) -> BTreeSet<Ipv4Addr> {
    let mut samples = BTreeSet::new();
    for prefix in prefixes {
        let (first, last) = (u32::from(prefix.network()), u32::from(prefix.broadcast()));
        let inside = first + (last - first) / 3;
        let around = [Some(first), Some(inside), Some(last), first.checked_sub(1), last.checked_add(1)];
        samples.extend(around.into_iter().flatten().map(Ipv4Addr::from));
    }
    samples
}

/// Where the kernel and the process disagree on one of `addresses`.
fn disagreements(
    namespace: &Namespace,
    packetwalk: &Packetwalk,
    addresses: &BTreeSet<Ipv4Addr>,
) -> Vec<String> {
    let disagrees = |address: &Ipv4Addr| {
        let address = address.to_string();
        let kernel = Command::new("ip")
            .args(["-n", &namespace.name, "route", "get", &address, "fibmatch"])
            .output()
            .expect("ip runs");
        let ours = packetwalk.ask(&["route", "get", &address]);
        let tell = |output: &std::process::Output| {
            let lines =
                [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
            let lines = lines.concat();
            let lines = lines.lines().map(|line| line.trim_start_matches("error: ").trim_end());
            // Until the first policy rule is added the kernel keeps local routes in the main table, and says so; ever after it does not.
            let lines = lines.map(|line| line.replace(" table local ", " "));
            // FRR's package teaches `ip` its own names of protocols (/etc/iproute2/rt_protos.d).
            let lines = lines.map(|line| line.replace(" proto 196 ", " proto static "));
            lines.collect::<Vec<_>>().join("\n")
        };
        let (said, told) = (tell(&kernel), tell(&ours));
        let refusal = REFUSALS.iter().find(|(error, _)| said == *error);
        let agrees = match refusal {
            // The kernel only says that it refuses; ours says by which route.
            Some((_, route)) => told.starts_with(route),
            None => said == told && kernel.status.code() == ours.status.code(),
        };
        (!agrees).then(|| format!("{address}: the kernel\n    {said}\npacketwalk\n    {told}"))
    };
    addresses.iter().filter_map(disagrees).collect()
}

/// Asserts that both agree on `addresses`, and that nothing else differs, as soon as what is under way has come to rest.
pub(crate) fn assert_agreed(
    namespace: &Namespace,
    packetwalk: &Packetwalk,
    addresses: &BTreeSet<Ipv4Addr>,
    when: &str,
) {
    packetwalk.assert_no_difference(when);
    let started = Instant::now();
    loop {
        let found = disagreements(namespace, packetwalk, addresses);
        if found.is_empty() {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{when}: {}\n{}",
            found.join("\n"),
            packetwalk.log()
        );
    }
    packetwalk.assert_no_difference(when);
}
