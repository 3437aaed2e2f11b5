//! The socket's place in the file system: one process at a time has it.
//!
//! A lock on a file beside the socket decides whose place it is, and ends with the process that holds it, however that
//! ends. So a socket that is there without a lock was left behind. The new socket is made under another name and
//! renamed over it: at no time can anybody connect who may not, and nobody can remove another's socket. The lock's
//! file stays: whoever removed it could remove it under the one who locks it next.

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Root, and the group of the socket: what is told is not secret to the node, but says much about its network.
const MODE: u32 = 0o660;

/// Why a process cannot be asked at the place that it was given.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// Another process has it.
    #[error("--socket {}: another packetwalk answers there: expected a path of its own, or that the other one is stopped", .0.display())]
    Taken(PathBuf),
    /// Something else is there.
    #[error("--socket {}: it is there and is no socket: expected a path that is free, or a socket left behind", .0.display())]
    NoSocket(PathBuf),
    /// It cannot be made.
    #[error("--socket {}: cannot {operation}: {source}{}", path.display(), advice(source))]
    Io {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        operation: String,
        /// Why not.
        source: io::Error,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => ": expected a directory that this user may write to",
        ErrorKind::NotFound => ": expected a directory that exists",
        ErrorKind::InvalidInput => ": expected a path of at most 100 bytes",
        _ => "",
    }
}

/// The right to answer at a path, until it is dropped.
#[derive(Debug)]
pub struct SocketPlace {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
    is_listening: bool,
}

impl SocketPlace {
    /// Claims `path`, where no other process has it.
    pub fn claim(path: &Path) -> Result<Self, PlaceError> {
        let failed = |operation: String| {
            move |source: io::Error| PlaceError::Io { path: path.to_owned(), operation, source }
        };
        let lock_path = with_suffix(path, ".lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = open.map_err(failed(format!("open {}", lock_path.display())))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(PlaceError::Taken(path.to_owned())),
            Err(errno) => return Err(failed(format!("lock {}", lock_path.display()))(errno.into())),
        }
        match std::fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                return Err(PlaceError::NoSocket(path.to_owned()));
            }
            // Somebody without our lock may answer there.
            Ok(_) if UnixStream::connect(path).is_ok() => return Err(PlaceError::Taken(path.to_owned())),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("look at it".into())(error)),
        }
        Ok(Self { path: path.to_owned(), _lock: lock, is_listening: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Listens there from now on.
    pub fn listen(&mut self) -> Result<UnixListener, PlaceError> {
        let new = with_suffix(&self.path, ".new");
        let failed = |operation: &str, source| PlaceError::Io {
            path: self.path.clone(),
            operation: operation.to_owned(),
            source,
        };
        match std::fs::remove_file(&new) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("remove what an earlier run left behind", error)),
        }
        let listener = UnixListener::bind(&new).map_err(|error| failed("make the socket", error))?;
        std::fs::set_permissions(&new, Permissions::from_mode(MODE))
            .map_err(|error| failed("set the socket's permissions", error))?;
        std::fs::rename(&new, &self.path).map_err(|error| failed("put the socket there", error))?;
        self.is_listening = true;
        Ok(listener)
    }
}

impl Drop for SocketPlace {
    fn drop(&mut self) {
        if self.is_listening {
            // The lock is still held, so it is ours. There is nobody left to tell where this fails.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of its own for a test.
    fn directory(test: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("packetwalk-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory");
        path
    }

    #[test]
    fn one_at_a_time_answers_at_a_path_and_leaves_it_free() {
        let directory = directory("one-at-a-time");
        let path = directory.join("socket");
        let mut place = SocketPlace::claim(&path).expect("it is free");
        let _listener = place.listen().expect("a socket");
        assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, MODE);
        UnixStream::connect(&path).expect("it listens");
        assert!(matches!(SocketPlace::claim(&path), Err(PlaceError::Taken(_))));
        drop(place);
        assert!(!path.exists());
        drop(SocketPlace::claim(&path).expect("it is free again"));
        std::fs::remove_dir_all(directory).expect("it was ours");
    }

    #[test]
    fn what_was_left_behind_is_taken_over_and_what_answers_is_not() {
        let directory = directory("left-behind");
        let path = directory.join("socket");
        let other = UnixListener::bind(&path).expect("a socket");
        assert!(matches!(SocketPlace::claim(&path), Err(PlaceError::Taken(_))));
        drop(other);
        assert!(path.exists(), "nobody listens, and it is still there");
        let mut place = SocketPlace::claim(&path).expect("it was left behind");
        let _listener = place.listen().expect("a socket");
        UnixStream::connect(&path).expect("it listens");
        std::fs::remove_dir_all(directory).expect("it was ours");
    }

    #[test]
    fn paths_that_cannot_be_used_are_named() {
        let directory = directory("not-usable");
        let file = directory.join("file");
        std::fs::write(&file, "precious").expect("a file");
        let error = SocketPlace::claim(&file).expect_err("a file").to_string();
        assert!(error.contains("is no socket") && error.contains(&*file.to_string_lossy()), "{error}");
        assert_eq!(std::fs::read(&file).expect("it is there"), b"precious");
        let nowhere = directory.join("nowhere/socket");
        let error = SocketPlace::claim(&nowhere).expect_err("no directory").to_string();
        assert!(error.contains("expected a directory that exists"), "{error}");
        let long = directory.join("x".repeat(120));
        let mut place = SocketPlace::claim(&long).expect("a file's name may be that long");
        let error = place.listen().expect_err("a socket's may not").to_string();
        assert!(error.contains("100 bytes"), "{error}");
        std::fs::remove_dir_all(directory).expect("it was ours");
    }
}
