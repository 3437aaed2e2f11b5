//! The option that names a running process, and asking it.

use super::error::{self, CliError};
use clap::Args;
use packetwalk_control::api::{Chunk, Client, Config as ConfigAnswer, DEFAULT_SOCKET, Question};
use packetwalk_control::config::Config;
use packetwalk_control::state::NodeState;
use std::path::{Path, PathBuf};

/// `--socket`.
#[derive(Debug, Args)]
pub(super) struct SocketOption {
    /// Socket of the running process
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
}

/// How often a state that changes while it is read is read again.
const ATTEMPTS: usize = 5;

impl SocketOption {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.socket
    }

    /// Connects to the process.
    pub(super) fn connect(&self) -> Result<Client, CliError> {
        Ok(Client::connect(&self.socket)?)
    }

    /// The state and the configuration of the process.
    pub(super) fn state(&self) -> Result<(NodeState, Config), CliError> {
        let mut client = self.connect()?;
        let config: ConfigAnswer = client.ask(&Question::Config {})?;
        let config = Config::parse(Path::new("packetwalk.toml"), &config.text)?;
        let mut attempt = 1;
        loop {
            let (state, is_one) = read_state(&mut client)?;
            if is_one {
                return Ok((state, config));
            }
            if attempt == ATTEMPTS {
                error::warn(
                    "the state of the process changed each time while it was read: parts of it are newer than others",
                );
                return Ok((state, config));
            }
            attempt += 1;
        }
    }
}

/// The state, and whether it did not change meanwhile.
fn read_state(client: &mut Client) -> Result<(NodeState, bool), CliError> {
    let first: Chunk = client.ask(&Question::State { after: None })?;
    let (mut state, mut next, mut is_one) = (first.state, first.next, true);
    while next.is_some() {
        let chunk: Chunk = client.ask(&Question::State { after: next })?;
        is_one &= chunk.generation == first.generation;
        state.route.extend(chunk.state.route);
        next = chunk.next;
    }
    Ok((state, is_one))
}
