//! `packetwalk run --shadow` as whoever operates it meets it: started twice, left behind, killed, overrun, without privileges,
//! and with clients that do not behave.
//!
//! Needs root, Debian's iproute2 and util-linux, and fails without; `PACKETWALK_SKIP_PRIVILEGED=1` leaves it out, but not
//! where CI=true.

#![allow(clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses its own part of these modules")]

#[path = "run/agree.rs"]
mod agree;
#[path = "netlink/namespace.rs"]
mod namespace;
#[path = "run/process.rs"]
mod process;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use agree::{assert_agreed, samples};
use namespace::{Namespace, privileged_tests_run};
use process::{Directory, Packetwalk, Process, text, wait_until};

/// A namespace with a link, and `count` routes by it in two ways: batches for `ip`.
struct Routes {
    here: Namespace,
    directory: Directory,
    count: u32,
}

impl Routes {
    fn create(count: u32) -> Self {
        let here = Namespace::create();
        here.shell(
            "ip link set lo up; ip link add v0 type veth peer name v0far; ip link set v0far up; ip link set v0 up
             ip addr add 10.0.0.1/24 dev v0",
        );
        let directory = Directory::create();
        for host in [7, 8] {
            let route = |number: u32| {
                let address = std::net::Ipv4Addr::from(0x1400_0000 + (number << 8));
                format!("route replace {address}/24 via 10.0.0.{host} dev v0\n")
            };
            directory.write(&host.to_string(), &(0..count).map(route).collect::<String>());
        }
        Self { here, directory, count }
    }

    /// The command that leads all routes to 10.0.0.7 (even rounds) or 10.0.0.8.
    fn batch(&self, round: u32) -> Vec<String> {
        let file = self.directory.path(if round.is_multiple_of(2) { "7" } else { "8" });
        ["ip", "-batch", text(&file)].map(str::to_owned).into()
    }

    fn replace(&self, round: u32) {
        let command = self.batch(round);
        self.here.run(&command.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Asserts that what runs has the routes as the last [`Routes::replace`] left them.
    fn assert_followed(&self, packetwalk: &Packetwalk, when: &str) {
        let last = std::net::Ipv4Addr::from(0x1400_0000 + ((self.count - 1) << 8));
        let prefixes = ["20.0.0.0/24".to_owned(), format!("{last}/24")];
        let prefixes = prefixes.map(|prefix| prefix.parse().expect("a prefix"));
        assert_agreed(&self.here, packetwalk, &samples(prefixes), when);
    }
}

/// Tries to start it at `socket`, which must fail; what it said.
fn refused(namespace: &Namespace, socket: &Path) -> String {
    let done = Command::new("timeout")
        .args(["20", "ip", "netns", "exec", &namespace.name, Packetwalk::PROGRAM])
        .args(["run", "--shadow", "--socket", text(socket)])
        .output()
        .expect("timeout and ip run");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains(text(socket)) && said.contains("expected"), "{said}");
    assert!(!said.contains("ready"), "{said}");
    said
}

fn overruns(packetwalk: &Packetwalk) -> u64 {
    let runtime = packetwalk.ask_json(&["show", "runtime", "--json"]);
    runtime["following"]["overruns"].as_u64().expect("a number")
}

#[test]
fn a_namespace_in_which_nothing_is_up_is_followed_too() {
    if !privileged_tests_run() {
        return;
    }
    let here = Namespace::create();
    let packetwalk = Packetwalk::start(&here);
    packetwalk.assert_no_difference("without a route");
    here.shell("ip link set lo up");
    packetwalk.assert_no_difference("with loopback");
    here.shell("ip link set lo down");
    packetwalk.assert_no_difference("without a route again");
    packetwalk.stop();
}

#[test]
fn a_killed_one_leaves_nothing_that_hinders_the_next() {
    if !privileged_tests_run() {
        return;
    }
    let routes = Routes::create(100);
    let directory = Directory::create();
    let socket = directory.path("socket");
    routes.replace(0);
    let mut first = Packetwalk::start_at(&routes.here, &socket, &[]);
    first.process.kill();
    assert!(socket.exists(), "a killed one removes nothing");
    let asked = first.ask(&["fib", "diff"]);
    assert_eq!(asked.status.code(), Some(2), "nobody answers");
    let said = String::from_utf8_lossy(&asked.stderr);
    assert!(said.contains(text(&socket)) && said.contains("packetwalk run"), "{said}");

    routes.replace(1);
    let second = Packetwalk::start_at(&routes.here, &socket, &[]);
    routes.assert_followed(&second, "after one that was killed");
    second.stop();
    let third = Packetwalk::start_at(&routes.here, &socket, &[]);
    routes.assert_followed(&third, "after one that was stopped");
}

#[test]
fn a_socket_that_cannot_be_made_is_named_with_the_reason() {
    if !privileged_tests_run() {
        return;
    }
    let here = Namespace::create();
    let directory = Directory::create();
    let file = directory.write("file", "precious");
    assert!(refused(&here, &file).contains("no socket"));
    assert_eq!(std::fs::read_to_string(&file).expect("still there"), "precious");
    assert!(refused(&here, &directory.path("missing/socket")).contains("directory that exists"));
    assert!(refused(&here, Path::new("/proc/packetwalk.sock")).contains("/proc"));
    assert!(refused(&here, &directory.path(&"x".repeat(120))).contains("100 bytes"));
}

#[test]
fn without_privileges_it_follows_and_says_what_it_cannot_have() {
    if !privileged_tests_run() {
        return;
    }
    let routes = Routes::create(2_000);
    let packetwalk = Packetwalk::start_unprivileged(&routes.here);
    let log = packetwalk.log();
    assert!(log.contains("CAP_NET_ADMIN") && log.contains("buffer"), "{log}");
    for round in 0..4 {
        routes.replace(round);
        routes.assert_followed(&packetwalk, &format!("round {round}"));
    }
    packetwalk.stop();
}

#[test]
fn an_overrun_ends_in_tables_that_equal_the_kernels() {
    if !privileged_tests_run() {
        return;
    }
    let routes = Routes::create(2_000);
    let packetwalk = Packetwalk::start_with_small_buffer(&routes.here);
    for round in 0..10 {
        let before = overruns(&packetwalk);
        packetwalk.process.signal("STOP");
        routes.replace(round);
        packetwalk.process.signal("CONT");
        routes.assert_followed(&packetwalk, &format!("round {round}"));
        assert!(overruns(&packetwalk) > before, "round {round}: nothing was lost");
    }
    assert!(packetwalk.has_said("messages were lost"), "{}", packetwalk.log());
    packetwalk.stop();
}

#[test]
fn it_stops_cleanly_in_a_storm() {
    if !privileged_tests_run() {
        return;
    }
    let routes = Routes::create(20_000);
    for signal in ["TERM", "INT"] {
        let mut packetwalk = Packetwalk::start(&routes.here);
        let batches = [routes.batch(0), routes.batch(1)].map(|command| command.join(" "));
        let script = format!("while :; do {}; {}; done", batches[0], batches[1]);
        let storm = Process::start(&routes.here, &["sh", "-c", &script], Stdio::inherit());
        let messages = |packetwalk: &Packetwalk| {
            let runtime = packetwalk.ask_json(&["show", "runtime", "--json"]);
            runtime["following"]["messages"].as_u64().expect("a number")
        };
        wait_until("the storm is felt", Duration::from_secs(20), || messages(&packetwalk) > 5_000);
        packetwalk.process.signal(signal);
        let code = packetwalk.process.end(Duration::from_secs(5));
        drop(storm);
        assert_eq!(code, Some(0), "{signal}: {}", packetwalk.log());
        assert!(!packetwalk.socket.exists(), "{signal}");
    }
}

/// Sends bytes as a client and returns what comes back, until the other side closes or says nothing for a while.
fn talk(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).expect("somebody serves");
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a socket");
    stream.set_write_timeout(Some(Duration::from_secs(5))).expect("a socket");
    // It may close before it has heard all.
    let _ = stream.write_all(bytes);
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => heard.extend(&piece[..length]),
            // A test beside this one stops processes.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

#[test]
fn clients_that_do_not_behave_hurt_nobody() {
    if !privileged_tests_run() {
        return;
    }
    let routes = Routes::create(500);
    let packetwalk = Packetwalk::start(&routes.here);
    let socket = &packetwalk.socket;
    // They stay connected for as long as the test lasts, some in the middle of a line.
    let silent: Vec<_> = (0..100)
        .map(|number| {
            let mut stream = UnixStream::connect(socket).expect("somebody serves");
            if number % 2 == 0 {
                let _ = stream.write_all(b"{\"version\": 1, ");
            }
            stream
        })
        .collect();
    routes.replace(0);
    routes.assert_followed(&packetwalk, "beside silent clients");

    let deep = [b"[".repeat(60_000), b"\n".to_vec()].concat();
    let garbage: [&[u8]; 8] = [
        b"\n\n\n",
        b"hello\n",
        b"{\"version\": 1, \"verb\": \"no such verb\"}\n",
        b"{\"version\": 99, \"verb\": \"runtime\"}\n",
        b"{\"version\": 1, \"verb\": \"route_get\", \"destination\": \"300.0.0.1\"}\n",
        b"{\"version\": 1, \"verb\": \"ranges\", \"fib\": 65535, \"from\": \"0.0.0.0\"}\n",
        b"\x00\xff\xfe\x80{}[]\"\n",
        &deep,
    ];
    for bytes in garbage {
        let heard = talk(socket, bytes);
        assert!(!heard.contains("\"answer\""), "{:?}: {heard}", String::from_utf8_lossy(bytes));
        let is_blank = bytes.iter().all(|byte| *byte == b'\n');
        assert!(is_blank || heard.contains("\"error\""), "{:?}: {heard}", String::from_utf8_lossy(bytes));
    }
    let endless = talk(socket, &b"x".repeat(8 << 20));
    assert!(endless.contains("\"error\"") || endless.is_empty(), "{endless}");
    // Asks for much and reads nothing of it.
    let mut deaf = UnixStream::connect(socket).expect("somebody serves");
    deaf.set_write_timeout(Some(Duration::from_secs(1))).expect("a socket");
    for _ in 0..10_000 {
        if deaf.write_all(b"{\"version\": 1, \"verb\": \"state\"}\n").is_err() {
            break;
        }
    }
    for round in 1..4 {
        routes.replace(round);
        routes.assert_followed(&packetwalk, &format!("beside clients that do not behave, round {round}"));
    }
    drop((silent, deaf));
    packetwalk.stop();
}

#[test]
fn two_hundred_clients_at_once_are_all_answered() {
    if !privileged_tests_run() {
        return;
    }
    let routes = Routes::create(500);
    routes.replace(0);
    let packetwalk = Packetwalk::start(&routes.here);
    let ask = |number: u32| {
        let address = std::net::Ipv4Addr::from(0x1400_0001 + (number << 8)).to_string();
        (packetwalk.ask(&["route", "get", &address]), number)
    };
    let started = Instant::now();
    let answers: Vec<(Output, u32)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..200).map(|number| scope.spawn(move || ask(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    println!("200 clients, 200 answers: {:?}", started.elapsed());
    for (answer, number) in answers {
        let said = String::from_utf8_lossy(&answer.stderr);
        assert_eq!(answer.status.code(), Some(0), "client {number}: {said}");
        let printed = String::from_utf8_lossy(&answer.stdout);
        assert!(printed.contains("via 10.0.0.7 dev v0"), "client {number}: {printed}");
    }

    // On connections that stay: one after the other, and all before the first answer is read.
    let mut streams: Vec<_> =
        (0..200).map(|_| UnixStream::connect(&packetwalk.socket).expect("somebody serves")).collect();
    let mut answered = 0;
    for stream in &mut streams {
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        let _ = stream.write_all(b"{\"version\": 1, \"verb\": \"runtime\"}\n");
    }
    for stream in streams {
        let mut line = String::new();
        if BufReader::new(stream).read_line(&mut line).is_ok() && line.contains("\"answer\"") {
            answered += 1;
        }
    }
    // Silent ones make room for new ones; those that asked are answered.
    println!("200 connections at once: {answered} answered");
    packetwalk.assert_no_difference("after many clients");
    packetwalk.stop();
}
