//! The option `--rx`: which captures are received by which ports.

use super::error::{self, CliError};
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use packetwalk_control::Node;
use packetwalk_port::pcap::{Capture, Ingress, Merge};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `--rx`, once or more.
#[derive(Debug, Args)]
pub(super) struct RxOptions {
    /// Frames that PORT receives: a capture, pcap or pcapng. Repeat it for further ports; frames are merged by their
    /// timestamps, equal ones in the order of the options. A pcapng FILE without PORT is matched to the ports by the
    /// names of its interfaces
    #[arg(long = "rx", value_name = "[PORT=]FILE", required = true, value_parser = OsStringValueParser::new().try_map(Rx::parse))]
    captures: Vec<Rx>,
}

/// One capture.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rx {
    /// None: matched by interface names.
    port: Option<String>,
    path: PathBuf,
}

impl Rx {
    /// What is before the first `=` is a port, unless there is a `/` in it, which no interface name has.
    fn parse(text: OsString) -> Result<Self, &'static str> {
        let bytes = text.as_bytes();
        let Some(at) = bytes.iter().position(|byte| *byte == b'=').filter(|at| !bytes[..*at].contains(&b'/'))
        else {
            return Ok(Self { port: None, path: text.into() });
        };
        let port = std::str::from_utf8(&bytes[..at]).map_err(|_| "a port name is UTF-8")?;
        let path = OsStr::from_bytes(&bytes[at + 1..]);
        if port.is_empty() || path.is_empty() {
            return Err(
                "expected PORT=FILE, or FILE for a pcapng whose interfaces are named as the ports are",
            );
        }
        Ok(Self { port: Some(port.to_owned()), path: path.into() })
    }
}

impl RxOptions {
    /// Opens all captures, to be received by the ports of `node`.
    pub(super) fn open(&self, node: &Node) -> Result<Merge<File>, CliError> {
        // A misspelt name is told before any file is opened.
        let ingress: Vec<_> = self.captures.iter().map(|rx| ingress(rx, node)).collect::<Result<_, _>>()?;
        let captures =
            self.captures.iter().zip(ingress).map(|(rx, ingress)| Capture::open(&rx.path, ingress));
        Ok(Merge::new(captures.collect::<Result<_, _>>()?)?)
    }

    /// The files.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.captures.iter().map(|rx| rx.path.as_path())
    }

    /// Bytes of all files; of a pipe, none.
    pub(super) fn size(&self) -> u64 {
        self.paths().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum()
    }
}

fn ingress(rx: &Rx, node: &Node) -> Result<Ingress, CliError> {
    let Some(name) = &rx.port else { return Ok(Ingress::ByName(node.port_names.clone())) };
    node.port(name).map(Ingress::Port).ok_or_else(|| CliError::UnknownPort {
        option: "--rx",
        name: name.clone(),
        ports: node.port_names.clone(),
    })
}

/// Says once what was odd about the captures.
pub(super) fn say_remarks(merge: &Merge<File>) {
    for capture in merge.captures() {
        for remark in capture.remarks() {
            error::warn(format_args!("{}: {remark}", capture.path().display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(Option<String>, String), &'static str> {
        let rx = Rx::parse(text.into())?;
        Ok((rx.port, rx.path.display().to_string()))
    }

    #[test]
    fn a_port_comes_before_the_first_equals_sign() {
        assert_eq!(parse("eth0=a.pcap"), Ok((Some("eth0".into()), "a.pcap".into())));
        assert_eq!(parse("eth0=/tmp/x=y.pcap"), Ok((Some("eth0".into()), "/tmp/x=y.pcap".into())));
        assert_eq!(parse("all.pcapng"), Ok((None, "all.pcapng".into())));
        assert_eq!(parse("./x=y.pcapng"), Ok((None, "./x=y.pcapng".into())));
        assert!(parse("=a.pcap").is_err() && parse("eth0=").is_err());
    }
}
