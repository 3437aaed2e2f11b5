//! A node in a network namespace, and a process that serves it: the binary, or one inside the test.

use crate::namespace::Namespace;
use packetwalk_control::api::{Server, SocketPlace};
use packetwalk_control::config::Config;
use packetwalk_control::live::{Live, LiveSettings};
use packetwalk_control::serve::Process;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Two ports, an uplink and a pod's, whose far ends are in the same namespace, so that nobody answers and nothing is learnt.
/// IPv6 is off: its addresses come about by themselves, seconds later.
const SET_UP: &str = "
    sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 net.ipv4.ip_forward=1
    ip link set lo up
    ip link add eth0 type veth peer name far0
    ip link add cali1 type veth peer name far1
    for link in eth0 far0 cali1 far1; do ip link set $link up; done
    ip addr add 10.0.0.1/24 brd + dev eth0
    for host in 7 8 254; do ip neigh add 10.0.0.$host lladdr 02:00:00:00:00:$(printf %02x $host) dev eth0; done
    ip neigh add 10.9.0.5 lladdr 02:00:00:00:09:05 dev cali1
    ip route add 10.9.0.5 dev cali1 scope link
    ip route add blackhole 10.9.0.0/26 proto bird
    ip route add 10.13.0.0/24 nexthop via 10.0.0.7 weight 3 nexthop via 10.0.0.8 weight 1
    ip route add 10.15.0.0/24 via 10.0.0.7 mtu 1300
    ip route add 10.16.0.0/16 via 10.0.0.8
    ip route add 10.16.32.0/20 via 10.0.0.7
    ip route add default via 10.0.0.254
    ip rule add pref 90 to 10.17.0.0/16 table 77
    ip route add 10.17.4.0/24 via 10.0.0.8 table 77
    ip route add throw 10.17.5.0/24 table 77";

/// The node.
pub(crate) struct Node {
    pub(crate) namespace: Namespace,
    directory: PathBuf,
}

impl Node {
    pub(crate) fn new() -> Self {
        let namespace = Namespace::create();
        namespace.shell(SET_UP);
        let directory = std::env::temp_dir().join(&namespace.name);
        std::fs::create_dir_all(&directory).expect("a directory");
        // Carrier comes a moment after the link.
        std::thread::sleep(Duration::from_millis(300));
        Self { namespace, directory }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.file("socket")
    }

    /// Prepares `packetwalk` with arguments and the socket, inside.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace.name, env!("CARGO_BIN_EXE_packetwalk")]);
        command.args(arguments.split_whitespace()).arg("--socket").arg(self.socket());
        command
    }

    pub(crate) fn packetwalk(&self, arguments: &str) -> Output {
        self.command(arguments).output().expect("ip runs")
    }

    /// What it prints; it must end with this code.
    pub(crate) fn printed(&self, arguments: &str, code: i32) -> String {
        let output = self.packetwalk(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8(output.stdout).expect("text");
        assert_eq!(output.status.code(), Some(code), "{arguments}: {said}{printed}");
        printed
    }

    /// Starts the binary, and waits until it is ready.
    pub(crate) fn start(&self) -> Running {
        let mut running = Running::spawn(self.command("run --shadow"));
        running.wait_for("ready: shadow, ");
        running
    }

    /// Serves a node whose published tables were tampered with, while `inside` runs.
    pub(crate) fn serve<T: Send>(
        &self,
        tamper: impl FnOnce(&mut Live) + Send,
        inside: impl FnOnce() -> T + Send,
    ) -> T {
        self.namespace.enter(|| {
            let mut live =
                Live::open(Config::default(), LiveSettings::default()).expect("the kernel answers");
            tamper(&mut live);
            let mut process = Process::new(live, String::new(), |_| {}).expect("a process");
            let mut place = SocketPlace::claim(&self.socket()).expect("it is free");
            let server =
                Server::start(place.listen().expect("a socket"), process.mailbox()).expect("a thread");
            let (stop, stopped) = UnixStream::pair().expect("two ends");
            let result = std::thread::scope(|scope| {
                let inside = scope.spawn(move || {
                    // Dropped even if it panics.
                    let _stopped = stopped;
                    inside()
                });
                process.run(&stop).expect("it runs");
                inside.join()
            });
            drop(process);
            drop(server);
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A process that runs; killed when it is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    errors: BufReader<ChildStderr>,
    /// What it said so far.
    pub(crate) said: String,
}

impl Running {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("ip runs");
        let errors = BufReader::new(child.stderr.take().expect("it is piped"));
        Self { child, errors, said: String::new() }
    }

    /// Reads what it says until a line begins with this.
    pub(crate) fn wait_for(&mut self, beginning: &str) {
        loop {
            let mut line = String::new();
            self.errors.read_line(&mut line).expect("text");
            assert!(!line.is_empty(), "it ended: {}", self.said);
            self.said += &line;
            if line.starts_with(beginning) {
                return;
            }
        }
    }

    /// Sends a signal, waits for the end, and returns the exit code.
    pub(crate) fn end(&mut self, signal: &str) -> Option<i32> {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(killed.expect("kill runs").success());
        let mut code = None;
        eventually("it ends", || {
            code = self.child.try_wait().expect("it is ours");
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries until it is so, for ten seconds at most.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether there is a socket.
pub(crate) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
