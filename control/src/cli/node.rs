//! The options that name a node's state and configuration.

use super::error::{self, CliError};
use clap::Args;
use packetwalk_control::config::{Config, ConfigError};
use packetwalk_control::state::NodeState;
use packetwalk_control::{Behind, Node};
use packetwalk_walk::Settings;
use std::path::{Path, PathBuf};

/// `--config`.
#[derive(Debug, Args)]
pub(super) struct ConfigOption {
    /// Configuration (TOML): roles of ports, tunnel peers, checksums, the rate of ICMP errors
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigOption {
    /// What it says; without it, the defaults.
    pub(super) fn load(&self) -> Result<Config, CliError> {
        Ok(self.load_with_text()?.0)
    }

    /// Whether there is one.
    pub(super) fn is_given(&self) -> bool {
        self.config.is_some()
    }

    /// The same, and as it stands in the file.
    pub(super) fn load_with_text(&self) -> Result<(Config, String), CliError> {
        let Some(path) = &self.config else { return Ok((Config::default(), String::new())) };
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        Ok((Config::parse(path, &text)?, text))
    }
}

/// Builds the node of a state file, for a replay: there is no kernel behind it.
pub(super) fn build(state: &Path, config: &Config) -> Result<Node, CliError> {
    Ok(Node::build(&NodeState::load(state)?, config, Behind::Nothing))
}

/// A worker's settings under a configuration.
pub(super) fn settings(config: &Config) -> Settings {
    Settings { icmp: config.icmp.into(), ..Settings::default() }
}

/// Says once what of the state cannot be resolved, and what of the configuration means nothing here.
pub(super) fn say_findings(node: &Node, config: &Config) {
    for finding in &node.findings {
        error::say_finding(finding);
    }
    for device in config.unmatched(&node.port_names) {
        error::warn(unmatched(device));
    }
}

/// What is said of an entry of `[[port]]` that no port matches.
pub(super) fn unmatched(device: &str) -> String {
    format!("configuration: [[port]] device = \"{device}\" matches no port of the node")
}
