//! Asking a running process: one JSON object a line each way, over a Unix socket.
//!
//! docs/api.md is for whoever writes a client. The control thread only puts answers together, a slice of at most a few
//! milliseconds at a time; lines are read, parsed, written and waited for by the threads of their connections, so a
//! client can hold up nobody but itself.

mod client;
mod connection;
mod line;
mod message;
mod place;
mod server;

pub use client::{AskError, Client};
pub use message::{
    Answer, Chunk, Config, Entries, Following, Latency, MAX_ADDRESSES, Place, Question, Ranges, Refusal,
    RefusalKind, RouteAnswer, Routes, RulesAnswer, Runtime, Section, Values,
};
pub use place::{PlaceError, SocketPlace};
pub use server::{Asked, Mailbox, Server};

/// Where a process is asked unless it is told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/packetwalk.sock";

/// The version of the protocol that this program speaks.
pub const VERSION: u64 = 1;

/// The network namespace of the calling thread, as `readlink /proc/thread-self/ns/net` prints it; empty where /proc does
/// not say.
pub fn network_namespace() -> String {
    std::fs::read_link("/proc/thread-self/ns/net").map(|path| path.display().to_string()).unwrap_or_default()
}
