//! The same state as iproute2 tells it, and how two tellings differ.

use std::fmt::Debug;

use ipnet::IpNet;
use packetwalk_control::state::{Destination, NodeState, Ttl};

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

/// The order of lists is not compared, but for that of addresses within a link, of rules, and of routes that differ in what
/// they say only: the kernel prefers the first.
pub(crate) fn sort(state: &mut NodeState) {
    fn by_text<T: Debug>(list: &mut [T]) {
        list.sort_by_cached_key(|entry| format!("{entry:?}"));
    }
    state.route.sort_by_cached_key(|route| {
        let key = (&route.table, &route.dst, &route.from, &route.tos, &route.metric);
        format!("{key:?}")
    });
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

/// What changes without a message, and decides nothing: neighbours without a MAC address, ages of neighbours and stations,
/// receive filters of devices; and
/// the order of IPv6 next hops, which follows from where the kernel begins to tell them.
pub(crate) fn forget_what_is_not_announced(state: &mut NodeState) {
    state.neigh.retain(|neighbour| neighbour.usable_mac().is_some());
    for neighbour in &mut state.neigh {
        neighbour.state.clear();
    }
    state.fdb.retain(|entry| entry.master.is_some() || entry.dst.is_some() || entry.nhid.is_some());
    for entry in &mut state.fdb {
        entry.state = entry.state.take().filter(|state| state == "permanent");
    }
    for route in &mut state.route {
        if route.dst.is_some_and(|dst| matches!(dst, Destination::Prefix(IpNet::V6(_)))) {
            route.nexthops.sort_by_cached_key(|hop| format!("{hop:?}"));
        }
    }
}

/// The entries that only one of two states has; none where they are equal.
pub(crate) fn differences(netlink: &NodeState, iproute2: &NodeState) -> Vec<String> {
    fn compare<T: PartialEq + Debug>(key: &str, netlink: &[T], iproute2: &[T], found: &mut Vec<String>) {
        let before = found.len();
        let mut only = |side: &str, these: &[T], those: &[T]| {
            let mut those: Vec<_> = those.iter().collect();
            for entry in these {
                match those.iter().position(|other| *other == entry) {
                    Some(place) => drop(those.remove(place)),
                    None => found.push(format!("{key}: only {side}: {entry:?}")),
                }
            }
        };
        only("netlink", netlink, iproute2);
        only("iproute2", iproute2, netlink);
        if found.len() == before && netlink != iproute2 {
            let place = netlink.iter().zip(iproute2).position(|(one, other)| one != other);
            let entry = place.and_then(|place| netlink.get(place));
            found.push(format!("{key}: iproute2 has another order, from here on: {entry:?}"));
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
