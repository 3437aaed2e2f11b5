//! A node that is told of changes one after the other has the same tables as one that is built of the last state; and
//! on the way every destination has its old or its new answer.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use ipnet::Ipv4Net;
use packetwalk_control::config::Config;
use packetwalk_control::state::{NodeState, RouteEntry, TableId};
use packetwalk_control::{Behind, Node};
use packetwalk_walk::Tables;
use packetwalk_walk::tables::{Action, AdjacencyId, HopId, LinkId, RouteKey, RuleAction};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Tables of the rules below; the last is named by none of them at first.
const TABLES: [&str; 5] = ["main", "local", "default", "77", "5"];

/// Destinations that nest in one another, some of them tunnels' peers.
const PREFIXES: [&str; 15] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/24",
    "10.0.0.9/32",
    "10.0.0.8/32",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.0/26",
    "10.1.2.3/32",
    "10.2.0.0/24",
    "10.2.0.7/32",
    "192.168.0.0/16",
    "192.168.9.0/24",
    "192.168.9.1/32",
    HOME,
];

/// A kernel always has something in table local.
const HOME: &str = "127.0.0.1/32";

/// What a route may be; of tables and prefixes alike.
const KINDS: usize = 16;

#[derive(Clone, Debug)]
enum Change {
    /// Routes of these kinds, with metrics 0, 1, ...
    Routes {
        table: usize,
        prefix: usize,
        kinds: Vec<usize>,
    },
    Neighbour(usize, u8),
    Fdb(usize, u8),
    Up(usize),
    /// The link is there or not.
    There(usize),
    Renamed(usize),
    Mtu(usize, u16),
    Rules(usize),
    Objects(usize),
    Carrier,
}

/// The state of a node, in few words.
#[derive(Clone, Debug)]
struct Model {
    routes: BTreeMap<(usize, usize), Vec<usize>>,
    neighbours: BTreeMap<usize, u8>,
    fdb: BTreeMap<usize, u8>,
    down: BTreeSet<usize>,
    gone: BTreeSet<usize>,
    renamed: BTreeSet<usize>,
    mtu: BTreeMap<usize, u16>,
    rules: usize,
    objects: usize,
    ignores_linkdown: bool,
}

const LINKS: usize = 7;
const NEIGHBOURS: [(&str, usize); 7] = [
    ("10.0.0.9", 1),
    ("10.0.0.8", 1),
    ("10.1.0.9", 2),
    ("192.168.9.1", 5),
    ("10.2.0.7", 3),
    ("10.2.0.8", 3),
    ("10.0.0.7", 1),
];

impl Default for Model {
    fn default() -> Self {
        Self {
            routes: BTreeMap::from([((1, PREFIXES.len() - 1), vec![15])]),
            neighbours: (0..4).map(|neighbour| (neighbour, 1)).collect(),
            fdb: BTreeMap::from([(0, 1)]),
            down: BTreeSet::new(),
            gone: BTreeSet::new(),
            renamed: BTreeSet::new(),
            mtu: BTreeMap::new(),
            rules: 0,
            objects: 0,
            ignores_linkdown: false,
        }
    }
}

impl Model {
    fn name(&self, link: usize) -> String {
        let name = ["lo", "eth0", "eth1", "veth0", "tunl0", "vx0", "br0"][link];
        if self.renamed.contains(&link) { format!("new-{name}") } else { name.to_owned() }
    }

    fn link(&self, link: usize) -> Value {
        let mut object = json!({"ifname": self.name(link), "mtu": self.mtu.get(&link).copied().unwrap_or(1500),
            "flags": if self.down.contains(&link) { json!([]) } else { json!(["UP"]) }});
        let mac = format!("02:00:00:00:00:{link:02x}");
        let more = match link {
            0 => json!({"link_type": "loopback", "flags": ["LOOPBACK", "UP"],
                "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]}),
            1 => json!({"address": mac, "addr_info": [{"local": "10.0.0.1", "prefixlen": 24}]}),
            2 => json!({"address": mac, "addr_info": [{"local": "10.1.0.1", "prefixlen": 24}]}),
            3 => json!({"address": mac, "linkinfo": {"info_kind": "veth"}}),
            4 => json!({"link_type": "ipip", "linkinfo": {"info_kind": "ipip", "info_data": {"ttl": 0}}}),
            5 => {
                json!({"address": mac, "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 7, "port": 4789}},
                "addr_info": [{"local": "192.168.0.1", "prefixlen": 32}]})
            }
            _ => json!({"address": mac, "linkinfo": {"info_kind": "bridge"}}),
        };
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    }

    fn route(&self, table: usize, prefix: usize, metric: usize, kind: usize) -> Value {
        let (eth0, eth1, veth, tunnel, vxlan) =
            (self.name(1), self.name(2), self.name(3), self.name(4), self.name(5));
        let mut route = match kind {
            0 => json!({"gateway": "10.0.0.9", "dev": eth0}),
            1 => json!({"gateway": "10.0.0.8", "dev": eth0}),
            2 => json!({"gateway": "10.1.0.9", "dev": eth1}),
            3 => json!({"dev": eth0, "scope": "link"}),
            4 => json!({"dev": veth, "scope": "link"}),
            5 => json!({"gateway": "10.0.0.9", "dev": tunnel, "flags": ["onlink"]}),
            6 => json!({"gateway": "10.1.0.9", "dev": tunnel, "flags": ["onlink"]}),
            7 => json!({"gateway": "192.168.9.1", "dev": vxlan, "flags": ["onlink"]}),
            8 => json!({"type": "blackhole"}),
            9 => json!({"type": "unreachable"}),
            10 => json!({"type": "throw"}),
            11 => json!({"nexthops": [{"gateway": "10.0.0.9", "dev": eth0, "weight": 1},
                {"gateway": "10.1.0.9", "dev": eth1, "weight": 2}]}),
            12 => json!({"nhid": 1}),
            13 => json!({"nhid": 3}),
            14 => {
                json!({"gateway": "10.1.0.9", "dev": eth1, "flags": ["linkdown"], "metrics": [{"mtu": 1300}]})
            }
            _ => json!({"type": "local", "dev": "lo", "scope": "host"}),
        };
        let object = route.as_object_mut().unwrap();
        object.insert("dst".to_owned(), PREFIXES[prefix].into());
        object.insert("table".to_owned(), TABLES[table].into());
        object.insert("metric".to_owned(), metric.into());
        route
    }

    fn rules(&self) -> Value {
        let lookup = |priority, table: &str| json!({"priority": priority, "src": "all", "table": table});
        let from = json!({"priority": 10, "src": "10.244.0.0", "srclen": 16, "table": "77"});
        let (local, main, last) = (lookup(0, "local"), lookup(32766, "main"), lookup(32767, "default"));
        match self.rules {
            0 => json!([local, from, main, last]),
            1 => json!([local, main, last]),
            2 => json!([local, lookup(9, "77"), lookup(10, "5"), main, last]),
            _ => {
                json!([local, {"priority": 8, "src": "all", "dst": "10.2.0.0", "dstlen": 24, "action": "prohibit"},
                lookup(9, "5"), from, main])
            }
        }
    }

    fn state(&self) -> NodeState {
        let there = |link: &usize| !self.gone.contains(link);
        let neighbours = self.neighbours.iter().filter(|(number, _)| there(&NEIGHBOURS[**number].1));
        let neighbours: Vec<_> = neighbours
            .map(|(number, mac)| {
                let (address, link) = NEIGHBOURS[*number];
                json!({"dst": address, "dev": self.name(link), "lladdr": format!("02:00:00:00:{number:02x}:{mac:02x}")})
            })
            .collect();
        let fdb = self.fdb.iter().filter(|_| there(&5)).map(|(station, remote)| {
            json!({"mac": format!("02:00:00:00:03:{:02x}", station + 1), "ifname": self.name(5), "flags": ["self"],
                "dst": format!("10.0.0.{}", 7 + remote % 3)})
        });
        let (eth0, eth1) = (self.name(1), self.name(2));
        let objects = match self.objects {
            0 => {
                json!([{"id": 1, "gateway": "10.0.0.9", "dev": eth0}, {"id": 2, "gateway": "10.1.0.9", "dev": eth1},
                {"id": 3, "group": [{"id": 1}, {"id": 2}]}])
            }
            1 => {
                json!([{"id": 1, "gateway": "10.0.0.8", "dev": eth0}, {"id": 2, "gateway": "10.1.0.9", "dev": eth1},
                {"id": 3, "group": [{"id": 1}, {"id": 2}]}])
            }
            2 => json!([{"id": 1, "gateway": "10.0.0.9", "dev": eth0}, {"id": 3, "group": [{"id": 1}]}]),
            _ => json!([{"id": 1, "blackhole": null}, {"id": 2, "gateway": "10.1.0.9", "dev": eth1},
                {"id": 3, "group": [{"id": 2, "weight": 3}]}]),
        };
        // The kernel takes the routes and objects of a link with it.
        let gone: Vec<_> = self.gone.iter().map(|link| json!(self.name(*link)).to_string()).collect();
        let stands = |object: &Value| {
            let text = object.to_string();
            !gone.iter().any(|name| text.contains(name))
        };
        let objects: Vec<_> =
            objects.as_array().unwrap().iter().filter(|object| stands(object)).cloned().collect();
        let routes = self.routes.iter().flat_map(|((table, prefix), kinds)| {
            kinds.iter().enumerate().map(|(metric, kind)| self.route(*table, *prefix, metric, *kind))
        });
        let routes = routes.filter(stands);
        let state = json!({
            "addr": (0..LINKS).filter(there).map(|link| self.link(link)).collect::<Vec<_>>(),
            "route": routes.collect::<Vec<_>>(), "rule": self.rules(), "neigh": neighbours,
            "fdb": fdb.collect::<Vec<_>>(), "nexthop": objects,
            "netconf": [{"interface": "all", "ignore_routes_with_linkdown": self.ignores_linkdown}],
        });
        NodeState::parse(&state.to_string(), "model").unwrap()
    }

    /// Makes the change, and says which routes have to be set anew and whether anything else differs.
    fn apply(&mut self, change: &Change) -> (BTreeSet<(usize, usize)>, bool) {
        let mut routes = BTreeSet::new();
        let all: BTreeSet<_> = self.routes.keys().copied().collect();
        let toggle = |set: &mut BTreeSet<usize>, link: usize| {
            if !set.remove(&link) {
                set.insert(link);
            }
        };
        match change.clone() {
            Change::Routes { table, prefix, kinds } => {
                routes.insert((table, prefix));
                if kinds.is_empty() {
                    self.routes.remove(&(table, prefix));
                } else {
                    self.routes.insert((table, prefix), kinds);
                }
                return (routes, false);
            }
            Change::Neighbour(number, mac) if mac % 3 == 0 => drop(self.neighbours.remove(&number)),
            Change::Neighbour(number, mac) => drop(self.neighbours.insert(number, mac)),
            Change::Fdb(station, remote) if remote % 4 == 0 => drop(self.fdb.remove(&station)),
            Change::Fdb(station, remote) => drop(self.fdb.insert(station, remote)),
            Change::Up(link) => toggle(&mut self.down, link),
            Change::There(link) => {
                toggle(&mut self.gone, link);
                routes = all;
            }
            Change::Renamed(link) => toggle(&mut self.renamed, link),
            Change::Mtu(link, mtu) => drop(self.mtu.insert(link, mtu)),
            Change::Rules(rules) => self.rules = rules,
            Change::Objects(objects) => {
                self.objects = objects;
                routes = all;
            }
            Change::Carrier => {
                self.ignores_linkdown = !self.ignores_linkdown;
                routes = all;
            }
        }
        (routes, true)
    }
}

/// Tables, and the names of what they number.
#[derive(Clone)]
struct Seen {
    tables: Tables,
    ports: Vec<String>,
    links: Vec<String>,
}

impl Seen {
    fn by_workers(node: &Node) -> Self {
        Self { tables: node.tables.clone(), ports: node.port_names.clone(), links: node.link_names.clone() }
    }

    fn link(&self, link: LinkId) -> &str {
        &self.links[link.index()]
    }

    fn adjacency(&self, id: AdjacencyId, key: &RouteKey) -> String {
        let adjacency = &self.tables.adjacencies[id.index()];
        let action = match &adjacency.action {
            Action::Send { rewrite, port, encapsulation } => {
                format!("send {} {rewrite:?} {encapsulation:?}", self.ports[port.index()])
            }
            Action::Connected => {
                let neighbour = self.tables.ipv4.neighbours.find(adjacency.link.key(key.destination.into()));
                format!("connected {:?}", neighbour.map(|id| self.adjacency(AdjacencyId(id), key)))
            }
            action => format!("{action:?}"),
        };
        // A verdict has no link of its own.
        let link = match adjacency.action {
            Action::Refuse { .. } => "",
            _ => self.link(adjacency.link),
        };
        format!("{action} {link} mtu {} source {:?}", adjacency.mtu, adjacency.source)
    }

    fn answer(&self, key: &RouteKey) -> Vec<String> {
        let mut hop = HopId::NONE;
        for step in self.tables.ipv4.rules.iter().filter(|step| step.selector.selects(key)) {
            hop = match step.action {
                RuleAction::Hop(hop) => hop,
                RuleAction::Lookup(fib) => {
                    HopId(self.tables.ipv4.fibs[usize::from(fib.0)].lookup(key.destination))
                }
            };
            if hop != HopId::NONE {
                break;
            }
        }
        match hop.resolve() {
            Ok(id) => vec![self.adjacency(id, key)],
            // What every 64th bucket says tells two groups apart.
            Err(group) => {
                let buckets = self.tables.groups[group].buckets().iter().step_by(64);
                buckets.map(|id| self.adjacency(*id, key)).collect()
            }
        }
    }

    fn answers(&self) -> Vec<Vec<String>> {
        assert_eq!(self.tables.verify(), Ok(()));
        let sources = ["10.244.1.1", "1.1.1.1"].map(|source| source.parse::<Ipv4Addr>().unwrap());
        let destinations = PREFIXES.iter().flat_map(|prefix| {
            let prefix: Ipv4Net = prefix.parse().unwrap();
            [prefix.network(), prefix.broadcast(), Ipv4Addr::from(u32::from(prefix.network()) | 5)]
        });
        let destinations: Vec<_> = destinations.collect();
        let keys = sources
            .iter()
            .flat_map(|source| destinations.iter().map(move |destination| (*source, *destination)));
        keys.map(|(source, destination)| {
            let key = RouteKey {
                source: source.into(),
                destination: destination.into(),
                iif: None,
                tos: 0,
                protocol: 17,
            };
            self.answer(&key)
        })
        .collect()
    }

    /// The small tables that are not behind a route.
    fn rest(&self) -> Vec<String> {
        let tables = &self.tables;
        let ports = tables.ports.iter().zip(&self.ports).filter(|(_, name)| !name.is_empty());
        let mut rest: Vec<_> = ports
            .map(|(port, name)| format!("{name} {port:?}", port = (port.mac, port.role, port.up, port.mtu)))
            .collect();
        rest.sort_unstable();
        let mut links: Vec<_> = self.links.iter().filter(|name| !name.is_empty()).cloned().collect();
        links.sort_unstable();
        rest.extend(links);
        let endpoints = [7, 8, 9].map(|last| Ipv4Addr::new(10, 0, 0, last)).into_iter();
        let endpoints = endpoints.chain([Ipv4Addr::new(10, 1, 0, 9), Ipv4Addr::new(192, 168, 9, 1)]);
        for peer in endpoints {
            for tunnel in tables.tunnels.all() {
                let (name, known) = (self.link(tunnel.link), tables.tunnels.accepts(tunnel, peer.into()));
                rest.push(format!("{name} {} from {peer}: {known}", tunnel.up));
            }
        }
        rest[..].sort_unstable();
        rest.extend(
            (0..=255).map(|last| tables.is_own(u32::from(Ipv4Addr::new(10, 1, 2, last))).to_string()),
        );
        rest
    }
}

fn table_id(table: usize) -> TableId {
    TableId::new([254, 255, 253, 77, 5][table]).unwrap()
}

fn set_routes(node: &mut Node, model: &Model, keys: &BTreeSet<(usize, usize)>) {
    let state = model.state();
    for (table, prefix) in keys {
        let table = table_id(*table);
        let prefix: Ipv4Net = PREFIXES[*prefix].parse().unwrap();
        let is_meant =
            |entry: &&RouteEntry| entry.ipv4() == Some(prefix) && entry.table.unwrap_or_default() == table;
        node.set_routes(table, prefix, state.route.iter().filter(is_meant));
    }
}

fn without_routes(model: &Model) -> NodeState {
    NodeState { route: Vec::new(), ..model.state() }
}

/// Whether a change is one step for each destination. The route to a tunnel's peer is not: the tunnel's own
/// destinations follow it at once, and what the route itself says comes a grace period later.
fn is_one_step(change: &Change) -> bool {
    let peers =
        ["10.0.0.7", "10.0.0.8", "10.0.0.9", "10.1.0.9"].map(|peer| peer.parse::<Ipv4Addr>().unwrap());
    match change {
        Change::Routes { prefix, .. } => {
            let prefix: Ipv4Net = PREFIXES[*prefix].parse().unwrap();
            !peers.iter().any(|peer| prefix.contains(peer))
        }
        Change::Neighbour(..) | Change::Fdb(..) | Change::Mtu(..) | Change::Up(_) => true,
        _ => false,
    }
}

fn follow(batches: &[Vec<Change>]) {
    let mut model = Model::default();
    let mut node = Node::new(&without_routes(&model), &Config::default(), Behind::Kernel);
    set_routes(&mut node, &model, &model.routes.keys().copied().collect());
    assert!(node.prepare());
    assert!(!node.write());
    let mut before = Seen::by_workers(&node);

    for batch in batches {
        let old = before.answers();
        for change in batch {
            let names: Vec<_> = (0..LINKS).map(|link| model.name(link)).collect();
            let (routes, is_more) = model.apply(change);
            if is_more {
                let renamed: Vec<_> = (0..LINKS)
                    .filter(|link| names[*link] != model.name(*link) && !model.gone.contains(link))
                    .map(|link| (names[link].clone(), model.name(link)))
                    .collect();
                node.set_surroundings(&without_routes(&model), &renamed);
            }
            set_routes(&mut node, &model, &routes);
        }
        let is_published = node.prepare();
        // Workers have the tables of before until they are published, and then the new ones with the routes of before.
        let between = if is_published { Seen::by_workers(&node) } else { before.clone() };
        let (still, meanwhile) = (before.answers(), between.answers());
        node.grace_passed();
        node.write();
        let after = Seen::by_workers(&node);

        let fresh = Seen::by_workers(&Node::build(&model.state(), &Config::default(), Behind::Kernel));
        assert_eq!(after.answers(), fresh.answers(), "after {batch:?}");
        assert_eq!(after.rest(), fresh.rest(), "after {batch:?}");
        if batch.len() == 1 && batch.iter().all(is_one_step) {
            assert_eq!(still, old, "before anything is published: {batch:?}");
            let new = after.answers();
            for ((old, new), meanwhile) in old.iter().zip(&new).zip(&meanwhile) {
                // Where one way becomes several, all flows may go by one of them first.
                let known = meanwhile.iter().all(|answer| old.contains(answer) || new.contains(answer));
                assert!(known, "{batch:?}: {old:?}, {meanwhile:?}, {new:?}");
            }
        }
        before = after;
    }
}

fn change() -> impl Strategy<Value = Change> {
    let routes = (0..TABLES.len(), 0..PREFIXES.len() - 1, prop::collection::vec(0..KINDS, 0..3));
    prop_oneof![
        12 => routes.prop_map(|(table, prefix, kinds)| Change::Routes { table, prefix, kinds }),
        2 => (0..NEIGHBOURS.len(), any::<u8>()).prop_map(|(number, mac)| Change::Neighbour(number, mac)),
        1 => (0..2usize, any::<u8>()).prop_map(|(station, remote)| Change::Fdb(station, remote)),
        1 => (1..LINKS).prop_map(Change::Up),
        1 => (1..LINKS).prop_map(Change::There),
        1 => (1..LINKS).prop_map(Change::Renamed),
        1 => (1..LINKS, 1280..1600u16).prop_map(|(link, mtu)| Change::Mtu(link, mtu)),
        1 => (0..4usize).prop_map(Change::Rules),
        1 => (0..4usize).prop_map(Change::Objects),
        1 => Just(Change::Carrier),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_node_told_of_changes_equals_one_built_of_the_last_state(
        batches in prop::collection::vec(prop::collection::vec(change(), 1..4), 1..24),
    ) {
        follow(&batches);
    }

    #[test]
    fn one_change_after_the_other_is_old_or_new(changes in prop::collection::vec(change(), 1..40)) {
        follow(&changes.into_iter().map(|change| vec![change]).collect::<Vec<_>>());
    }
}
