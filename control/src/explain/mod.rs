//! Why a frame went where it went: its walk, stage by stage.
//!
//! The walk itself tells, through an observer. What it cannot know, since tables hold results only, is looked up where the
//! tables were made from: rules, routes that lost, neighbour and forwarding entries.

mod headers;
mod model;
mod observe;
mod outcome;
mod text;

pub use headers::{Header, Ipv4Fields};
pub use model::{
    Candidate, Exit, Key, Member, Neighbour, NextHop, Outcome, Rule, Stage, Term, Underlay, Vtep, Walk,
};
pub use observe::Explainer;
