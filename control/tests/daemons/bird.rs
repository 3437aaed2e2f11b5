//! BIRD in a namespace.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ipnet::IpNet;

use crate::namespace::Namespace;
use crate::process::{Directory, Process, into_file, text, wait_until};

/// A running BIRD.
pub(crate) struct Bird {
    process: Process,
    namespace: String,
    directory: Directory,
}

impl Bird {
    /// Starts it inside with `configuration`.
    pub(crate) fn start(namespace: &Namespace, configuration: &str) -> Self {
        let directory = Directory::create();
        directory.write("bird.conf", configuration);
        let process = launch(namespace, &directory, &[]);
        let bird = Self { process, namespace: namespace.name.clone(), directory };
        bird.wait_until_it_answers();
        bird
    }

    /// Kills it: no time to clean up.
    pub(crate) fn crash(&mut self) {
        self.process.kill();
    }

    /// Starts it once more after a crash; `recovering`, it takes over what it finds in the kernel until its peers are back.
    pub(crate) fn restart(&mut self, namespace: &Namespace, recovering: bool) {
        self.process = launch(namespace, &self.directory, if recovering { &["-R"] } else { &[] });
        self.wait_until_it_answers();
    }

    /// Lets it end by itself, cleaning up behind it.
    pub(crate) fn shut_down(&mut self) {
        self.command("down");
        self.process.end(Duration::from_secs(20));
    }

    /// Gives it another configuration.
    pub(crate) fn configure(&self, configuration: &str) {
        self.directory.write("bird.conf", configuration);
        let said = self.command("configure");
        assert!(said.contains("Reconfigured") || said.contains("Reconfiguration in progress"), "{said}");
    }

    /// What it answers on its control socket.
    pub(crate) fn command(&self, command: &str) -> String {
        let done = Command::new("birdc")
            .arg("-s")
            .arg(self.control())
            .args(command.split(' '))
            .output()
            .expect("birdc runs (Debian package bird2)");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            done.status.success(),
            "{command} in {}: {said}{}",
            self.namespace,
            String::from_utf8_lossy(&done.stderr)
        );
        said
    }

    /// Waits until these protocols have a session.
    pub(crate) fn wait_for_sessions(&self, protocols: &[&str]) {
        for protocol in protocols {
            wait_until(&format!("session {protocol}"), Duration::from_secs(60), || {
                self.command(&format!("show protocols {protocol}")).contains("Established")
            });
        }
    }

    fn control(&self) -> PathBuf {
        self.directory.path("control")
    }

    fn wait_until_it_answers(&self) {
        wait_until("BIRD answers", Duration::from_secs(10), || {
            let asked = Command::new("birdc").arg("-s").arg(self.control()).args(["show", "status"]).output();
            asked.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains("up and running"))
        });
    }
}

fn launch(namespace: &Namespace, directory: &Directory, more: &[&str]) -> Process {
    let [configuration, control] = ["bird.conf", "control"].map(|name| directory.path(name));
    let mut command = vec!["bird", "-f", "-c", text(&configuration), "-s", text(&control)];
    command.extend(more);
    Process::start(namespace, &command, into_file(&directory.path("log")))
}

/// What a peer announces.
#[derive(Clone, Default)]
pub(crate) struct Announced {
    /// Prefixes by the peer's own address, or by `gateway`.
    pub(crate) prefixes: Vec<IpNet>,
    /// IPv4: another next hop than the peer itself.
    pub(crate) gateway: Option<&'static str>,
    /// IPv4 prefixes that whoever hears them is to drop (RFC 7999).
    pub(crate) blackholes: Vec<IpNet>,
}

/// The configuration of a peer that announces to the router at `.1` and `::1` of its link.
///
/// The link's prefixes are 10.0.LINK.0/24 and `fd00:LINK::/64`.
pub(crate) fn peer(link: u8, system: u32, graceful: bool, announced: &Announced) -> String {
    let graceful = if graceful { "graceful restart on;" } else { "graceful restart off;" };
    let mut routes = [String::new(), String::new()];
    for prefix in &announced.prefixes {
        let routes = &mut routes[usize::from(matches!(prefix, IpNet::V6(_)))];
        writeln!(routes, "  route {prefix} unreachable;").expect("a string");
    }
    for prefix in &announced.blackholes {
        writeln!(routes[0], "  route {prefix} unreachable {{ bgp_community.add((65535, 666)); }};")
            .expect("a string");
    }
    let gateway = announced.gateway.map_or(String::new(), |hop| format!("bgp_next_hop = {hop}; "));
    let [routes4, routes6] = routes;
    format!(
        "log stderr all;
router id 10.0.{link}.2;
protocol device {{ scan time 1; }}
protocol static routes4 {{ ipv4;\n{routes4}}}
protocol static routes6 {{ ipv6;\n{routes6}}}
template bgp session {{
  connect delay time 1; connect retry time 1; error wait time 1, 2; error forget time 1; hold time 6; {graceful}
}}
protocol bgp here4 from session {{
  local 10.0.{link}.2 as {system}; neighbor 10.0.{link}.1 as 65000;
  ipv4 {{ import none; export filter {{ {gateway}accept; }}; }};
}}
protocol bgp here6 from session {{
  local fd00:{link}::2 as {system}; neighbor fd00:{link}::1 as 65000;
  ipv6 {{ import none; export all; }};
}}
"
    )
}

/// The configuration of the router whose kernel is followed, with peers on the links 1 and 2.
pub(crate) fn router() -> String {
    let mut configuration = "log stderr all;
router id 10.0.1.1;
graceful restart wait 10;
protocol device { scan time 1; }
protocol direct { ipv4; ipv6; check link; }
protocol kernel { ipv4 { export where source != RTS_DEVICE; import none; }; merge paths on; scan time 1; }
protocol kernel { ipv6 { export where source != RTS_DEVICE; import none; }; merge paths on; scan time 1; }
protocol static {
  ipv4;
  route 198.18.0.0/16 blackhole;
  route 198.18.1.0/24 unreachable;
  route 198.18.2.0/24 prohibit;
}
template bgp session {
  connect delay time 1; connect retry time 1; error wait time 1, 2; error forget time 1; hold time 6;
  graceful restart on; graceful restart time 20;
}
filter drop_blackholes { if (65535, 666) ~ bgp_community then dest = RTD_BLACKHOLE; accept; }
"
    .to_owned();
    for (link, name) in [(1, "one"), (2, "two")] {
        write!(
            configuration,
            "protocol bgp {name}4 from session {{
  local 10.0.{link}.1 as 65000; neighbor 10.0.{link}.2 as 6500{link};
  ipv4 {{ import filter drop_blackholes; export none; }};
}}
protocol bgp {name}6 from session {{
  local fd00:{link}::1 as 65000; neighbor fd00:{link}::2 as 6500{link};
  ipv6 {{ import all; export none; }};
}}
"
        )
        .expect("a string");
    }
    configuration
}
