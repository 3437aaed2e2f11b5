//! What the control thread says, a slice at a time.

use crate::api::{
    Answer, Chunk, Config, Entries, Place, Question, Ranges, Refusal, RefusalKind, RouteAnswer, RulesAnswer,
    Runtime, Section, Values,
};
use crate::diff::{self, Described, Names, Step};
use crate::live::Live;
use crate::node::Node;
use crate::route_get::{self, Query};
use crate::state::NodeState;
use packetwalk_fib::Fib4;
use packetwalk_walk::Tables;
use packetwalk_walk::tables::{FibId, HopId, RuleAction};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// How long one answer may keep the control thread.
const SLICE: Duration = Duration::from_millis(2);

/// How much is done between two looks at the clock.
const STRIDE: usize = 64;

/// Address ranges of one answer, at most.
const MOST_RANGES: usize = 8192;

/// Prefixes with routes of one piece of the state, at most.
const MOST_PREFIXES: usize = 4096;

/// Answers one question.
pub(super) fn answer(
    question: &Question,
    live: &Live,
    config: &str,
    runtime: impl FnOnce() -> Runtime,
) -> Result<Answer, Refusal> {
    let (node, tables) = (live.node(), live.tables());
    match question {
        Question::Runtime {} => Ok(Answer::Runtime(Box::new(runtime()))),
        Question::Config {} => Ok(Answer::Config(Config { text: config.to_owned() })),
        Question::RouteGet { destination, from, iif } => {
            let query = Query { destination: *destination, source: *from, iif: iif.clone() };
            match route_get::route_get(node, &query) {
                Ok(found) => Ok(Answer::Route(RouteAnswer { text: found.to_string(), route: found.json() })),
                Err(error) => Err(Refusal {
                    kind: RefusalKind::Route,
                    message: error.to_string(),
                    exit_code: Some(error.exit_code()),
                }),
            }
        }
        Question::State { after } => Ok(Answer::State(Box::new(state(live, live.batches(), *after)))),
        Question::Rules {} => Ok(Answer::Rules(rules(node, tables))),
        Question::Ranges { fib, from } => ranges(node, tables, *fib, *from).map(Answer::Ranges),
        Question::Lookup { fib, addresses } => lookup(node, tables, *fib, addresses).map(Answer::Lookup),
        Question::Entries { of, from } => Ok(Answer::Entries(entries(node, tables, *of, *from))),
    }
}

/// Describes hops, each once.
struct Hops<'a> {
    names: Names<'a>,
    numbers: HashMap<u32, usize>,
    described: Vec<Described>,
}

impl<'a> Hops<'a> {
    fn new(names: Names<'a>) -> Self {
        Self { names, numbers: HashMap::new(), described: Vec::new() }
    }

    fn number(&mut self, value: u32) -> usize {
        *self.numbers.entry(value).or_insert_with(|| {
            self.described.push(self.names.hop(HopId(value)));
            self.described.len() - 1
        })
    }
}

fn state(live: &Live, generation: u64, after: Option<Place>) -> Chunk {
    let store = live.follower().store();
    let mut state = match after {
        // Links, neighbours and the rest are thousands where routes are a million.
        None => store.node_state_without_routes(),
        Some(_) => NodeState::default(),
    };
    let started = Instant::now();
    let mut last = None;
    for (done, ((table, prefix), _)) in
        store.routes_after(after.map(|place| (place.table, place.prefix))).enumerate()
    {
        let is_over = done.is_multiple_of(STRIDE) && started.elapsed() >= SLICE;
        if last.is_some() && (is_over || done == MOST_PREFIXES) {
            return Chunk { generation, state, next: last };
        }
        state.route.extend(store.route_entries(table, prefix));
        last = Some(Place { table, prefix });
    }
    Chunk { generation, state, next: None }
}

fn rules(node: &Node, tables: &Tables) -> RulesAnswer {
    let steps = tables.ipv4.rules.iter().map(|rule| {
        let (fib, hop) = match rule.action {
            RuleAction::Lookup(fib) => (Some(fib), None),
            RuleAction::Hop(hop) => (None, Some(Names { tables, node }.hop(hop))),
        };
        Step {
            priority: rule.priority,
            selector: diff::describe_rule(&rule.selector, &node.links),
            fib: fib.map(|fib| fib.0),
            tables: fib.map(|fib| node.fib_tables(fib).to_vec()).unwrap_or_default(),
            hop,
        }
    });
    RulesAnswer { generation: tables.generation, rules: steps.collect() }
}

fn fib(tables: &Tables, number: u16) -> Result<&Fib4, Refusal> {
    let fib = tables.ipv4.fibs.get(usize::from(number));
    fib.map(|fib| &**fib).ok_or_else(|| {
        let count = tables.ipv4.fibs.len();
        Refusal::new(RefusalKind::NotFound, format!("table {number}: there are {count}, counted from 0"))
    })
}

fn ranges(node: &Node, tables: &Tables, number: u16, from: Ipv4Addr) -> Result<Ranges, Refusal> {
    let fib = fib(tables, number)?;
    let started = Instant::now();
    let mut hops = Hops::new(Names { tables, node });
    let mut ranges: Vec<(Ipv4Addr, usize)> = Vec::new();
    let mut next = Some(u32::from(from));
    let mut last_value = None;
    for turn in 1.. {
        let Some(address) = next else { break };
        // The very lookup that workers do.
        let value = fib.lookup(address);
        if last_value != Some(value) {
            if ranges.len() == MOST_RANGES {
                break;
            }
            ranges.push((address.into(), hops.number(value)));
            last_value = Some(value);
        }
        next = fib.entry_end(address).checked_add(1);
        if turn % STRIDE == 0 && started.elapsed() >= SLICE {
            break;
        }
    }
    Ok(Ranges {
        generation: tables.generation,
        tables: node.fib_tables(FibId(number)).to_vec(),
        hops: hops.described,
        ranges,
        next: next.map(Ipv4Addr::from),
    })
}

fn lookup(node: &Node, tables: &Tables, number: u16, addresses: &[Ipv4Addr]) -> Result<Values, Refusal> {
    let fib = fib(tables, number)?;
    let mut hops = Hops::new(Names { tables, node });
    let found = addresses.iter().map(|address| hops.number(fib.lookup((*address).into()))).collect();
    Ok(Values {
        generation: tables.generation,
        tables: node.fib_tables(FibId(number)).to_vec(),
        hops: hops.described,
        found,
    })
}

fn entries(node: &Node, tables: &Tables, of: Section, from: usize) -> Entries {
    let started = Instant::now();
    let mut some = Vec::new();
    let mut next = None;
    for entry in diff::entries(of, Names { tables, node }).skip(from) {
        if some.len() % STRIDE == STRIDE - 1 && started.elapsed() >= SLICE {
            next = Some(from + some.len());
            break;
        }
        some.push(entry);
    }
    Entries { generation: tables.generation, entries: some, next }
}
