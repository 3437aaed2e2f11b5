//! Workers look up while control changes routes, next hops and the tables around them: none of them ever meets a route
//! that leads to somebody else's next hop.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use ipnet::Ipv4Net;
use packetwalk_control::config::Config;
use packetwalk_control::state::{NodeState, RouteEntry, TableId};
use packetwalk_control::{Behind, Node};
use packetwalk_rcu::{Control, Published, Reader};
use packetwalk_walk::Tables;
use packetwalk_walk::tables::{Action, RuleAction};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Each has gateways of its own, whose MAC addresses say whose they are.
const DESTINATIONS: u8 = 16;
const GATEWAYS: u8 = 32;
const ROUNDS: u32 = 8_000;

fn gateway(destination: u8, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, destination, number + 2)
}

fn prefix(destination: u8) -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::new(172, 16, destination, 0), 24).unwrap()
}

fn surroundings(mtu: u32) -> NodeState {
    let neighbour = |destination, number| json!({"dst": gateway(destination, number), "dev": "eth0", "lladdr": format!("02:00:00:00:{destination:02x}:{number:02x}")});
    let neighbours: Vec<Value> = (0..DESTINATIONS)
        .flat_map(|destination| (0..GATEWAYS).map(move |number| neighbour(destination, number)))
        .collect();
    let state = json!({
        "addr": [
            {"ifname": "lo", "flags": ["LOOPBACK", "UP"], "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},
            {"ifname": "eth0", "address": "02:00:00:00:00:01", "mtu": mtu,
             "addr_info": [{"local": "10.0.255.1", "prefixlen": 16}]}],
        "neigh": neighbours,
    });
    NodeState::parse(&state.to_string(), "test").unwrap()
}

/// The route of a destination: by one gateway, by two, or none.
fn route(destination: u8, round: u32) -> Vec<RouteEntry> {
    let hop = |number: u32| json!({"gateway": gateway(destination, (number % u32::from(GATEWAYS)) as u8), "dev": "eth0"});
    let mut route = match round % 7 {
        0 => return Vec::new(),
        1 => json!({"nexthops": [hop(round), hop(round / 3 + 1)]}),
        _ => hop(round.wrapping_mul(2_654_435_761) >> 7),
    };
    route["dst"] = prefix(destination).to_string().into();
    NodeState::parse(&json!({"route": [route]}).to_string(), "test").unwrap().route
}

/// Whose next hop the route to `destination` leads to, for every flow; none where there is no route.
fn owners(tables: &Tables, destination: u8) -> Vec<u8> {
    let address = u32::from(prefix(destination).network()) | 7;
    let fibs = tables.ipv4.rules.iter().filter_map(|rule| match rule.action {
        RuleAction::Lookup(fib) => Some(&tables.ipv4.fibs[usize::from(fib.0)]),
        RuleAction::Hop(_) => None,
    });
    let hop = fibs.map(|fib| fib.lookup(address)).find(|hop| *hop != 0).unwrap_or(0);
    let adjacencies = match packetwalk_walk::tables::HopId(hop).resolve() {
        Ok(id) => vec![id],
        Err(group) => tables.groups[group].buckets().iter().step_by(512).copied().collect(),
    };
    let owner = |id: packetwalk_walk::tables::AdjacencyId| match &tables.adjacencies[id.index()].action {
        Action::Send { rewrite, .. } => Some(rewrite[4]),
        _ => None,
    };
    adjacencies.into_iter().filter_map(owner).collect()
}

fn work(mut reader: Reader, published: &Published<Tables>, stop: &AtomicBool, batches: &AtomicU64) {
    let mut generation = 0;
    let mut batch = 0u64;
    while !stop.load(Ordering::Relaxed) {
        let tables = reader.load(published);
        assert!(tables.generation >= generation, "tables of before came back");
        generation = tables.generation;
        for destination in 0..DESTINATIONS {
            for owner in owners(tables, destination) {
                assert_eq!(owner, destination, "somebody else's next hop, in generation {generation}");
            }
        }
        reader.quiescent();
        batch += 1;
        if batch.is_multiple_of(1000) {
            let offline = reader.offline();
            thread::yield_now();
            drop(offline);
        }
        batches.store(batch, Ordering::Relaxed);
    }
}

#[test]
fn a_route_never_leads_to_the_next_hop_of_another() {
    let mut control = Control::new();
    let mut node = Node::new(&surroundings(1500), &Config::default(), Behind::Kernel);
    node.prepare();
    node.write();
    let published = control.published(node.tables.clone());
    let stop = AtomicBool::new(false);
    let batches = [AtomicU64::new(0), AtomicU64::new(0)];

    thread::scope(|scope| {
        for (number, batches) in batches.iter().enumerate() {
            let reader = control.reader(format!("worker {number}"));
            let (published, stop) = (&published, &stop);
            scope.spawn(move || work(reader, published, stop, batches));
        }
        let mut random = 1u32;
        for round in 0..ROUNDS {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let destination = (random >> 24) as u8 % DESTINATIONS;
            // A pass over everything: what is not in use any more is found.
            if round % 16 == 0 {
                node.set_surroundings(&surroundings(1400 + random % 100), &[]);
            }
            for destination in [destination, (destination + 5) % DESTINATIONS] {
                node.set_routes(TableId::MAIN, prefix(destination), &route(destination, round));
            }
            if !node.is_pending() {
                continue;
            }
            if node.prepare() {
                control.publish(&published, node.tables.clone());
            }
            control.synchronize(Duration::from_secs(20)).unwrap();
            node.grace_passed();
            assert!(!node.write(), "so few routes are written in place");
        }
        stop.store(true, Ordering::Relaxed);
    });
    // Numbers were used again, or this has shown nothing.
    let most = usize::from(DESTINATIONS) * usize::from(GATEWAYS);
    assert!(node.tables.adjacencies.len() < most / 2, "{}", node.tables.adjacencies.len());
    assert!(
        batches.iter().all(|batches| batches.load(Ordering::Relaxed) > u64::from(ROUNDS) / 100),
        "{batches:?}"
    );
}
