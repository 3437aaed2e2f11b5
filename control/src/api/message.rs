//! What is asked and answered. The names are an interface: docs/api.md.

use super::VERSION;
use crate::diff::{Described, Step};
use crate::state::{NodeState, TableId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// Addresses of one [`Question::Lookup`], at most.
pub const MAX_ADDRESSES: usize = 1000;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// How the process is.
    Runtime {},
    /// The configuration that the process was given.
    Config {},
    /// The route of an address, as `ip route get ADDR fibmatch` has it.
    RouteGet {
        /// Where to.
        destination: Ipv4Addr,
        /// From this source.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Ipv4Addr>,
        /// As if it came in by this link.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        iif: Option<String>,
    },
    /// The kernel's state as the process has it, piece by piece.
    State {
        /// Where the last piece ended; absent: from the start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Place>,
    },
    /// The rules that workers go through.
    Rules {},
    /// What workers look up in one of their tables, address range by address range.
    Ranges {
        /// Number of the table.
        fib: u16,
        /// The first address.
        from: Ipv4Addr,
    },
    /// What workers look up in one of their tables.
    Lookup {
        /// Number of the table.
        fib: u16,
        /// At most [`MAX_ADDRESSES`].
        addresses: Vec<Ipv4Addr>,
    },
    /// One of the small tables that workers read.
    Entries {
        /// Which.
        of: Section,
        /// How many entries to leave out.
        #[serde(default)]
        from: usize,
    },
}

impl Question {
    /// Reads a line.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Refusal> {
        let bad = |message: String| Refusal::new(RefusalKind::BadRequest, message);
        let mut value: Value =
            serde_json::from_slice(line).map_err(|error| bad(format!("not a JSON object: {error}")))?;
        let Some(object) = value.as_object_mut() else {
            return Err(bad("expected a JSON object such as {\"version\": 1, \"verb\": \"runtime\"}".into()));
        };
        match object.remove("version") {
            Some(version) if version == VERSION => {}
            Some(version) => {
                let message = format!("version {version}: expected {VERSION}");
                return Err(Refusal::new(RefusalKind::Version, message));
            }
            None => return Err(bad(format!("no `version`: expected {VERSION}"))),
        }
        let question = Self::deserialize(value).map_err(|error| bad(error.to_string()))?;
        match &question {
            Self::Lookup { addresses, .. } if addresses.len() > MAX_ADDRESSES => {
                Err(bad(format!("{} addresses: expected at most {MAX_ADDRESSES}", addresses.len())))
            }
            _ => Ok(question),
        }
    }

    /// As a line.
    pub(super) fn to_line(&self) -> serde_json::Result<Vec<u8>> {
        let mut value = serde_json::to_value(self)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("version".into(), VERSION.into());
        }
        let mut line = serde_json::to_vec(&value)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// The small tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// What routing asks of a link.
    Links,
    /// Ports.
    Ports,
    /// Bridges.
    Bridges,
    /// Stations behind members of bridges.
    Stations,
    /// Where tunnels end.
    Tunnels,
    /// Who may send to them.
    Peers,
    /// The node's own addresses.
    Own,
    /// Neighbours on links.
    Neighbours,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Links,
        Self::Ports,
        Self::Bridges,
        Self::Stations,
        Self::Tunnels,
        Self::Peers,
        Self::Own,
        Self::Neighbours,
    ];

    /// One of it, in words.
    pub fn singular(self) -> &'static str {
        match self {
            Self::Links => "link",
            Self::Ports => "port",
            Self::Bridges => "bridge",
            Self::Stations => "station",
            Self::Tunnels => "tunnel",
            Self::Peers => "peer",
            Self::Own => "own address",
            Self::Neighbours => "neighbour",
        }
    }
}

/// Where a piece of the state ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The table of the last prefix in it.
    pub table: TableId,
    /// The last prefix whose routes are in it.
    pub prefix: IpNet,
}

/// What is answered.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To [`Question::Runtime`].
    Runtime(Box<Runtime>),
    /// To [`Question::Config`].
    Config(Config),
    /// To [`Question::RouteGet`].
    Route(RouteAnswer),
    /// To [`Question::State`].
    State(Box<Chunk>),
    /// To [`Question::Rules`].
    Rules(RulesAnswer),
    /// To [`Question::Ranges`].
    Ranges(Ranges),
    /// To [`Question::Lookup`].
    Lookup(Values),
    /// To [`Question::Entries`].
    Entries(Entries),
}

/// How a process is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Runtime {
    /// The program's version.
    pub release: String,
    /// Process number.
    pub pid: u32,
    /// Its network namespace, as `readlink /proc/PID/ns/net` prints it.
    pub netns: String,
    /// `shadow`: it takes no interface.
    pub mode: String,
    /// Seconds since it began.
    pub uptime_s: f64,
    /// How often tables were published.
    pub generation: u64,
    /// Prefixes with routes that the kernel has.
    pub routes: Routes,
    /// Links that the kernel has.
    pub links: usize,
    /// Neighbours that workers can send to.
    pub neighbours: usize,
    /// Prepared next hops.
    pub adjacencies: usize,
    /// Groups of next hops that share flows.
    pub groups: usize,
    /// What is wrong with the state: warnings.
    pub warnings: usize,
    /// What is noteworthy about the state.
    pub infos: usize,
    /// How the kernel is followed.
    pub following: Following,
    /// Publications since it began.
    pub publications: u64,
    /// Workers that were not quiescent in time.
    pub stalled: Vec<String>,
    /// From the reading of the first message of a batch until workers see all of it.
    pub change_latency_us: Latency,
}

/// Prefixes with routes, all tables together.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Routes {
    /// IPv4.
    pub ipv4: usize,
    /// IPv6.
    pub ipv6: usize,
}

/// How the kernel is followed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Following {
    /// Whether the tables are known to be out of date: `error` says why.
    pub stale: bool,
    /// For how long, seconds.
    pub stale_s: Option<f64>,
    /// The last error, over or not.
    pub error: Option<String>,
    /// How many there were.
    pub errors: u64,
    /// Whether something is about to be listed again.
    pub behind: bool,
    /// Messages received.
    pub messages: u64,
    /// Times that messages were lost.
    pub overruns: u64,
    /// Lists read after the first ones.
    pub lists: u64,
    /// Lists that changed while they were read.
    pub repeated: u64,
    /// Messages that could not be read.
    pub malformed: u64,
}

/// A distribution of times, microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Half of them took no longer.
    pub median: u64,
    /// 99 of 100 took no longer.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// A configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// As read from the file, TOML; empty where there is none.
    pub text: String,
}

/// A route.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteAnswer {
    /// As `ip route get` prints it.
    pub text: String,
    /// As `ip -j route get` prints it.
    pub route: Value,
}

/// A piece of the state: everything but routes is in the first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Chunk {
    /// The generation of the tables that were made of it.
    pub generation: u64,
    /// Under the keys of a state file.
    pub state: NodeState,
    /// Where to go on; absent: it was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Place>,
}

/// The rules that workers go through.
#[derive(Debug, Serialize, Deserialize)]
pub struct RulesAnswer {
    /// Of the tables.
    pub generation: u64,
    /// In the order in which they are tried.
    pub rules: Vec<Step>,
}

/// Address ranges, and what workers do with each.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ranges {
    /// Of the tables.
    pub generation: u64,
    /// The kernel's tables that lie in this one, the one that is asked first before the others.
    pub tables: Vec<TableId>,
    /// What `ranges` names by number.
    pub hops: Vec<Described>,
    /// The first address of each range and the number of its hop; a range ends where the next begins.
    pub ranges: Vec<(Ipv4Addr, usize)>,
    /// Where to go on; absent: the last range goes to 255.255.255.255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Ipv4Addr>,
}

/// What workers find for addresses.
#[derive(Debug, Serialize, Deserialize)]
pub struct Values {
    /// Of the tables.
    pub generation: u64,
    /// The kernel's tables that lie in this one, the one that is asked first before the others.
    pub tables: Vec<TableId>,
    /// What `found` names by number.
    pub hops: Vec<Described>,
    /// By address, in the order of the question.
    pub found: Vec<usize>,
}

/// Entries of a small table.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entries {
    /// Of the tables.
    pub generation: u64,
    /// Name and content of each.
    pub entries: Vec<(String, Described)>,
    /// How many to leave out for the next; absent: these were the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<usize>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub kind: RefusalKind,
    /// For people.
    pub message: String,
    /// The exit code that `ip` has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// It cannot be understood.
    BadRequest,
    /// Another version of the protocol.
    Version,
    /// The line is too long.
    TooLong,
    /// There are too many connections.
    Busy,
    /// What is asked for does not exist.
    NotFound,
    /// There is no route.
    Route,
    /// The process ends.
    Stopping,
}

impl Refusal {
    /// Of this kind.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), exit_code: None }
    }
}

/// An answer as a line.
pub(super) fn to_line(answer: &Result<Answer, Refusal>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Line<'a> {
        version: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        answer: Option<&'a Answer>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a Refusal>,
    }
    let line = Line { version: VERSION, answer: answer.as_ref().ok(), error: answer.as_ref().err() };
    let mut bytes = serde_json::to_vec(&line).unwrap_or_else(|error| {
        // No answer has keys that are not text.
        json!({"version": VERSION, "error": {"kind": "bad_request", "message": error.to_string()}})
            .to_string()
            .into_bytes()
    });
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_line_makes_reading_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            json in "\\{(\"(version|verb|fib|from|addresses|x)\": (1|\"ranges\"|\"lookup\"|\"1.2.3.4\"|\\[\\]|null|-1|1e99),? ?){0,6}\\}?",
        ) {
            let _ = Question::parse(&bytes);
            let _ = Question::parse(json.as_bytes());
        }
    }

    #[test]
    fn questions_are_read_as_they_are_written() {
        let questions = [
            Question::Runtime {},
            Question::RouteGet { destination: [10, 0, 0, 1].into(), from: None, iif: Some("eth0".into()) },
            Question::State {
                after: Some(Place { table: TableId::MAIN, prefix: "10.0.0.0/8".parse().expect("a prefix") }),
            },
            Question::Ranges { fib: 3, from: [10, 0, 0, 0].into() },
            Question::Lookup { fib: 0, addresses: vec![[1, 2, 3, 4].into()] },
            Question::Entries { of: Section::Neighbours, from: 9 },
        ];
        for question in questions {
            let line = question.to_line().expect("a line");
            assert_eq!(Question::parse(&line), Ok(question));
        }
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        for (line, kind, said) in [
            ("", RefusalKind::BadRequest, "not a JSON object"),
            ("[]", RefusalKind::BadRequest, "expected a JSON object"),
            ("{\"verb\": \"runtime\"}", RefusalKind::BadRequest, "no `version`"),
            ("{\"version\": 2, \"verb\": \"runtime\"}", RefusalKind::Version, "version 2: expected 1"),
            ("{\"version\": 1, \"verb\": \"stop\"}", RefusalKind::BadRequest, "unknown variant `stop`"),
            (
                "{\"version\": 1, \"verb\": \"runtime\", \"x\": 1}",
                RefusalKind::BadRequest,
                "unknown field `x`",
            ),
            (
                "{\"version\": 1, \"verb\": \"route_get\"}",
                RefusalKind::BadRequest,
                "missing field `destination`",
            ),
        ] {
            let refusal = Question::parse(line.as_bytes()).expect_err(line);
            assert_eq!(refusal.kind, kind, "{line}");
            assert!(refusal.message.contains(said), "{line}: {}", refusal.message);
        }
        let many = Question::Lookup { fib: 0, addresses: vec![Ipv4Addr::LOCALHOST; MAX_ADDRESSES + 1] };
        assert!(Question::parse(&many.to_line().expect("a line")).is_err());
    }
}
