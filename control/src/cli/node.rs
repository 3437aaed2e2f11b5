//! The options that name a node's state and configuration.

use super::error::{self, CliError};
use clap::Args;
use packetwalk_control::config::Config;
use packetwalk_control::state::NodeState;
use packetwalk_control::{Behind, Node};
use packetwalk_walk::{Settings, Severity};
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
        Ok(self.config.as_deref().map(Config::load).transpose()?.unwrap_or_default())
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
        match finding.severity {
            Severity::Info => error::inform(&finding.text),
            Severity::Warning | Severity::Error => error::warn(&finding.text),
        }
    }
    for device in config.unmatched(&node.port_names) {
        error::warn(format_args!(
            "configuration: [[port]] device = \"{device}\" matches no port of the node"
        ));
    }
}
