//! Whether a running process does what the kernel would: its published tables against a fresh look at the kernel.
//!
//! What workers do is asked of the process, read out of the very tables that workers read. What they should do is worked
//! out here from a dump of our own: the longest prefix of each address by a sweep over the dump's routes, which
//! shares no code with the tables, and its next hop resolved anew. Both are described by names and bytes
//! ([`Described`]), since numbers mean nothing in another process.
//!
//! Every address of every table is compared, not a sample: the sweep and the process both tell where their answers
//! change.

mod compare;
mod described;
mod expected;
mod rounds;
mod section;
mod sweep;
mod workers;

pub use compare::{Counts, Difference};
pub use described::{Described, Member, Names, Step, describe_rule};
pub use rounds::{DiffError, Verdict, diff};
pub use section::entries;
