use super::*;
use packetwalk_walk::tables::Vni;

fn parse(json: &str) -> NodeState {
    NodeState::parse(json, "node.json").expect("a state")
}

fn error(text: &str, name: &str) -> String {
    NodeState::parse(text, name).expect_err("no state").to_string()
}

#[test]
fn what_ip_prints_of_links_is_read() {
    let state = parse(
        r#"{"addr": [{}, {"ifindex": 7, "ifname": "vx2", "flags": ["BROADCAST", "MULTICAST"], "mtu": 1500,
          "link_type": "ether", "address": "46:d4:4f:f4:c3:30", "linkinfo": {"info_kind": "vxlan", "info_data":
          {"id": 4096, "remote": "10.0.0.9", "port_range": {"low": 5000, "high": 6000}, "port": 4789, "learning": true,
          "df": "set", "udp_csum": true}}, "addr_info": [{"family": "inet", "local": "10.0.0.1", "prefixlen": 24,
          "scope": "global", "label": "vx2"}, {}, {"family": "inet6", "local": "fe80::1", "prefixlen": 64,
          "scope": "link"}]}, {"ifname": "m0", "master": "br0", "flags": ["UP"], "linkinfo": {"info_slave_data":
          {"state": "disabled", "hairpin": true}, "info_slave_kind": "bridge", "info_kind": "veth"}}]}"#,
    );
    assert_eq!(state.addr.len(), 2);
    let (vxlan, member) = (&state.addr[0], &state.addr[1]);
    let data = &vxlan.linkinfo.info_data;
    assert_eq!((data.port, data.df), (Some(4789), Some(DontFragment::Set)));
    assert_eq!(data.port_range, Some(PortRange { low: 5000, high: 6000 }));
    assert!(!vxlan.is_up() && member.is_up());
    assert_eq!(vxlan.addr_info[0].subnet.to_string(), "10.0.0.0/24");
    assert_eq!(vxlan.addr_info[1].scope, Scope::LINK);
    assert_eq!(member.linkinfo.info_slave_data.state.as_deref(), Some("disabled"));
    assert!(member.linkinfo.info_slave_data.hairpin);
}

#[test]
fn the_kind_may_come_after_its_data_and_foreign_kinds_keep_their_keys() {
    let state = parse(
        r#"{"addr": [{"ifname": "v", "linkinfo": {"info_data": {"id": 9}, "info_kind": "vxlan"}},
          {"ifname": "g", "linkinfo": {"info_kind": "gre6", "info_data": {"ttl": "strange", "id": -1}}}]}"#,
    );
    assert_eq!(state.addr[0].linkinfo.info_data.id.map(Vni::value), Some(9));
    let message = error(
        r#"{"addr": [{"ifname": "v", "linkinfo": {"info_data": {"id": 16777216}, "info_kind": "vxlan"}}]}"#,
        "n.json",
    );
    assert!(message.contains("info_data.id") && message.contains("16777216"), "{message}");
}

#[test]
fn what_ip_prints_of_routes_is_read() {
    let state = parse(
        r#"{"route": [{"type": "unicast", "dst": "10.18.0.0/24", "nhid": 3, "table": "77", "protocol": "boot",
          "scope": "global", "flags": [], "nh_info": {"id": 3}, "nexthops": [{"gateway": "10.0.0.7", "dev": "eth0",
          "weight": 3, "flags": ["dead", "linkdown"]}, {}, {"via": {"family": "inet6", "host": "fe80::1"},
          "dev": "eth0"}], "metrics": [{"mtu": 1300, "advmss": 1260}]},
          {"dst": "default", "gateway": "fd00::3", "dev": "eth0"}, {"dst": "default", "dev": "eth0", "pref": "medium"},
          {"dst": "default", "via": {"family": "inet6", "host": "fe80::1"}, "dev": "eth0"}, {"dev": "tun0"}]}"#,
    );
    let route = &state.route[0];
    assert_eq!(route.table.map(TableId::number), Some(77));
    assert_eq!(route.metrics.mtu.map(Mtu::bytes), Some(1300));
    assert_eq!(route.nexthops.len(), 2);
    assert!(route.nexthops[0].flags.dead && route.nexthops[0].flags.linkdown);
    let families: Vec<_> = state.route.iter().map(|route| route.ipv4().is_some()).collect();
    assert_eq!(families, [true, false, false, true, true]);
}

#[test]
fn what_ip_prints_of_rules_is_read_and_written_alike() {
    let state = parse(
        r#"{"rule": [{"priority": 0, "src": "all", "table": "local", "protocol": "kernel"},
          {"priority": 5, "src": "all", "goto": 32766}, {"priority": 8, "src": "all", "nop": null},
          {"priority": 9, "src": "all", "l3mdev": null}, {"priority": 96, "src": "all", "iif": "lo", "action":
          "blackhole"}, {"priority": 98, "src": "all", "tos": "0x10", "ipproto": "tcp", "sport": 5, "dport_start": 80,
          "dport_end": 90, "action": "unreachable"}, {"priority": 99, "not": null, "src": "10.9.0.5", "fwmark": "0x10",
          "fwmask": "0xff", "iif": "eth0", "oif": "cali1", "table": "1000"}, {"priority": 100, "src": "10.9.0.0",
          "srclen": 24, "dst": "1.2.3.4", "table": 77}]}"#,
    );
    let rules = state.rule.expect("rules");
    let texts: Vec<_> = rules.iter().map(ToString::to_string).collect();
    assert_eq!(texts[0], "from all lookup local");
    assert_eq!(texts[1], "from all goto 32766");
    assert_eq!(texts[2], "from all nop");
    assert_eq!(texts[3], "from all lookup [l3mdev-table]");
    assert_eq!(texts[4], "from all iif lo blackhole");
    assert_eq!(texts[6], "not from 10.9.0.5 iif eth0 oif cali1 fwmark 0x10/0xff lookup 1000");
    assert_eq!(texts[7], "from 10.9.0.0/24 to 1.2.3.4 lookup 77");
    assert_eq!(texts[5], "from all tos 0x10 ipproto tcp sport 5 dport 80-90 unreachable");
    assert_eq!(rules[5].tos, Some(Tos::Byte(0x10)));
    assert!(parse("{}").rule.is_none());
}

#[test]
fn a_lightweight_tunnel_hides_nothing_of_its_route() {
    let state = parse(
        r#"{"route": [{"type": "unicast", "dst": "10.48.0.0/24", "encap": "ip", "id": 5, "src": "0.0.0.0",
          "dst": "1.2.3.4", "ttl": 0, "tos": 0, "dev": "eth0", "table": "main", "scope": "link", "flags": []}]}"#,
    );
    let route = &state.route[0];
    assert_eq!(route.ipv4().map(|prefix| prefix.to_string()).as_deref(), Some("10.48.0.0/24"));
    assert!(route.encap.is_some() && route.tos.is_none());
}

/// One of everything that is read, so that a key that is read and not written is found.
const WHOLE: &str = r#"{
  "addr": [
    {"ifname": "lo", "link": null, "flags": ["LOOPBACK", "UP"], "mtu": 65536, "link_type": "loopback", "address":
      "00:00:00:00:00:00", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},
    {"ifname": "tunl0", "flags": [], "link_type": "ipip", "address": "0.0.0.0", "linkinfo": {"info_kind": "ipip",
      "info_data": {"proto": "any", "remote": "any", "local": "10.0.0.1", "link": "eth0", "ttl": 0, "pmtudisc": true}},
      "addr_info": [{"local": "10.0.7.1", "address": "10.0.7.2", "prefixlen": 32, "broadcast": "10.0.7.9",
      "scope": "7", "secondary": true}, {"local": "10.0.7.1", "address": "10.0.7.2", "prefixlen": 24}]},
    {"ifname": "vx", "master": "br0", "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 7, "remote": "10.0.0.9",
      "remote6": "fd00::9", "local6": "fd00::1", "port": 4789, "port_range": {"low": 1, "high": 2}, "ttl": "inherit", "df": "inherit",
      "external": true}, "info_slave_kind": "bridge", "info_slave_data": {"state": "blocking", "hairpin": true}}},
    {"ifname": "br0", "linkinfo": {"info_kind": "bridge", "info_data": {"vlan_filtering": 1}}},
    {"ifname": "v5", "link": "eth0", "linkinfo": {"info_kind": "vlan", "info_data": {"id": 5}}}],
  "route": [
    {"type": "blackhole", "dst": "10.0.0.0/8", "table": "77", "metric": 9, "tos": "0x10", "protocol": "bird",
      "scope": "link", "prefsrc": "10.0.0.1", "nhid": 7, "metrics": [{"mtu": 1300, "window": 1, "cwnd": 2,
      "advmss": 3, "hoplimit": 4, "initcwnd": 5, "initrwnd": 6}]},
    {"dst": "default", "via": {"family": "inet6", "host": "fe80::1"}, "dev": "eth0", "flags": ["dead", "onlink"]},
    {"dst": "fd00::/64", "from": "fd01::/64", "pref": "high", "encap": "seg6", "nexthops": [{"gateway": "fe80::1",
      "dev": "eth0", "weight": 65536, "flags": ["linkdown"], "encap": "ip6"}, {"via": {"host": "10.0.0.1"}}]}],
  "rule": [
    {"priority": 5, "not": null, "src": "10.0.0.0", "srclen": 8, "dst": "10.1.0.1", "iif": "a", "oif": "b",
      "tos": "0x10", "ipproto": "tcp", "uid_start": 1, "uid_end": 2, "fwmark": "0x10", "fwmask": "0xff", "sport": 5,
      "dport_start": 80, "dport_end": 90, "tun_id": 7, "dscp": "AF11", "flowlabel": "0x1", "suppress_prefixlen": 0,
      "suppress_ifgroup": "7", "flow_from": "3", "flow_to": "4", "table": "77"},
    {"priority": 6, "src": "all", "goto": 9}, {"priority": 7, "nop": null}, {"priority": 8, "l3mdev": null},
    {"priority": 9, "action": "prohibit", "sport_start": 1, "sport_end": 2, "dport": 3}],
  "rule6": [],
  "neigh": [{"dst": "10.0.0.7", "dev": "eth0", "lladdr": "02:00:00:00:00:07", "state": ["STALE"]}],
  "fdb": [{"mac": "02:00:00:00:00:07", "ifname": "vx", "dst": "10.0.0.9", "port": 5, "vni": 6, "nhid": 7,
    "master": "br0", "state": "permanent", "flags": ["self"]}],
  "nexthop": [{"id": 1, "gateway": "10.0.0.7", "dev": "eth0", "flags": ["onlink"], "encap": "mpls"},
    {"id": 2, "via": {"host": "fe80::1"}, "blackhole": null}, {"id": 3, "group": [{"id": 1, "weight": 2}, {"id": 2}]}],
  "netconf": [{"family": "inet", "interface": "all", "forwarding": false, "proxy_neigh": true,
    "ignore_routes_with_linkdown": true}]
}"#;

#[test]
fn what_is_written_is_read_back_equal() {
    let state = parse(WHOLE);
    let mut written = Vec::new();
    state.write(&mut written).expect("a vector takes all");
    let written = String::from_utf8(written).expect("JSON is text");
    assert_eq!(parse(&written), state, "{written}");
    let empty = NodeState::default();
    let mut written = Vec::new();
    empty.write(&mut written).expect("a vector takes all");
    assert_eq!(parse(&String::from_utf8(written).expect("JSON is text")), empty);
}

/// Every key of the file above has a counterpart in what is written from it: none was read and forgotten.
#[test]
fn what_is_written_has_every_key_that_is_read() {
    fn keys(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
                found.insert(key.clone());
                keys(value, found);
            }),
            serde_json::Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    let mut written = Vec::new();
    parse(WHOLE).write(&mut written).expect("a vector takes all");
    let (mut read, mut wrote) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    keys(&serde_json::from_str(WHOLE).expect("JSON"), &mut read);
    keys(&serde_json::from_slice(&written).expect("JSON"), &mut wrote);
    // The family of `via` is its address's.
    read.remove("family");
    wrote.remove("family");
    assert_eq!(read, wrote);
}

#[test]
fn toml_has_the_same_keys() {
    let state = NodeState::parse(
        "[[addr]]\nifname = \"eth0\"\nmtu = 9001\naddr_info = [{ local = \"10.0.0.1\", prefixlen = 24 }]\n\
         [[route]]\ndst = \"10.1.0.0/16\"\ngateway = \"10.0.0.2\"\ntable = 77\n\
         [[rule]]\nnot = true\nsrc = \"10.0.0.0/24\"\ntable = \"77\"\npriority = 5\n\
         [[neigh]]\ndst = \"10.0.0.2\"\ndev = \"eth0\"\nlladdr = \"02:00:00:00:00:01\"\nstate = [\"FAILED\"]\n",
        "node",
    )
    .expect("a state");
    assert_eq!(state.addr[0].mtu.map(Mtu::bytes), Some(9001));
    assert_eq!(state.rule.expect("a rule")[0].to_string(), "not from 10.0.0.0/24 lookup 77");
    assert!(state.neigh[0].usable_mac().is_none());
}

#[test]
fn an_error_names_file_key_value_and_what_was_expected() {
    for (json, key, value, expected) in [
        (
            r#"{"route": [{}, {"dst": "10.0.0.0/24", "gateway": "10.0.0.300"}]}"#,
            "route[1].gateway",
            "10.0.0.300",
            "address",
        ),
        (r#"{"route": [{"dst": "10.0.0.1/24"}]}"#, "route[0].dst", "10.0.0.1/24", "prefix"),
        (r#"{"route": [{"dst": "10.0.0.0/33"}]}"#, "route[0].dst", "10.0.0.0/33", "prefix"),
        (r#"{"route": [{"table": "mian"}]}"#, "route[0].table", "mian", "local, main, default"),
        (r#"{"route": [{"table": 0}]}"#, "route[0].table", "0", "from 1"),
        (r#"{"route": [{"metric": -1}]}"#, "route[0].metric", "-1", "0 to 4294967295"),
        (r#"{"route": [{"type": "bleakhole"}]}"#, "route[0].type", "bleakhole", "blackhole"),
        (r#"{"route": [{"metrics": [{"mtu": 20}]}]}"#, "route[0].metrics[0].mtu", "20", "68"),
        (r#"{"route": [{"nexthops": [{"weight": 0}]}]}"#, "route[0].nexthops[0].weight", "0", "1 to 65536"),
        (r#"{"addr": [{"ifname": "a", "mtu": "big"}]}"#, "addr[0].mtu", "big", "MTU"),
        (r#"{"addr": [{"ifname": "a", "address": "02:00:00"}]}"#, "addr[0].address", "02:00:00", "MAC"),
        (r#"{"addr": [{"mtu": 1500}]}"#, "addr[0]", "ifname", "missing"),
        (
            r#"{"addr": [{"ifname": "a", "addr_info": [{"local": "10.0.0.1", "prefixlen": 64}]}]}"#,
            "addr[0].addr_info[0]",
            "64",
            "0 to 32",
        ),
        (
            r#"{"addr": [{"ifname": "a", "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 16777216}}}]}"#,
            "addr[0].linkinfo.info_data.id",
            "16777216",
            "16777215",
        ),
        (r#"{"rule": [{"src": "10.0.0.0", "srclen": 40}]}"#, "rule[0]", "40", "0 to 32"),
        (r#"{"rule": [{"action": "dance"}]}"#, "rule[0]", "dance", "blackhole"),
        (r#"{"neigh": [{"dst": "10.0.0.1", "dev": "a", "lladdr": "zz"}]}"#, "neigh[0].lladdr", "zz", "MAC"),
        (r#"{"fdb": [{"mac": "1", "ifname": "a"}]}"#, "fdb[0].mac", "\"1\"", "MAC"),
        (r#"{"netconf": 5}"#, "netconf", "5", "list"),
    ] {
        let message = error(json, "node.json");
        assert!(message.starts_with(&format!("node.json: {key}: ")), "{message}\n{json}");
        assert!(message.contains(value) && message.contains(expected), "{message}\n{json}");
    }
    let message = error("[[route]]\ndst = \"10.0.0.0/24\"\ngateway = 7\n", "node.toml");
    assert!(message.starts_with("node.toml: route[0].gateway: ") && message.contains("line 3"), "{message}");
}

#[test]
fn a_syntax_error_has_line_and_column() {
    assert!(error("{\n  \"addr\": [,]\n}", "n.json").starts_with("n.json:2:12: "));
    assert!(error("{}x", "n.json").starts_with("n.json:1:3: "));
    let message = error("[[addr]]\nifname = eth0\n", "n.toml");
    assert!(message.starts_with("n.toml:2:10: "), "{message}");
    assert!(error("", "n.json").starts_with("n.json:1:0: "));
}

#[test]
fn a_missing_file_is_named() {
    let error = NodeState::load(Path::new("/nonexistent/node.json")).expect_err("there is no such file");
    assert!(error.to_string().starts_with("/nonexistent/node.json: cannot read"), "{error}");
}
