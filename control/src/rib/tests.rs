use super::*;
use crate::config::Config;
use crate::links::Numbering;

fn rib(json: &str) -> (Rib, Links, Vec<String>) {
    let state = NodeState::parse(json, "node.json").expect("a state");
    let mut findings = Vec::new();
    let links = Links::number(&state, &Config::default(), &mut Numbering::default(), &mut findings);
    let rib = Rib::build(&state, &links, &mut findings);
    (rib, links, findings.iter().map(ToString::to_string).collect())
}

fn key(source: &str, destination: &str) -> RouteKey {
    let number = |text: &str| text.parse::<Ipv4Addr>().expect("an address").into();
    RouteKey { source: number(source), destination: number(destination), iif: None, tos: 0, protocol: 17 }
}

/// `rule: prefix metric [shorter...]`, or what else the answer is.
fn ask(rib: &Rib, key: &RouteKey) -> String {
    match rib.lookup(key) {
        Answer::NoRoute => "no route".into(),
        Answer::Rule(rule) => format!("rule {}", rule.priority),
        Answer::Match(found) => {
            let shorter: Vec<_> = found.shorter.iter().map(|(prefix, _)| prefix.to_string()).collect();
            format!(
                "{}: {} {} metric {} {shorter:?}",
                found.rule.priority,
                found.route.kind.name(),
                found.prefix,
                found.route.metric
            )
        }
    }
}

const LINKS: &str = r#""addr": [
    {"ifname": "lo", "flags": ["LOOPBACK", "UP"], "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},
    {"ifname": "eth0", "address": "02:00:00:00:00:01", "addr_info": [{"local": "10.0.0.1", "prefixlen": 24}]},
    {"ifname": "eth1", "address": "02:00:00:00:00:02"}]"#;

#[test]
fn longest_prefix_then_lowest_metric() {
    let (rib, _, _) = rib(&format!(
        r#"{{{LINKS}, "route": [{{"dst": "default", "gateway": "10.0.0.254", "dev": "eth0"}},
        {{"dst": "10.1.0.0/16", "gateway": "10.0.0.2", "dev": "eth0", "metric": 20}},
        {{"dst": "10.1.0.0/16", "gateway": "10.0.0.3", "dev": "eth0", "metric": 10}},
        {{"dst": "10.1.0.0/16", "gateway": "10.0.0.4", "dev": "eth0", "metric": 10}},
        {{"type": "blackhole", "dst": "10.1.2.0/24"}}]}}"#
    ));
    let all = r#"["10.1.0.0/16", "10.1.0.0/16", "10.1.0.0/16", "0.0.0.0/0"]"#;
    assert_eq!(
        ask(&rib, &key("1.1.1.1", "10.1.2.3")),
        format!("32766: blackhole 10.1.2.0/24 metric 0 {all}")
    );
    let Answer::Match(found) = rib.lookup(&key("1.1.1.1", "10.1.3.3")) else { unreachable!("a route") };
    assert_eq!((found.route.metric, found.route.hops[0].gateway), (10, Some([10, 0, 0, 3].into())));
}

#[test]
fn own_addresses_are_local_where_the_state_leaves_them_out() {
    let (rib, _, _) = rib(&format!("{{{LINKS}}}"));
    for (destination, answer) in [
        ("10.0.0.1", "0: local 10.0.0.1/32 metric 0 []"),
        ("10.0.0.255", "0: broadcast 10.0.0.255/32 metric 0 []"),
        ("127.9.9.9", "0: local 127.0.0.0/8 metric 0 []"),
        ("10.0.0.2", "no route"),
    ] {
        assert_eq!(ask(&rib, &key("1.1.1.1", destination)), answer);
    }
}

#[test]
fn a_state_with_local_routes_is_taken_at_its_word() {
    let (rib, _, _) = rib(&format!(
        r#"{{{LINKS}, "route": [{{"type": "local", "dst": "10.9.0.0/16", "dev": "lo", "table": "local"}}]}}"#
    ));
    assert_eq!(ask(&rib, &key("1.1.1.1", "10.9.1.1")), "0: local 10.9.0.0/16 metric 0 []");
    assert_eq!(ask(&rib, &key("1.1.1.1", "10.0.0.1")), "no route");
}

#[test]
fn rules_are_tried_in_order_and_throw_goes_on() {
    let (rib, links, findings) = rib(&format!(
        r#"{{{LINKS}, "route": [
        {{"dst": "10.1.0.0/16", "dev": "eth0", "table": 77}}, {{"type": "throw", "dst": "10.1.2.0/24", "table": 77}},
        {{"dst": "default", "dev": "eth1"}}],
        "rule": [{{"priority": 32766, "src": "all", "table": "main"}},
        {{"priority": 10, "src": "10.244.0.0", "srclen": 16, "table": "77"}},
        {{"priority": 11, "src": "all", "dst": "9.9.9.9", "action": "prohibit"}},
        {{"priority": 12, "not": null, "src": "10.0.0.0", "srclen": 8, "dst": "8.8.8.0", "dstlen": 24, "nop": null}},
        {{"priority": 13, "src": "all", "iif": "eth1", "dst": "7.7.7.7", "action": "blackhole"}},
        {{"priority": 14, "src": "all", "oif": "eth1", "action": "blackhole"}},
        {{"priority": 15, "src": "all", "uid_start": 1, "uid_end": 9, "action": "blackhole"}},
        {{"priority": 16, "src": "all", "iif": "gone", "action": "blackhole"}},
        {{"priority": 17, "src": "all", "l3mdev": null}},
        {{"priority": 18, "src": "10.7.0.0", "srclen": 16, "fwmark": "0x1", "table": 5}},
        {{"priority": 20, "src": "all", "goto": 30}}, {{"priority": 21, "src": "all", "action": "blackhole"}},
        {{"priority": 22, "src": "all", "goto": 23}},
        {{"priority": 30, "src": "all", "tos": "0x10", "ipproto": "tcp", "action": "unreachable"}}]}}"#
    ));
    let from_pod = |destination| ask(&rib, &key("10.244.1.1", destination));
    assert_eq!(from_pod("10.1.3.1"), "10: unicast 10.1.0.0/16 metric 0 []");
    assert_eq!(from_pod("10.1.2.1"), "32766: unicast 0.0.0.0/0 metric 0 []");
    assert_eq!(ask(&rib, &key("1.1.1.1", "10.1.3.1")), "32766: unicast 0.0.0.0/0 metric 0 []");
    assert_eq!(from_pod("9.9.9.9"), "rule 11");
    assert_eq!(from_pod("7.7.7.7"), "32766: unicast 0.0.0.0/0 metric 0 []");
    assert_eq!(ask(&rib, &RouteKey { iif: links.id("eth1"), ..key("1.1.1.1", "7.7.7.7") }), "rule 13");
    assert_eq!(ask(&rib, &key("10.7.1.1", "1.1.1.1")), "rule 18");
    assert_eq!(ask(&rib, &RouteKey { tos: 0x11, protocol: 6, ..key("1.1.1.1", "2.2.2.2") }), "rule 30");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].contains("rule 18") && findings[0].contains("fwmark 0x1"), "{findings:?}");
}

#[test]
fn dead_next_hops_make_way() {
    let (rib, _, findings) = rib(&format!(
        r#"{{{LINKS}, "route": [{{"dst": "10.1.0.0/16", "dev": "eth0"}},
        {{"dst": "10.1.2.0/24", "gateway": "10.0.0.2", "dev": "eth0", "flags": ["dead"]}},
        {{"dst": "10.1.3.0/24", "gateway": "10.0.0.2", "dev": "eth0", "flags": ["linkdown"]}},
        {{"dst": "10.1.4.0/24", "gateway": "10.0.0.2", "dev": "eth1", "flags": ["linkdown"]}},
        {{"type": "broadcast", "dst": "10.1.5.255", "dev": "eth1", "table": "local", "flags": ["dead", "linkdown"]}},
        {{"type": "blackhole", "dst": "10.1.6.0/24", "flags": ["dead"]}}],
        "netconf": [{{"interface": "eth1", "ignore_routes_with_linkdown": true}}]}}"#
    ));
    assert_eq!(ask(&rib, &key("1.1.1.1", "10.1.2.1")), "32766: unicast 10.1.0.0/16 metric 0 []");
    assert!(ask(&rib, &key("1.1.1.1", "10.1.3.1")).contains("10.1.3.0/24"));
    assert_eq!(ask(&rib, &key("1.1.1.1", "10.1.4.1")), "32766: unicast 10.1.0.0/16 metric 0 []");
    assert_eq!(ask(&rib, &key("1.1.1.1", "10.1.5.255")), "32766: unicast 10.1.0.0/16 metric 0 []");
    assert!(ask(&rib, &key("1.1.1.1", "10.1.6.1")).contains("blackhole 10.1.6.0/24"));
    assert_eq!(findings.len(), 3, "{findings:?}");
}

#[test]
fn nexthop_objects_are_the_truth() {
    let (rib, _, _) = rib(&format!(
        r#"{{{LINKS}, "route": [{{"dst": "10.1.0.0/16", "nhid": 3, "nexthops": [{{"gateway": "10.0.0.9", "dev": "eth0"}}]}},
        {{"dst": "10.2.0.0/16", "nhid": 4}}, {{"dst": "10.3.0.0/16", "nhid": 9, "gateway": "10.0.0.9", "dev": "eth0"}}],
        "nexthop": [{{"id": 1, "gateway": "10.0.0.7", "dev": "eth0"}}, {{"id": 2, "gateway": "10.0.0.8", "dev": "eth0"}},
        {{"id": 3, "group": [{{"id": 1}}, {{"id": 2, "weight": 3}}]}}, {{"id": 4, "blackhole": null}}]}}"#
    ));
    let hops = |destination| match rib.lookup(&key("1.1.1.1", destination)) {
        Answer::Match(found) => {
            found.route.hops.iter().map(|hop| (hop.gateway, hop.weight.value())).collect::<Vec<_>>()
        }
        _ => Vec::new(),
    };
    let gateway = |last| Some([10, 0, 0, last].into());
    assert_eq!(hops("10.1.0.1"), [(gateway(7), 1), (gateway(8), 3)]);
    assert_eq!(hops("10.3.0.1"), [(gateway(9), 1)]);
    assert!(ask(&rib, &key("1.1.1.1", "10.2.0.1")).contains("blackhole"));
}
