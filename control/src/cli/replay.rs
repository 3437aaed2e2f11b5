//! `packetwalk replay`: walks captures and writes what the node would have sent.

use super::captures::{self, RxOptions};
use super::error::CliError;
use super::node::{self, ConfigOption};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use packetwalk_control::report::Report;
use packetwalk_port::pcap::{Recorder, WriteError, port_file};
use packetwalk_port::{BUFFER, Buffers};
use packetwalk_walk::counters::Counters;
use packetwalk_walk::{BATCH, Batch, Worker, walk};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Frames that can be out at one time: a batch, as many that wait for a neighbour, and as many that the walk makes.
const FRAMES: usize = 3 * BATCH;

/// Frames between two looks at the progress bar.
const PROGRESS: u64 = 4096;

/// Walk captured frames through a node and write what it sends
///
/// Every frame is walked at the time at which it was captured, by the same code that forwards in production, and has one
/// outcome: forwarded, answered, punted to the kernel, or dropped, by name. The same input gives the same output,
/// byte for byte. Captures may be larger than memory.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  packetwalk replay --state node.json --rx eth0=eth0.pcap --tx out
  packetwalk replay --state node.json --rx all.pcapng --tx out --json report.json --punt punted.pcap

The exit code is 0 when the replay ran, whatever became of the frames, and 2 when the command line, the state, the \
configuration or a capture cannot be used.")]
pub(super) struct Options {
    /// State of the node, as iproute2 prints it (JSON or TOML)
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    #[command(flatten)]
    config: ConfigOption,
    #[command(flatten)]
    rx: RxOptions,
    /// Write DIR/PORT.pcap for each port that sends a frame. DIR is made if it is missing; files that an earlier run left
    /// in it for ports of this node are removed
    #[arg(long, value_name = "DIR")]
    tx: PathBuf,
    /// Write the report as JSON instead of text; - is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the frames that are punted to the kernel
    #[arg(long, value_name = "FILE")]
    punt: Option<PathBuf>,
}

impl Options {
    pub(super) fn run(&self) -> Result<(), CliError> {
        let config = self.config.load()?;
        let node = node::build(&self.state, &config)?;
        let mut source = self.rx.open(&node)?;
        self.check_files(&node.port_names)?;
        node::say_findings(&node, &config);

        let mut buffers = Buffers::new(FRAMES, BUFFER);
        let mut sink = Recorder::create(buffers.pool(), &self.tx, &node.port_names, self.punt.as_deref())?;
        let mut worker = Worker::new(node.port_names.len(), node::settings(&config));
        let (progress, mut shown) = (progress(self.rx.size()), 0);
        let mut batch = Batch::new();
        while let Some(burst) = source.fill(sink.pool(), &mut batch)? {
            sink.set_time(burst.now);
            walk(&node.tables, &mut worker, burst.now, &mut batch, &mut sink);
            sink.check()?;
            if burst.first - shown >= PROGRESS {
                progress.set_position(source.position());
                shown = burst.first;
            }
        }
        sink.finish()?;
        progress.finish_and_clear();
        captures::say_remarks(&source);

        self.print(&worker.counters, &node.port_names)?;
        if worker.counters.balance() { Ok(()) } else { Err(CliError::Accounting) }
    }

    /// Refuses to write over what is read, and to write one file twice.
    fn check_files(&self, ports: &[String]) -> Result<(), CliError> {
        let mut outputs = ports
            .iter()
            .map(|port| Ok(("--tx", port_file(&self.tx, port)?)))
            .collect::<Result<Vec<_>, WriteError>>()?;
        outputs.extend(self.punt.iter().map(|path| ("--punt", path.clone())));
        outputs.extend(self.json.iter().filter(|path| !is_stdout(path)).map(|path| ("--json", path.clone())));
        let inputs = self.rx.paths().map(|path| ("--rx", path)).chain([("--state", self.state.as_path())]);
        let mut taken: Vec<_> = inputs.map(|(option, path)| (option, place(path))).collect();
        for (option, path) in outputs {
            let place = place(&path);
            if let Some((other, _)) = taken.iter().find(|(_, taken)| *taken == place) {
                return Err(CliError::SameFile { option, path, other });
            }
            taken.push((option, place));
        }
        Ok(())
    }

    fn print(&self, counters: &Counters, ports: &[String]) -> Result<(), CliError> {
        let report = Report::new(counters, ports);
        let Some(path) = &self.json else {
            return write!(anstream::stdout(), "{report}").map_err(CliError::Print);
        };
        let mut json =
            serde_json::to_string_pretty(&report).map_err(|error| CliError::Print(error.into()))?;
        json.push('\n');
        if is_stdout(path) {
            std::io::stdout().write_all(json.as_bytes()).map_err(CliError::Print)
        } else {
            std::fs::write(path, json).map_err(|error| WriteError::new(path, error).into())
        }
    }
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Where a file is or would be, however it is named.
fn place(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (parent.canonicalize(), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

/// A bar over the bytes of the captures, on a terminal only, and only if it is worth one.
fn progress(size: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() || size < 1 << 20 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr_with_hz(5));
    bar.enable_steady_tick(Duration::from_millis(200));
    let template = "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
