//! The running process: started, asked, compared with the kernel, tampered with, mistreated, stopped.
//!
//! Needs root and iproute2, and fails without; `PACKETWALK_SKIP_PRIVILEGED=1` leaves it out, but not where CI=true.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "netlink/namespace.rs"]
mod namespace;
mod serve {
    pub(crate) mod clients;
    pub(crate) mod node;
    pub(crate) mod tamper;
}

use namespace::privileged_tests_run;
use packetwalk_control::live::Live;
use packetwalk_control::state::TableId;
use packetwalk_walk::tables::Action;
use serde_json::Value;
use serve::clients::Raw;
use serve::node::{Node, Running, eventually, is_there};
use serve::tamper;
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::time::Duration;

/// `ip route get ADDR fibmatch` on the node.
fn kernel_route(node: &Node, address: &str) -> String {
    let printed = node.namespace.run(&["ip", "route", "get", address, "fibmatch"]);
    let lines: Vec<_> = printed.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

fn runtime(node: &Node) -> Value {
    serde_json::from_str(&node.printed("show runtime --json", 0)).expect("JSON")
}

fn assert_equal_to_the_kernel(node: &Node) {
    let printed = node.printed("fib diff", 0);
    assert!(printed.starts_with("equal: "), "{printed}");
}

#[test]
fn a_process_follows_answers_and_stops() {
    if !privileged_tests_run() {
        return;
    }
    let node = Node::new();
    let mut running = node.start();
    let asked =
        ["10.0.0.1", "10.0.0.9", "10.9.0.5", "10.13.0.1", "10.15.0.3", "10.16.33.1", "10.17.4.1", "9.9.9.9"];
    for address in asked {
        assert_eq!(node.printed(&format!("route get {address}"), 0), kernel_route(&node, address));
    }
    assert_eq!(node.printed("route get 10.9.0.6", 0), "blackhole 10.9.0.0/26 proto bird\n");
    let said = node.packetwalk("route get 10.0.0.1 --iif eth7");
    let said = (said.status.code(), String::from_utf8_lossy(&said.stderr).into_owned());
    assert_eq!(said, (Some(2), "error: Cannot find device \"eth7\"\n".to_owned()));
    assert_equal_to_the_kernel(&node);

    let neighbours = node.printed("show neigh", 0);
    let line = "10.0.0.7 dev eth0 action send encap none ethertype 0800 lladdr 02:00:00:00:00:07 mtu 1500";
    assert!(neighbours.lines().any(|found| found.starts_with(line)), "{neighbours}");
    assert_eq!(node.printed("show tunnels", 0), "");

    let before = runtime(&node);
    assert_eq!((&before["mode"], &before["following"]["stale"]), (&"shadow".into(), &false.into()));
    for (change, address) in [
        ("ip route replace 10.15.0.0/24 via 10.0.0.8", "10.15.0.3"),
        ("ip route del 10.16.32.0/20", "10.16.33.1"),
        ("ip route add 10.16.32.0/20 via 10.0.0.254", "10.16.33.1"),
        ("ip rule del pref 90", "10.17.4.1"),
        ("ip link set cali1 down", "10.9.0.5"),
        ("ip neigh replace 10.0.0.8 lladdr 02:00:00:00:00:88 dev eth0", "10.15.0.3"),
        ("ip route flush table 77", "10.17.4.1"),
        (
            "ip link add cali2 type veth peer name far2; ip addr add 10.0.2.1/24 dev cali2; ip link set cali2 up",
            "10.0.2.1",
        ),
    ] {
        node.namespace.shell(change);
        eventually(change, || {
            // A blackhole is an error of the kernel's, and a route of ours.
            address == "10.9.0.5"
                || node.printed(&format!("route get {address}"), 0) == kernel_route(&node, address)
        });
        assert_equal_to_the_kernel(&node);
    }
    let after = runtime(&node);
    let number = |value: &Value| value.as_u64().expect("a number");
    assert!(number(&after["generation"]) > number(&before["generation"]), "{after}");
    assert!(number(&after["change_latency_us"]["count"]) >= 5, "{after}");
    assert!(
        number(&after["change_latency_us"]["median"]) <= number(&after["change_latency_us"]["max"]),
        "{after}"
    );

    assert_eq!(running.end("-TERM"), Some(0));
    assert!(!is_there(&node.socket()));
    let said = String::from_utf8_lossy(&node.packetwalk("fib diff").stderr).into_owned();
    assert!(said.contains("nobody answers there") && said.contains("packetwalk run"), "{said}");
}

#[test]
fn one_process_answers_at_a_socket_and_takes_over_what_was_left_behind() {
    if !privileged_tests_run() {
        return;
    }
    let node = Node::new();
    let mut first = node.start();
    let second = node.packetwalk("run --shadow");
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(2));
    assert!(said.contains("another packetwalk answers there"), "{said}");
    assert_equal_to_the_kernel(&node);

    assert_eq!(first.end("-KILL"), None);
    assert!(is_there(&node.socket()), "nobody removed it");
    let mut third = node.start();
    assert_equal_to_the_kernel(&node);
    assert_eq!(third.end("-INT"), Some(0));
    assert!(!is_there(&node.socket()));

    let said = String::from_utf8_lossy(&node.packetwalk("run").stderr).into_owned();
    assert!(said.contains("expected --shadow"), "{said}");
}

#[test]
fn the_service_manager_is_told() {
    if !privileged_tests_run() {
        return;
    }
    let node = Node::new();
    let manager = UnixDatagram::bind(node.file("notify")).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let mut command = node.command("run --shadow");
    command.env("NOTIFY_SOCKET", node.file("notify"));
    let mut running = Running::spawn(command);
    let told = || {
        let mut buffer = [0; 100];
        let length = manager.recv(&mut buffer).expect("it tells");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert_eq!(told(), "READY=1");
    assert_equal_to_the_kernel(&node);
    assert_eq!(running.end("-TERM"), Some(0));
    assert_eq!(told(), "STOPPING=1");
}

#[test]
fn findings_are_said_once() {
    if !privileged_tests_run() {
        return;
    }
    let node = Node::new();
    let mut running = node.start();
    for _ in 0..3 {
        let publications = runtime(&node)["publications"].as_u64();
        node.namespace.shell("ip neigh del 10.0.0.8 dev eth0");
        eventually("it is published", || runtime(&node)["publications"].as_u64() > publications);
        // It is there again, without an address: the process has asked for it.
        node.namespace.shell("ip neigh replace 10.0.0.8 lladdr 02:00:00:00:00:08 dev eth0");
        assert_equal_to_the_kernel(&node);
    }
    node.namespace.shell("ip route add 10.33.0.0/24 via 10.0.0.99");
    running.wait_for("info: route 10.33.0.0/24 table main: no usable neighbour entry for 10.0.0.99 dev eth0");
    // Which of its routes is named depends on which was resolved first.
    let lines: Vec<_> = running.said.lines().filter(|line| line.contains("for 10.0.0.8 dev eth0")).collect();
    let distinct: HashSet<_> = lines.iter().collect();
    assert!(!lines.is_empty() && distinct.len() == lines.len(), "{}", running.said);
}

#[test]
fn explain_walks_on_the_state_of_the_process() {
    if !privileged_tests_run() {
        return;
    }
    let node = Node::new();
    std::fs::write(node.file("tunnel.toml"), "[icmp]\nrate = 7\n").expect("a file");
    // More than one answer holds, in state and in ranges.
    let route = |number: u32| {
        let (prefix, gateway) = (Ipv4Addr::from(0x1400_0000 + (number << 8)), 7 + number % 2);
        format!("route add {prefix}/24 via 10.0.0.{gateway}\n")
    };
    std::fs::write(node.file("batch"), (0..10_000).map(route).collect::<String>()).expect("a file");
    node.namespace.run(&["ip", "-batch", &node.file("batch").to_string_lossy()]);
    let mut command = node.command("run --shadow");
    command.arg("--config").arg(node.file("tunnel.toml"));
    let mut running = Running::spawn(command);
    running.wait_for("ready: ");
    let mac: Vec<u8> = {
        let address = node.namespace.run(&["cat", "/sys/class/net/eth0/address"]);
        address.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect()
    };
    std::fs::write(node.file("eth0.pcap"), serve::clients::capture(&mac, [10, 16, 33, 1])).expect("a file");
    std::fs::write(
        node.file("node.json"),
        node.namespace.run(&[env!("CARGO_BIN_EXE_packetwalk"), "snapshot"]),
    )
    .expect("a file");
    let rx = format!("--rx eth0={} --frame 1", node.file("eth0.pcap").display());
    let by_process = node.printed(&format!("explain {rx}"), 0);
    let state = format!("--state {}", node.file("node.json").display());
    let by_file = node.namespace.run(
        &[
            &[env!("CARGO_BIN_EXE_packetwalk"), "explain"][..],
            &rx.split(' ').collect::<Vec<_>>(),
            &state.split(' ').collect::<Vec<_>>(),
        ]
        .concat(),
    );
    assert_eq!(by_process, by_file);
    assert_equal_to_the_kernel(&node);
    let compared: Value = serde_json::from_str(&node.printed("fib diff --json", 0)).expect("JSON");
    assert!(compared["compared"]["ranges"].as_u64() > Some(10_000), "{compared}");
    assert!(by_process.contains("10.16.32.0/20 via 10.0.0.7 dev eth0"), "{by_process}");
    // The next hop is in the subnet that the frame came from: it is sent back by the port that it came in by.
    assert!(by_process.contains("forwarded by eth0"), "{by_process}");
}

#[test]
fn a_difference_is_found_and_named() {
    if !privileged_tests_run() {
        return;
    }
    let node = Node::new();
    let found = |tamper: &(dyn Fn(&mut Live) + Sync)| node.serve(tamper, || node.printed("fib diff", 1));
    node.serve(|_| {}, || assert_equal_to_the_kernel(&node));

    // One entry of the FIB leads elsewhere.
    let misled = |live: &mut Live| {
        let other = tamper::value_of(live, [10, 16, 0, 1]);
        tamper::fib(live, TableId::MAIN, "10.15.0.77/32", other);
    };
    let text = found(&misled);
    let line = "table main 10.15.0.0/24 at 10.15.0.77/32: kernel: via 10.0.0.7 dev eth0; workers: via 10.0.0.8 dev eth0";
    assert_eq!(text.lines().next(), Some(line), "{text}");
    assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("1 difference: ")), "{text}");
    let json = node.serve(misled, || node.printed("fib diff --json", 1));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["equal"], &json["differences"][0]["name"]), (&false.into(), &"10.15.0.0/24".into()));

    // A route is withheld: its addresses have what the default route says.
    let text = found(&|live| {
        let default = tamper::value_of(live, [9, 9, 9, 9]);
        tamper::fib(live, TableId::MAIN, "10.16.32.0/20", default);
    });
    let line = "table main 10.16.32.0/20: kernel: via 10.0.0.7 dev eth0; workers: via 10.0.0.254 dev eth0";
    assert_eq!(text.lines().next(), Some(line), "{text}");

    // A route that the kernel does not have, in a table of its own.
    let text = found(&|live| {
        let other = tamper::value_of(live, [10, 16, 0, 1]);
        tamper::fib(live, TableId::new(77).expect("a table"), "10.17.9.9/32", other);
    });
    let line = "table 77 10.17.9.9/32: kernel: no route; workers: via 10.0.0.8 dev eth0";
    assert_eq!(text.lines().next(), Some(line), "{text}");

    // A byte of a MAC address is wrong, in every route and neighbour that has it.
    let text = found(&|live| {
        tamper::adjacencies(live, |adjacency| {
            if let Action::Send { rewrite, .. } = &mut adjacency.action
                && rewrite.starts_with(&[2, 0, 0, 0, 0, 254])
            {
                rewrite[4] = 9;
            }
        });
    });
    for line in [
        "table main 0.0.0.0/0 at 0.0.0.0-9.255.255.255 and 5 more ranges: kernel: via 10.0.0.254 dev eth0 lladdr 02:00:00:00:00:fe; \
         workers: via 10.0.0.254 dev eth0 lladdr 02:00:00:00:09:fe",
        "neighbour 10.0.0.254 dev eth0: kernel: dev eth0 lladdr 02:00:00:00:00:fe; workers: dev eth0 lladdr 02:00:00:00:09:fe",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }

    // What a link may do.
    let text = found(&|live| {
        tamper::tables(live, |tables| {
            for link in &mut tables.links {
                link.forwarding = false;
            }
        });
    });
    assert!(text.contains("link eth0: kernel: forwarding on; workers: forwarding off\n"), "{text}");

    // A rule is gone.
    let text = found(&|live| {
        tamper::tables(live, |tables| {
            tables.ipv4.rules = tables.ipv4.rules.iter().skip(1).cloned().collect();
        });
    });
    assert!(text.starts_with("rule number 1: kernel: from all lookup local; workers: "), "{text}");
}

#[test]
fn a_worker_that_does_not_come_round_is_named_and_waited_for() {
    if !privileged_tests_run() {
        return;
    }
    let node = Node::new();
    let stalled = || runtime(&node)["stalled"].clone();
    let reader = Mutex::new(None);
    node.serve(
        |live| *reader.lock().unwrap() = Some(live.reader("worker 7")),
        || {
            assert_eq!(stalled(), Value::Array(Vec::new()));
            node.namespace.shell("ip route replace 10.15.0.0/24 via 10.0.0.8");
            eventually("it is named", || stalled() == serde_json::json!(["worker 7"]));
            // What it reads stays, and nobody is told otherwise.
            let text = node.printed("fib diff", 1);
            let line =
                "table main 10.15.0.0/24: kernel: via 10.0.0.8 dev eth0; workers: via 10.0.0.7 dev eth0";
            assert!(text.lines().any(|found| found == line), "{text}");
            // It comes round.
            *reader.lock().unwrap() = None;
            eventually("it is not waited for", || stalled() == Value::Array(Vec::new()));
            assert_equal_to_the_kernel(&node);
        },
    );
}

#[test]
fn clients_that_misbehave_hurt_only_themselves() {
    if !privileged_tests_run() {
        return;
    }
    let node = Node::new();
    let _running = node.start();
    let raw = || Raw::connect(&node.socket());

    let mut garbage = raw();
    for (line, kind) in [
        ("\x00\x7f{]\n", "bad_request"),
        ("{\"version\": 7, \"verb\": \"runtime\"}\n", "version"),
        ("{\"version\": 1, \"verb\": \"explode\"}\n", "bad_request"),
        ("{\"version\": 1, \"verb\": \"ranges\", \"fib\": 999, \"from\": \"0.0.0.0\"}\n", "not_found"),
    ] {
        garbage.send(line.as_bytes());
        assert_eq!(garbage.answer()["error"]["kind"], kind, "{line:?}");
    }
    garbage.send(b"{\"version\": 1, \"verb\": \"runtime\"}\n");
    assert_eq!(garbage.answer()["answer"]["mode"], "shadow", "it may do better");

    let mut endless = raw();
    endless.send_while_it_is_taken(&[b'x'; 1 << 14], 256);
    assert_eq!(endless.answer()["error"]["kind"], "too_long");

    // Silent, half-spoken and deaf ones, more than there is room for.
    let mut others: Vec<_> = (0..100).map(|_| raw()).collect();
    for (number, other) in others.iter_mut().enumerate() {
        match number % 3 {
            0 => {}
            1 => other.try_send(b"{\"version\": 1, "),
            _ => other.try_send(
                &b"{\"version\": 1, \"verb\": \"ranges\", \"fib\": 0, \"from\": \"0.0.0.0\"}\n".repeat(5000),
            ),
        }
    }
    for gateway in [7, 8, 7, 8] {
        node.namespace.shell(&format!("ip route replace 10.15.0.0/24 via 10.0.0.{gateway}"));
        let route = format!("10.15.0.0/24 via 10.0.0.{gateway} dev eth0\n");
        eventually("it is followed", || node.printed("route get 10.15.0.3", 0) == route);
    }
    assert_equal_to_the_kernel(&node);
    drop(others);
    assert_equal_to_the_kernel(&node);
}

#[test]
fn stopping_does_not_wait_for_clients() {
    if !privileged_tests_run() {
        return;
    }
    let node = Node::new();
    let mut running = node.start();
    let mut clients: Vec<_> = (0..20).map(|_| Raw::connect(&node.socket())).collect();
    for client in &mut clients {
        client.try_send(&b"{\"version\": 1, \"verb\": \"rules\"}\n".repeat(5000));
    }
    let started = std::time::Instant::now();
    assert_eq!(running.end("-TERM"), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(!is_there(&node.socket()));
}
