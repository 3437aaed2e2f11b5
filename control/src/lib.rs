//! The control side of packetwalk: the state of a node, what it is configured to, and what is made of both.

#![forbid(unsafe_code)]

pub mod api;
pub mod config;
pub mod diff;
pub mod explain;
pub mod finding;
pub mod links;
pub mod live;
pub mod neighbours;
pub mod netlink;
pub mod node;
pub mod report;
pub mod resolve;
pub mod rib;
pub mod route_get;
pub mod serve;
pub mod state;

pub use finding::Finding;
pub use node::Node;
pub use resolve::Behind;
