//! `packetwalk route get`: which route a destination has.

use super::ask::SocketOption;
use super::error::CliError;
use super::node;
use clap::{Args, Subcommand};
use packetwalk_control::api::{Question, RouteAnswer};
use packetwalk_control::config::Config;
use packetwalk_control::route_get::{Query, route_get};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Ask for routes
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Get(Get),
}

/// Print the route of a destination as `ip route get ADDR fibmatch` prints it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  packetwalk route get 10.1.2.3
  packetwalk route get 10.1.2.3 --state node.json
  packetwalk route get 10.1.2.3 --from 10.244.1.2 --iif cali0 --state node.json")]
struct Get {
    /// Where to
    #[arg(value_name = "ADDR")]
    destination: Ipv4Addr,
    /// From this source, which policy rules may ask for
    #[arg(long, value_name = "ADDR")]
    from: Option<Ipv4Addr>,
    /// As if it came in by this interface; without it, as if the node itself sent it
    #[arg(long, value_name = "PORT")]
    iif: Option<String>,
    /// State of the node, as iproute2 prints it (JSON or TOML); without it, the running process is asked
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    state: Option<PathBuf>,
    #[command(flatten)]
    socket: SocketOption,
    /// Print JSON, as `ip -j` does
    #[arg(long)]
    json: bool,
}

impl Options {
    pub(super) fn run(&self) -> Result<(), CliError> {
        let Verb::Get(get) = &self.verb;
        get.run()
    }
}

impl Get {
    fn run(&self) -> Result<(), CliError> {
        let RouteAnswer { text, route } = match self.state.as_deref() {
            Some(state) => self.read(state)?,
            None => self.ask()?,
        };
        let mut output = std::io::stdout();
        if self.json {
            writeln!(output, "{:#}", serde_json::Value::Array(vec![route]))
        } else {
            writeln!(output, "{text}")
        }
        .map_err(CliError::Print)
    }

    fn read(&self, state: &Path) -> Result<RouteAnswer, CliError> {
        let node = node::build(state, &Config::default())?;
        let query = Query { destination: self.destination, source: self.from, iif: self.iif.clone() };
        let found = route_get(&node, &query)?;
        Ok(RouteAnswer { text: found.to_string(), route: found.json() })
    }

    fn ask(&self) -> Result<RouteAnswer, CliError> {
        let question =
            Question::RouteGet { destination: self.destination, from: self.from, iif: self.iif.clone() };
        Ok(self.socket.connect()?.ask(&question)?)
    }
}
