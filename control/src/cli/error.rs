//! What ends a verb early, and how it is told.

use anstyle::{AnsiColor, Style};
use packetwalk_control::Finding;
use packetwalk_control::api::{AskError, PlaceError};
use packetwalk_control::config::ConfigError;
use packetwalk_control::diff::DiffError;
use packetwalk_control::live::LiveError;
use packetwalk_control::netlink::NetlinkError;
use packetwalk_control::route_get::RouteGetError;
use packetwalk_control::serve::ServeError;
use packetwalk_control::state::StateError;
use packetwalk_port::pcap::{CaptureError, WriteError};
use packetwalk_walk::Severity;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a verb cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The state of the node.
    #[error(transparent)]
    State(#[from] StateError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The kernel.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// A capture that is read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A file that is written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A port that the node does not have.
    #[error("{option} {name}: the node has no such port: expected {}", one_of(ports))]
    UnknownPort {
        /// Where it was named.
        option: &'static str,
        /// As named.
        name: String,
        /// The node's ports.
        ports: Vec<String>,
    },
    /// One file is named for two things, and one of them would destroy it.
    #[error("{option} {}: it is also given as {other}: expected different files", path.display())]
    SameFile {
        /// What would write it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What reads or writes it, too.
        other: &'static str,
    },
    /// No route, or no way to tell.
    #[error(transparent)]
    Route(#[from] RouteGetError),
    /// A running process has no answer, or there is none.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It cannot be compared with the kernel.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// The kernel cannot be followed.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The socket cannot be served.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The process cannot run.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Forwarding is for a later release.
    #[error(
        "this release takes no interface yet: expected --shadow, which follows the kernel without forwarding"
    )]
    ShadowNeeded,
    /// The captures hold fewer frames.
    #[error("--frame {wanted}: the captures hold {found} frames: expected {}", if *found == 0 { "captures with frames".to_owned() } else { format!("a number from 1 to {found}") })]
    NoSuchFrame {
        /// The number asked for.
        wanted: u64,
        /// How many there are.
        found: u64,
    },
    /// Standard output cannot be written.
    #[error("standard output: {0}")]
    Print(io::Error),
    /// rx = forwarded + answered + punted + dropped does not hold, or tx does not add up.
    #[error(
        "accounting: frames received and sent do not add up to the outcomes counted; this is a fault of packetwalk, \
         please report it with the state and the captures"
    )]
    Accounting,
}

impl CliError {
    /// 2 for what the user can change, 1 for what only the programmer can.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Accounting => ExitCode::from(1),
            _ => ExitCode::from(2),
        }
    }
}

fn one_of(ports: &[String]) -> String {
    match ports {
        [] => "a state with an Ethernet link, there is none in `addr`".to_owned(),
        [port] => port.clone(),
        ports => format!("one of {}", ports.join(", ")),
    }
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const INFO: Style = AnsiColor::Cyan.on_default().bold();

/// Says on standard error why the verb ended.
pub(crate) fn print(error: &CliError) {
    say(ERROR, "error", error);
}

/// Says on standard error what is odd, but no obstacle.
pub(crate) fn warn(text: impl Display) {
    say(WARNING, "warning", text);
}

/// Says on standard error what is as it may be.
pub(crate) fn inform(text: impl Display) {
    say(INFO, "info", text);
}

/// Says on standard error what was found about the state.
pub(crate) fn say_finding(finding: &Finding) {
    match finding.severity {
        Severity::Info => inform(&finding.text),
        Severity::Warning | Severity::Error => warn(&finding.text),
    }
}

/// Says on standard error that whoever waits need not wait any longer.
pub(crate) fn ready(text: impl Display) {
    // There is nobody left to tell where this fails.
    let _ = writeln!(anstream::stderr(), "{INFO}ready:{INFO:#} {text}");
}

fn say(style: Style, kind: &str, text: impl Display) {
    // There is nobody left to tell where this fails.
    let _ = writeln!(anstream::stderr(), "{style}{kind}:{style:#} {text}");
}
