//! Processes in a network namespace, and `packetwalk run --shadow` among them.

use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::namespace::Namespace;

/// A directory with a short path (a unix socket's has 107 bytes at most), removed with its owner.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("pw-run-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("a directory of our own");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Lets everybody make files in it.
    pub(crate) fn open_to_all(&self) {
        std::fs::set_permissions(&self.0, Permissions::from_mode(0o777)).expect("a directory of our own");
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file of our own");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process, killed with its owner, and with the thread that started it.
pub(crate) struct Process(Child);

impl Process {
    /// Starts `command` inside, what it says on stderr going to `said`.
    pub(crate) fn start(namespace: &Namespace, command: &[&str], said: Stdio) -> Self {
        let child = Command::new("ip")
            .args(["netns", "exec", &namespace.name, "setpriv", "--pdeathsig", "KILL", "--"])
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn();
        Self(child.expect("ip and setpriv run"))
    }

    /// `KILL`, `TERM`, `STOP` and so on.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let done = Command::new("kill").args(["-s", name, &id]).status().expect("kill runs");
        assert!(done.success(), "kill -s {name}");
    }

    /// Waits for its end; its exit code, unless it died of a signal.
    pub(crate) fn end(&mut self, within: Duration) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("our child") {
                return status.code();
            }
            assert!(started.elapsed() < within, "still there after {within:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("our child").is_none()
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until `is_so`; what is waited for is said if it never is.
pub(crate) fn wait_until(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `packetwalk run --shadow`, serving.
pub(crate) struct Packetwalk {
    pub(crate) process: Process,
    namespace: String,
    pub(crate) socket: PathBuf,
    log: Arc<Mutex<Vec<String>>>,
    /// Where its files lie, if nobody else said where.
    directory: Option<Directory>,
}

impl Packetwalk {
    pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_packetwalk");

    /// Starts it inside and waits until it says `ready`.
    pub(crate) fn start(namespace: &Namespace) -> Self {
        let directory = Directory::create();
        let mut running = Self::start_at(namespace, &directory.path("socket"), &[]);
        running.directory = Some(directory);
        running
    }

    /// Starts it with a receive buffer that a burst of route changes does not fit into.
    pub(crate) fn start_with_small_buffer(namespace: &Namespace) -> Self {
        let directory = Directory::create();
        let file = directory.write("packetwalk.toml", "[netlink]\nreceive_buffer = 4096\n");
        let mut running =
            Self::start_with(namespace, &directory.path("socket"), &[], &["--config", text(&file)]);
        running.directory = Some(directory);
        running
    }

    /// Starts it as a user without any privilege.
    pub(crate) fn start_unprivileged(namespace: &Namespace) -> Self {
        let directory = Directory::create();
        directory.open_to_all();
        let prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let mut running = Self::start_at(namespace, &directory.path("socket"), &prefix);
        running.directory = Some(directory);
        running
    }

    /// Starts it by a command that runs others, to serve `socket`.
    pub(crate) fn start_at(namespace: &Namespace, socket: &Path, by: &[&str]) -> Self {
        Self::start_with(namespace, socket, by, &[])
    }

    fn start_with(namespace: &Namespace, socket: &Path, by: &[&str], options: &[&str]) -> Self {
        let command = [by, &[Self::PROGRAM, "run", "--shadow", "--socket", text(socket)], options].concat();
        let mut process = Process::start(namespace, &command, Stdio::piped());
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = process.0.stderr.take().map(BufReader::new).expect("stderr is ours to read");
        let heard = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                heard.lock().expect("no panic").push(line);
            }
        });
        let (namespace, socket) = (namespace.name.clone(), socket.to_owned());
        let mut running = Self { process, namespace, socket, log, directory: None };
        let started = Instant::now();
        while !running.has_said("ready") {
            let log = running.log();
            assert!(running.process.is_running(), "it ended:\n{log}");
            assert!(started.elapsed() < Duration::from_secs(60), "not ready:\n{log}");
            std::thread::sleep(Duration::from_millis(2));
        }
        running
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic").join("\n")
    }

    pub(crate) fn has_said(&self, word: &str) -> bool {
        self.log.lock().expect("no panic").iter().any(|line| line.contains(word))
    }

    /// Runs a verb that asks it.
    pub(crate) fn ask(&self, verb: &[&str]) -> Output {
        Command::new("ip")
            .args(["netns", "exec", &self.namespace, Self::PROGRAM])
            .args(verb)
            .args(["--socket", text(&self.socket)])
            .output()
            .expect("ip runs")
    }

    /// Runs a verb that asks it, which must not fail, and parses what it printed.
    pub(crate) fn ask_json(&self, verb: &[&str]) -> serde_json::Value {
        let done = self.ask(verb);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{verb:?}: {said}\n{}", self.log());
        serde_json::from_slice(&done.stdout).expect("JSON")
    }

    /// Asserts that `fib diff` finds no difference, once what is under way has been taken in.
    pub(crate) fn assert_no_difference(&self, when: &str) {
        let started = Instant::now();
        loop {
            let done = self.ask(&["fib", "diff"]);
            let printed = String::from_utf8_lossy(&done.stdout);
            let said = String::from_utf8_lossy(&done.stderr);
            match done.status.code() {
                Some(0) => return,
                // Differences may be what it has not heard of yet, or has not published.
                Some(1) if started.elapsed() < Duration::from_secs(20) => {}
                code => panic!("{when}: fib diff, exit code {code:?}\n{printed}{said}\n{}", self.log()),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to stop, as a service manager does; it must end with exit code 0 and leave no socket behind.
    pub(crate) fn stop(mut self) -> String {
        self.process.signal("TERM");
        let code = self.process.end(Duration::from_secs(10));
        assert_eq!(code, Some(0), "{}", self.log());
        assert!(!self.socket.exists(), "the socket is still there");
        self.log()
    }
}

/// A path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

/// Stderr of a process into a file, for whoever looks why it failed.
pub(crate) fn into_file(path: &Path) -> Stdio {
    Stdio::from(File::create(path).expect("a file of our own"))
}
