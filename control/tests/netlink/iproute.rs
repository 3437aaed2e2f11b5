//! The same state as iproute2 tells it, and how two tellings differ.

use std::fmt::Debug;

use packetwalk_control::state::{NodeState, Ttl};

use super::namespace::Namespace;

/// What `ip -j` and `bridge -j` print inside, put together as docs/operating.md says.
pub(crate) fn state(namespace: &Namespace) -> NodeState {
    let list = |command: &str| {
        let printed = namespace.run(&command.split(' ').collect::<Vec<_>>());
        let printed = printed.trim();
        // Older versions print nothing where there is nothing.
        let inside = printed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default();
        inside.trim().to_owned()
    };
    let both = |one: String, other: String| match (one.is_empty(), other.is_empty()) {
        (false, false) => format!("{one},{other}"),
        _ => one + &other,
    };
    let routes = both(list("ip -j -d -4 route show table all"), list("ip -j -d -6 route show table all"));
    let json = format!(
        r#"{{"addr": [{}], "route": [{routes}], "rule": [{}], "rule6": [{}], "neigh": [{}], "fdb": [{}],
        "nexthop": [{}], "netconf": [{}]}}"#,
        list("ip -j -d addr"),
        list("ip -j -d rule"),
        list("ip -j -d -6 rule"),
        list("ip -j neigh"),
        list("bridge -j fdb"),
        list("ip -j nexthop"),
        list("ip -j netconf"),
    );
    let mut state = NodeState::parse(&json, "iproute2.json").expect("what iproute2 prints is a state");
    sort(&mut state);
    state
}

/// The order of lists is not compared, but for that of addresses within a link, and of rules.
pub(crate) fn sort(state: &mut NodeState) {
    fn by_text<T: Debug>(list: &mut [T]) {
        list.sort_by_cached_key(|entry| format!("{entry:?}"));
    }
    by_text(&mut state.route);
    by_text(&mut state.neigh);
    by_text(&mut state.fdb);
    by_text(&mut state.nexthop);
    by_text(&mut state.netconf);
}

/// What iproute2 does not print although the kernel tells it.
pub(crate) fn forget_what_iproute2_leaves_out(state: &mut NodeState) {
    for link in &mut state.addr {
        let data = &mut link.linkinfo.info_data;
        // Version 6.1 prints no `ttl` for VXLAN's `ttl inherit`.
        data.ttl = data.ttl.filter(|ttl| *ttl != Ttl::Inherit);
    }
}

/// The entries that only one of two states has; none where they are equal.
pub(crate) fn differences(netlink: &NodeState, iproute2: &NodeState) -> Vec<String> {
    fn compare<T: PartialEq + Debug>(key: &str, netlink: &[T], iproute2: &[T], found: &mut Vec<String>) {
        let mut only = |side: &str, these: &[T], those: &[T]| {
            let missing = these.iter().filter(|entry| !those.contains(entry));
            found.extend(missing.map(|entry| format!("{key}: only {side}: {entry:?}")));
        };
        only("netlink", netlink, iproute2);
        only("iproute2", iproute2, netlink);
        if found.is_empty() && netlink != iproute2 {
            found.push(format!("{key}: in another order, or another number of times"));
        }
    }
    let mut found = Vec::new();
    compare("addr", &netlink.addr, &iproute2.addr, &mut found);
    compare("route", &netlink.route, &iproute2.route, &mut found);
    compare("rule", &rules(netlink.rule.as_ref()), &rules(iproute2.rule.as_ref()), &mut found);
    compare("rule6", &rules(netlink.rule6.as_ref()), &rules(iproute2.rule6.as_ref()), &mut found);
    compare("neigh", &netlink.neigh, &iproute2.neigh, &mut found);
    compare("fdb", &netlink.fdb, &iproute2.fdb, &mut found);
    compare("nexthop", &netlink.nexthop, &iproute2.nexthop, &mut found);
    compare("netconf", &netlink.netconf, &iproute2.netconf, &mut found);
    found
}

fn rules<T: Clone>(rules: Option<&Vec<T>>) -> Vec<T> {
    rules.cloned().unwrap_or_default()
}
