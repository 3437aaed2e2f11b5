//! `packetwalk run`: the process that follows the kernel.

use super::ask::SocketOption;
use super::error::{self, CliError};
use super::node::{self, ConfigOption};
use clap::Args;
use packetwalk_control::api::{Server, SocketPlace};
use packetwalk_control::live::{Live, LiveSettings};
use packetwalk_control::serve::{Process, ServeError, StopSignals, notify};

/// Run: follow the kernel and keep tables ready
///
/// Reads the state of the network namespace that it runs in, follows every change, and keeps the tables that workers
/// read equal to it. With --shadow, the only mode of this release, no interface is taken: the kernel forwards as if
/// packetwalk were not there, and `packetwalk fib diff` proves that packetwalk would do the same.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  packetwalk run --shadow
  packetwalk run --shadow --config /etc/packetwalk.toml --socket /run/packetwalk.sock

One line that begins with `ready` goes to standard error once the socket answers. SIGTERM and SIGINT stop it, with exit \
code 0. Following needs no privileges; with \
CAP_NET_ADMIN, bursts of changes fit into the receive buffer, and the kernel is asked to resolve next hops.")]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigOption,
    #[command(flatten)]
    socket: SocketOption,
    /// Take no interface: follow the kernel, keep the tables, and answer questions
    #[arg(long)]
    shadow: bool,
}

impl Options {
    pub(super) fn run(&self) -> Result<(), CliError> {
        if !self.shadow {
            return Err(CliError::ShadowNeeded);
        }
        let (config, text) = self.config.load_with_text()?;
        let stop = StopSignals::register()
            .map_err(|source| ServeError::System { operation: "take signals over", source })?;
        // First, so that a second process ends before it has read a million routes.
        let mut place = SocketPlace::claim(self.socket.path())?;
        let settings = LiveSettings { follow: config.netlink.into(), ..LiveSettings::default() };
        let live = Live::open(config.clone(), settings)?;
        for device in config.unmatched(&live.node().port_names) {
            error::warn(node::unmatched(device));
        }
        let mut process = Process::new(live, text, error::say_finding)?;
        let listener = place.listen()?;
        let server = Server::start(listener, process.mailbox())
            .map_err(|source| ServeError::System { operation: "serve the socket", source })?;
        let runtime = process.runtime();
        error::ready(format_args!(
            "shadow, {} IPv4 and {} IPv6 routes, {} links, socket {}",
            runtime.routes.ipv4,
            runtime.routes.ipv6,
            runtime.links,
            place.path().display()
        ));
        tell("READY=1");
        let result = process.run(&stop);
        tell("STOPPING=1");
        // Whoever still waits for an answer is told; then their threads end.
        drop(process);
        drop(server);
        drop(place);
        Ok(result?)
    }
}

fn tell(state: &str) {
    if let Err(error) = notify(state) {
        error::warn(format_args!("NOTIFY_SOCKET: cannot tell the service manager {state}: {error}"));
    }
}
