//! The other end: asks a running process.

use super::line::{Line, Lines};
use super::message::{Entries, Question, Refusal, Section};
use crate::diff::Described;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// How long an answer may take: the control thread may be reading a full table anew.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest answer, bytes: far beyond what a slice of a few milliseconds can hold.
const LONGEST: usize = 256 << 20;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// Nobody serves the socket.
    #[error("{}: nobody answers there ({source}): expected a running `packetwalk run`, or --socket PATH that names its socket", path.display())]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process went, or does not answer.
    #[error("{}: no answer: {source}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it says is not what was asked for: most likely another release.
    #[error("{}: the answer cannot be understood: {source}; expected a packetwalk of this release", path.display())]
    Strange {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// It has no answer.
    #[error("{}", .0.message)]
    Refused(Refusal),
}

/// A connection to a running process.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    lines: Lines,
    stream: UnixStream,
}

impl Client {
    /// Connects to the process that serves `path`.
    pub fn connect(path: &Path) -> Result<Self, AskError> {
        let nobody = |source| match io::Error::kind(&source) {
            ErrorKind::PermissionDenied => AskError::Broken { path: path.to_owned(), source },
            _ => AskError::Nobody { path: path.to_owned(), source },
        };
        let stream = UnixStream::connect(path).map_err(nobody)?;
        let other = stream.try_clone().map_err(nobody)?;
        Ok(Self { path: path.to_owned(), lines: Lines::new(other, LONGEST), stream })
    }

    /// All entries of a small table.
    pub fn entries(&mut self, of: Section) -> Result<Vec<(String, Described)>, AskError> {
        let mut all = Vec::new();
        let mut from = Some(0);
        while let Some(place) = from {
            let answer: Entries = self.ask(&Question::Entries { of, from: place })?;
            all.extend(answer.entries);
            from = answer.next;
        }
        Ok(all)
    }

    /// Asks, and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&mut self, question: &Question) -> Result<T, AskError> {
        #[derive(Deserialize)]
        #[serde(bound = "T: DeserializeOwned")]
        struct Answered<T> {
            #[serde(default = "Option::default")]
            answer: Option<T>,
            error: Option<Refusal>,
        }
        let strange = |source| AskError::Strange { path: self.path.clone(), source };
        let broken = |source| AskError::Broken { path: self.path.clone(), source };
        let line = question.to_line().map_err(strange)?;
        // Where it was closed, what was said before is still to be read.
        let sent = self.stream.write_all(&line);
        let line = match self.lines.next(PATIENCE).map_err(broken)? {
            Line::Whole(line) => line,
            Line::End => {
                sent.map_err(broken)?;
                return Err(broken(io::Error::new(ErrorKind::UnexpectedEof, "it closed the connection")));
            }
            Line::TooLong => return Err(broken(io::Error::other("more than 256 MiB"))),
        };
        let answered: Answered<T> = serde_json::from_slice(&line).map_err(strange)?;
        match (answered.answer, answered.error) {
            (Some(answer), _) => Ok(answer),
            (None, Some(refusal)) => Err(AskError::Refused(refusal)),
            (None, None) => Err(strange(serde::de::Error::custom("neither `answer` nor `error`"))),
        }
    }
}
