//! The running process: one control thread that follows the kernel, publishes tables, and answers questions.

mod answer;
mod following;
mod notify;
mod process;
mod signals;
mod tell;

pub use notify::notify;
pub use process::{Process, ServeError};
pub use signals::StopSignals;
