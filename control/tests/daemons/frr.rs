//! FRR in a namespace: `zebra`, `staticd` and `bgpd`.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use crate::namespace::Namespace;
use crate::process::{Directory, Process, into_file, text, wait_until};

/// The first is the one that talks to the kernel.
const DAEMONS: [&str; 3] = ["zebra", "staticd", "bgpd"];

/// Running daemons of FRR.
pub(crate) struct Frr {
    processes: Vec<Process>,
    directory: Directory,
}

impl Frr {
    /// Starts it inside, as a router with peers on the links 1 and 2.
    pub(crate) fn start(namespace: &Namespace) -> Self {
        let directory = Directory::create();
        // It gives its privileges away, and its sockets lie in the directory.
        let ours = directory.path("");
        let done = Command::new("chown").arg("frr:frr").arg(&ours).status().expect("chown runs");
        assert!(done.success(), "user frr (Debian package frr)");
        directory.write("zebra.conf", "hostname here\n");
        directory.write("staticd.conf", STATIC_ROUTES);
        directory.write("bgpd.conf", &bgp());
        let mut frr = Self { processes: Vec::new(), directory };
        frr.launch(namespace, &DAEMONS);
        frr
    }

    /// Starts some of its daemons, one after the other.
    pub(crate) fn launch(&mut self, namespace: &Namespace, daemons: &[&str]) {
        for daemon in daemons {
            let path = |ending: &str| self.directory.path(&format!("{daemon}.{ending}"));
            let (program, configuration, pid) = (format!("/usr/lib/frr/{daemon}"), path("conf"), path("pid"));
            let (zebra, directory) = (self.directory.path("zserv"), self.directory.path(""));
            let mut command = vec![&*program, "-f", text(&configuration), "-i", text(&pid)];
            command.extend(["-z", text(&zebra), "--vty_socket", text(&directory), "-P", "0"]);
            if *daemon == "zebra" {
                // What is in the kernel is kept until its peers may be back.
                command.extend(["-K", "20"]);
            }
            self.processes.push(Process::start(namespace, &command, into_file(&path("log"))));
            wait_until(&format!("{daemon} answers"), Duration::from_secs(20), || {
                self.try_command(daemon, "show version").is_some()
            });
        }
    }

    /// Kills all: no time to clean up.
    pub(crate) fn crash(&mut self) {
        self.processes.iter_mut().rev().for_each(Process::kill);
        self.processes.clear();
    }

    /// Kills the one that speaks BGP.
    pub(crate) fn crash_bgp(&mut self) {
        self.processes.pop().expect("bgpd comes last").kill();
    }

    /// Lets all end by themselves, cleaning up behind them.
    pub(crate) fn shut_down(&mut self) {
        for mut process in self.processes.drain(..).rev() {
            process.signal("TERM");
            process.end(Duration::from_secs(20));
        }
    }

    /// Waits until it has a session with each of these addresses.
    pub(crate) fn wait_for_sessions(&self, neighbours: &[&str]) {
        for neighbour in neighbours {
            wait_until(&format!("session with {neighbour}"), Duration::from_secs(60), || {
                self.has_session(neighbour)
            });
        }
    }

    pub(crate) fn has_session(&self, neighbour: &str) -> bool {
        let said = self.try_command("bgpd", &format!("show bgp neighbor {neighbour}"));
        said.is_some_and(|said| said.contains("BGP state = Established"))
    }

    /// What a daemon answers; None where it does not.
    fn try_command(&self, daemon: &str, command: &str) -> Option<String> {
        let done = Command::new("vtysh")
            .arg("--vty_socket")
            .arg(self.directory.path(""))
            .args(["-d", daemon, "-c", command])
            .output()
            .expect("vtysh runs (Debian package frr)");
        done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
    }
}

const STATIC_ROUTES: &str = "ip route 198.18.0.0/16 blackhole
ip route 198.18.1.0/24 reject
ip route 198.18.2.0/24 10.0.1.9
";

fn bgp() -> String {
    let (mut neighbours, mut activated) = (String::new(), [String::new(), String::new()]);
    for link in [1, 2] {
        for (family, neighbour) in [format!("10.0.{link}.2"), format!("fd00:{link}::2")].iter().enumerate() {
            write!(
                neighbours,
                " neighbor {neighbour} remote-as 6500{link}
 neighbor {neighbour} timers 2 6
 neighbor {neighbour} timers connect 1
 neighbor {neighbour} advertisement-interval 0
"
            )
            .expect("a string");
            writeln!(activated[family], "  neighbor {neighbour} activate").expect("a string");
        }
    }
    let [four, six] = activated;
    format!(
        "router bgp 65000
 bgp router-id 10.0.1.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp graceful-restart
 bgp graceful-restart preserve-fw-state
 bgp bestpath as-path multipath-relax
{neighbours} address-family ipv4 unicast
{four} exit-address-family
 address-family ipv6 unicast
{six} exit-address-family
"
    )
}
