//! Which route a destination has, printed as `ip route get ADDR fibmatch` prints it.
//!
//! Two things differ from iproute2: a route that refuses (blackhole, unreachable, prohibit) is printed, where the
//! kernel only answers with an error, and lines do not end in a blank.

use crate::links::Links;
use crate::node::Node;
use crate::rib::{Answer, NextHop, Route, RuleAction};
use crate::state::{Protocol, RouteKind, Scope, TableId};
use ipnet::Ipv4Net;
use packetwalk_walk::DropReason;
use packetwalk_walk::tables::RouteKey;
use packetwalk_walk::wire::ipv4;
use serde_json::{Map, Value, json};
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use thiserror::Error;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Where to.
    pub destination: Ipv4Addr,
    /// From this address; None: the node has not chosen one.
    pub source: Option<Ipv4Addr>,
    /// As if it came in by this link; None: as if the node itself sent it.
    pub iif: Option<String>,
}

/// The route that the kernel would take.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    prefix: Ipv4Net,
    table: TableId,
    route: &'a Route,
    links: &'a Links,
}

/// Why there is no route to print. The texts are iproute2's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RouteGetError {
    /// No link has this name.
    #[error("Cannot find device \"{0}\"")]
    UnknownLink(String),
    /// Neither rule nor route is for it, or a rule says unreachable.
    #[error("RTNETLINK answers: Network is unreachable")]
    Unreachable,
    /// A rule says prohibit.
    #[error("RTNETLINK answers: Permission denied")]
    Prohibited,
    /// A rule says blackhole.
    #[error("RTNETLINK answers: Invalid argument")]
    Blackhole,
    /// A rule that could match is not walked.
    #[error("rule {priority}: {text}: only the kernel can evaluate it")]
    NotHeld {
        /// Its priority.
        priority: u32,
        /// The rule as `ip rule` prints it.
        text: String,
    },
}

impl RouteGetError {
    /// The exit code that `ip` has for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownLink(_) => 1,
            _ => 2,
        }
    }
}

/// Looks `query` up as the kernel would.
pub fn route_get<'a>(node: &'a Node, query: &Query) -> Result<Found<'a>, RouteGetError> {
    let iif = match &query.iif {
        None => node.links.loopback(),
        Some(name) => node.link(name).ok_or_else(|| RouteGetError::UnknownLink(name.clone()))?,
    };
    let key = RouteKey {
        source: query.source.map_or(0, u32::from),
        destination: query.destination.into(),
        iif: Some(iif),
        tos: 0,
        // The kernel looks a request without protocol up as UDP (`inet_rtm_getroute`).
        protocol: ipv4::UDP,
    };
    match node.rib.lookup(&key) {
        Answer::Match(found) => {
            Ok(Found { prefix: found.prefix, table: found.table, route: found.route, links: &node.links })
        }
        Answer::NoRoute => Err(RouteGetError::Unreachable),
        Answer::Rule(rule) => Err(match rule.action {
            RuleAction::Refuse(DropReason::Prohibit, _) => RouteGetError::Prohibited,
            RuleAction::Refuse(DropReason::Blackhole, _) => RouteGetError::Blackhole,
            RuleAction::Refuse(..) | RuleAction::Lookup(_) => RouteGetError::Unreachable,
            RuleAction::NotHeld => {
                RouteGetError::NotHeld { priority: rule.priority, text: rule.text.clone() }
            }
        }),
    }
}

impl<'a> Found<'a> {
    /// The route of `prefix` in `table`.
    pub fn new(prefix: Ipv4Net, table: TableId, route: &'a Route, links: &'a Links) -> Self {
        Self { prefix, table, route, links }
    }

    /// As `ip -j route get ADDR fibmatch` prints it, without the list around it.
    pub fn json(&self) -> Value {
        let route = self.route;
        let mut object = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                object.insert(key.to_owned(), value);
            }
        };
        put("type", (route.kind != RouteKind::Unicast).then(|| route.kind.name().into()));
        put("dst", Some(self.destination().into()));
        put("nhid", route.nhid.map(Value::from));
        let single = self.single();
        for (key, value) in single.into_iter().flat_map(|hop| self.hop_json(hop)) {
            put(key, Some(value));
        }
        put("table", (self.table != TableId::MAIN).then(|| self.table.to_string().into()));
        put("protocol", (route.protocol != Protocol::BOOT).then(|| route.protocol.name().into()));
        put("scope", (route.scope != Scope::GLOBAL).then(|| route.scope.to_string().into()));
        put("prefsrc", route.prefsrc.map(|source| source.to_string().into()));
        put("metric", (route.metric != 0).then(|| route.metric.into()));
        let flags: Vec<_> = single.into_iter().flat_map(|hop| hop.flags.names()).collect();
        put("flags", Some(json!(flags)));
        let metrics: Map<_, _> =
            route.metrics.named().map(|(name, value)| (name.to_owned(), value.into())).collect();
        put("metrics", (!metrics.is_empty()).then(|| json!([metrics])));
        if single.is_none() {
            let hops = route.hops.iter().map(|hop| {
                let mut object: Map<_, _> =
                    self.hop_json(hop).into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
                object.insert("weight".to_owned(), hop.weight.value().into());
                object.insert("flags".to_owned(), json!(hop.flags.names().collect::<Vec<_>>()));
                Value::Object(object)
            });
            put("nexthops", Some(hops.collect()));
        }
        Value::Object(object)
    }

    fn destination(&self) -> String {
        match self.prefix.prefix_len() {
            0 => "default".to_owned(),
            32 => self.prefix.addr().to_string(),
            _ => self.prefix.to_string(),
        }
    }

    /// Its next hop, if it has not several.
    fn single(&self) -> Option<&'a NextHop> {
        match self.route.hops.as_slice() {
            [hop] => Some(hop),
            _ => None,
        }
    }

    fn hop_json(&self, hop: &NextHop) -> Vec<(&'static str, Value)> {
        let gateway = hop.gateway.map(|gateway| match gateway {
            IpAddr::V4(gateway) => ("gateway", gateway.to_string().into()),
            IpAddr::V6(host) => ("via", json!({"family": "inet6", "host": host.to_string()})),
        });
        let link = hop.link.map(|link| ("dev", self.links.name(link).into()));
        gateway.into_iter().chain(link).collect()
    }

    fn write_hop(&self, f: &mut fmt::Formatter<'_>, hop: &NextHop) -> fmt::Result {
        match hop.gateway {
            Some(IpAddr::V4(gateway)) => write!(f, " via {gateway}")?,
            Some(IpAddr::V6(gateway)) => write!(f, " via inet6 {gateway}")?,
            None => {}
        }
        hop.link.map_or(Ok(()), |link| write!(f, " dev {}", self.links.name(link)))
    }
}

impl fmt::Display for Found<'_> {
    /// As `ip route get ADDR fibmatch` prints it; several lines where it has several next hops.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = self.route;
        if route.kind != RouteKind::Unicast {
            write!(f, "{} ", route.kind.name())?;
        }
        f.write_str(&self.destination())?;
        if let Some(id) = route.nhid {
            write!(f, " nhid {id}")?;
        }
        if let Some(hop) = self.single() {
            self.write_hop(f, hop)?;
        }
        if self.table != TableId::MAIN {
            write!(f, " table {}", self.table)?;
        }
        if route.protocol != Protocol::BOOT {
            write!(f, " proto {}", route.protocol.name())?;
        }
        if route.scope != Scope::GLOBAL {
            write!(f, " scope {}", route.scope)?;
        }
        if let Some(source) = route.prefsrc {
            write!(f, " src {source}")?;
        }
        if route.metric != 0 {
            write!(f, " metric {}", route.metric)?;
        }
        for flag in self.single().into_iter().flat_map(|hop| hop.flags.names()) {
            write!(f, " {flag}")?;
        }
        for (name, value) in route.metrics.named() {
            write!(f, " {name} {value}")?;
        }
        if self.single().is_some() {
            return Ok(());
        }
        for hop in &route.hops {
            f.write_str("\n\tnexthop")?;
            self.write_hop(f, hop)?;
            write!(f, " weight {}", hop.weight.value())?;
            for flag in hop.flags.names() {
                f.write_char(' ')?;
                f.write_str(flag)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::resolve::Behind;
    use crate::state::NodeState;
    use std::path::Path;

    fn query(destination: &str) -> Query {
        Query { destination: destination.parse().expect("an address"), source: None, iif: None }
    }

    fn shipped(path: &str) -> Node {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcap-fixtures").join(path);
        Node::build(&NodeState::load(&path).expect("a state"), &Config::default(), Behind::Nothing)
    }

    #[test]
    fn a_calico_node_answers_as_its_kernel_did() {
        let node = shipped("calico-ipip-always/state.json");
        for (destination, route) in [
            ("10.100.245.148", "10.100.245.128/26 via 188.185.125.110 dev tunl0 proto bird onlink"),
            ("10.100.126.84", "10.100.126.64/26 via 188.185.124.119 dev tunl0 proto bird onlink"),
            ("10.100.155.136", "10.100.155.136 dev caliee6565b2580 scope link"),
            ("10.100.155.130", "blackhole 10.100.155.128/26 proto bird"),
        ] {
            assert_eq!(route_get(&node, &query(destination)).expect("a route").to_string(), route);
        }
        let found = route_get(&node, &query("10.100.245.148")).expect("a route");
        assert_eq!(
            found.json(),
            json!({"dst": "10.100.245.128/26", "gateway": "188.185.125.110", "dev": "tunl0", "protocol": "bird",
                "flags": ["onlink"]})
        );
    }

    #[test]
    fn rules_ask_for_source_and_link() {
        let node = shipped("kube-router/state.json");
        let from_pod = Query { source: Some(Ipv4Addr::new(100, 96, 2, 2)), ..query("172.20.75.91") };
        let by_tunnel = "172.20.75.91 dev tun-172207591 table 77 scope link";
        assert_eq!(route_get(&node, &from_pod).expect("a route").to_string(), by_tunnel);
        let own = route_get(&node, &query("172.20.75.91")).expect("a route");
        assert_eq!(own.to_string(), "default via 172.20.32.1 dev eth0");
        let unknown =
            route_get(&node, &Query { iif: Some("nope".into()), ..query("1.1.1.1") }).expect_err("no link");
        assert_eq!((unknown.to_string().as_str(), unknown.exit_code()), ("Cannot find device \"nope\"", 1));
    }

    #[test]
    fn what_refuses_says_so_as_ip_does() {
        let state = r#"{"rule": [{"priority": 1, "dst": "1.1.1.1", "action": "prohibit"},
            {"priority": 2, "dst": "2.2.2.2", "action": "blackhole"}, {"priority": 3, "dst": "3.3.3.3", "fwmark": "0x1"}]}"#;
        let state = NodeState::parse(state, "node.json").expect("a state");
        let node = Node::build(&state, &Config::default(), Behind::Nothing);
        for (destination, message) in [
            ("1.1.1.1", "RTNETLINK answers: Permission denied"),
            ("2.2.2.2", "RTNETLINK answers: Invalid argument"),
            (
                "3.3.3.3",
                "rule 3: from all to 3.3.3.3 fwmark 0x1 lookup main: only the kernel can evaluate it",
            ),
            ("4.4.4.4", "RTNETLINK answers: Network is unreachable"),
        ] {
            let error = route_get(&node, &query(destination)).expect_err("no route");
            assert_eq!((error.to_string().as_str(), error.exit_code()), (message, 2));
        }
    }
}
