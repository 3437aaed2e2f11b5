//! What can go wrong between the kernel and us.

use super::attribute::Malformed;
use super::object::Object;
use std::io;
use std::net::IpAddr;
use thiserror::Error;

/// Why the kernel's state cannot be read or followed.
#[derive(Debug, Error)]
pub enum NetlinkError {
    /// A socket cannot be opened, set up, read or written.
    #[error("netlink: cannot {operation}: {source}{}", advice(source))]
    Socket {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The kernel does not list these objects.
    #[error("netlink: the kernel does not list {object}: {source}{}{}", quoted(explanation), advice(source))]
    Refused {
        /// What was asked for.
        object: Object,
        /// Why not.
        source: io::Error,
        /// The kernel's own words, if it has any.
        explanation: String,
    },
    /// The list changed each time while it was read.
    #[error(
        "netlink: the list of {object} changed {attempts} times while it was read: the node changes faster than it can \
         be read; try again when it is calmer"
    )]
    Interrupted {
        /// What was asked for.
        object: Object,
        /// How often.
        attempts: u32,
    },
    /// A message is not what its kind says.
    #[error("netlink: a message about {object} cannot be read: {source}")]
    Malformed {
        /// What it was about.
        object: Object,
        /// What is wrong with it.
        source: Malformed,
    },
    /// The kernel does not seek a neighbour.
    #[error(
        "netlink: the kernel does not resolve {address} on link {link}: {source}{}{}",
        quoted(explanation),
        advice(source)
    )]
    NotSought {
        /// The link's number.
        link: u32,
        /// The neighbour's address.
        address: IpAddr,
        /// Why not.
        source: io::Error,
        /// The kernel's own words, if it has any.
        explanation: String,
    },
    /// The kernel did not answer.
    #[error("netlink: no answer to the question for {object} within {seconds} s")]
    NoAnswer {
        /// What was asked for.
        object: Object,
        /// How long it was waited for.
        seconds: u64,
    },
}

impl NetlinkError {
    /// Whether the kernel does not let us.
    pub fn is_permission(&self) -> bool {
        let (Self::Socket { source, .. } | Self::Refused { source, .. } | Self::NotSought { source, .. }) =
            self
        else {
            return false;
        };
        source.kind() == io::ErrorKind::PermissionDenied
    }
}

/// What to do where rights are missing.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            " (run as root, or with CAP_NET_ADMIN in the user namespace of this network namespace)"
        }
        _ => "",
    }
}

fn quoted(explanation: &str) -> String {
    if explanation.is_empty() { String::new() } else { format!(" (\"{explanation}\")") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_rights_are_named() {
        let source = io::Error::from_raw_os_error(1);
        let error = NetlinkError::Refused { object: Object::Links, source, explanation: "no".to_owned() };
        let text = error.to_string();
        assert!(
            text.contains("links") && text.contains("(\"no\")") && text.contains("CAP_NET_ADMIN"),
            "{text}"
        );
    }
}
