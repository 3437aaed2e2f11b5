//! Network namespaces to look into, removed with their owner.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    /// A new one; the name begins with `pw-nl-`.
    pub(crate) fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = Self { name: format!("pw-nl-{}-{number}", std::process::id()) };
        let done = Command::new("ip").args(["netns", "add", &namespace.name]).output().expect("ip runs");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(
            done.status.success(),
            "{said}Run as root, or leave this test out with PACKETWALK_SKIP_PRIVILEGED=1."
        );
        namespace
    }

    /// Runs a shell script inside and returns what it printed; it must not fail.
    pub(crate) fn shell(&self, script: &str) -> String {
        self.run(&["sh", "-euc", script])
    }

    /// Runs a program inside and returns what it printed; it must not fail.
    pub(crate) fn run(&self, command: &[&str]) -> String {
        let done =
            Command::new("ip").args(["netns", "exec", &self.name]).args(command).output().expect("ip runs");
        assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    }

    /// Runs `inside` on a thread of its own that has moved into the namespace.
    pub(crate) fn enter<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        let file = File::open(format!("/run/netns/{}", self.name)).expect("the namespace");
        let moved = || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may move");
            inside()
        };
        std::thread::scope(|scope| scope.spawn(moved).join().expect("no panic inside"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// Whether tests that need root are to run: they are left out on purpose only, and not in CI.
pub(crate) fn privileged_tests_run() -> bool {
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    if !in_ci && std::env::var("PACKETWALK_SKIP_PRIVILEGED").is_ok_and(|value| value == "1") {
        println!("left out by PACKETWALK_SKIP_PRIVILEGED=1: netlink against iproute2 on the kernel at hand");
        return false;
    }
    true
}
