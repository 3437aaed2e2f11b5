//! Lists: everything of one kind that the kernel holds, asked for.

use super::changes::Changes;
use super::error::NetlinkError;
use super::family::{AF_BRIDGE, AF_UNSPEC, Family};
use super::message::{Meaning, Messages, dump_request};
use super::object::Object;
use super::socket::{Received, Socket};
use super::store::Store;
use super::update::Decoded;
use rustix::io::Errno;
use std::io;
use std::time::Duration;

const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;
const RTM_GETROUTE: u16 = 26;
const RTM_GETNEIGH: u16 = 30;
const RTM_GETRULE: u16 = 34;
const RTM_GETNETCONF: u16 = 82;
const RTM_GETNEXTHOP: u16 = 106;

/// A list of a million routes takes the kernel two seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How often a list that changes under our hands is read again, and the longest pause before.
const ATTEMPTS: u32 = 40;
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The way to ask the kernel.
#[derive(Debug)]
pub(super) struct Requests {
    socket: Socket,
    sequence: u32,
    /// How often a list was read again because it had changed meanwhile.
    pub(super) repeated: u64,
}

/// How reading a list ended.
enum Listed {
    Whole,
    /// Something changed meanwhile: objects may be missing or there twice.
    Interrupted,
}

impl Requests {
    pub(super) fn open() -> Result<Self, NetlinkError> {
        let socket = Socket::for_requests(ANSWER_WITHIN)?;
        // Answers wait until they are read, so a small buffer loses nothing; a larger one saves turns.
        Ok(Self { socket, sequence: 0, repeated: 0 })
    }

    /// Reads all objects of one kind into `store`, which has none of it yet.
    pub(super) fn list(&mut self, object: Object, store: &mut Store) -> Result<(), NetlinkError> {
        for attempt in 0..ATTEMPTS {
            match self.list_once(object, store)? {
                Listed::Whole => return Ok(()),
                Listed::Interrupted => {
                    self.repeated += 1;
                    store.clear(object);
                    std::thread::sleep(Duration::from_millis(attempt.into()).min(LONGEST_PAUSE));
                }
            }
        }
        Err(NetlinkError::Interrupted { object, attempts: ATTEMPTS })
    }

    fn list_once(&mut self, object: Object, store: &mut Store) -> Result<Listed, NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let (kind, body) = question(object);
        self.socket.send(&dump_request(kind, sequence, &body))?;
        let mut unused = Changes::default();
        let mut is_interrupted = false;
        loop {
            let datagram = match self.socket.receive()? {
                Received::Datagram(datagram) => datagram,
                Received::Nothing => {
                    return Err(NetlinkError::NoAnswer { object, seconds: ANSWER_WITHIN.as_secs() });
                }
                // The rest of this list may still come: it is told by its number.
                Received::Overrun => return Ok(Listed::Interrupted),
            };
            for message in Messages::new(datagram) {
                let message = message.map_err(|source| NetlinkError::Malformed { object, source })?;
                if message.sequence != sequence {
                    continue;
                }
                is_interrupted |= message.is_interrupted();
                match message.meaning() {
                    Meaning::Done if is_interrupted => return Ok(Listed::Interrupted),
                    Meaning::Done => return Ok(Listed::Whole),
                    Meaning::Nothing => {}
                    Meaning::Refused(source, explanation) => return refused(object, source, explanation),
                    Meaning::Object(message) => {
                        let decoded = Decoded::of(&message);
                        let decoded =
                            decoded.map_err(|(object, source)| NetlinkError::Malformed { object, source })?;
                        // A kernel without a family answers for all of them.
                        if let Decoded::Update(update) = decoded
                            && update.object() == object
                        {
                            store.apply(update, &mut unused);
                        }
                    }
                }
            }
        }
    }
}

/// A kernel that has none of a kind says so by refusing.
fn refused(object: Object, source: io::Error, explanation: String) -> Result<Listed, NetlinkError> {
    let errno = Errno::from_io_error(&source);
    // Another list of ours may still be on its way.
    if matches!(errno, Some(Errno::INTR | Errno::BUSY)) {
        return Ok(Listed::Interrupted);
    }
    let is_absent = matches!(errno, Some(Errno::OPNOTSUPP | Errno::AFNOSUPPORT));
    let may_be_absent = matches!(
        object,
        Object::Nexthops | Object::Netconf6 | Object::Rules4 | Object::Rules6 | Object::Routes6 | Object::Fdb
    );
    if is_absent && may_be_absent {
        return Ok(Listed::Whole);
    }
    Err(NetlinkError::Refused { object, source, explanation })
}

/// The kind of message that asks for a list, and the header that goes with it.
fn question(object: Object) -> (u16, Vec<u8>) {
    let header = |family: u8, length: usize| {
        let mut bytes = vec![0; length];
        if let Some(first) = bytes.first_mut() {
            *first = family;
        }
        bytes
    };
    match object {
        Object::Links => {
            // Statistics are half of a link's message, and nothing here reads them.
            const IFLA_EXT_MASK: u16 = 29;
            const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
            let mut body = header(AF_UNSPEC, 16);
            body.extend(8u16.to_ne_bytes());
            body.extend(IFLA_EXT_MASK.to_ne_bytes());
            body.extend(RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
            (RTM_GETLINK, body)
        }
        Object::Addresses => (RTM_GETADDR, header(AF_UNSPEC, 8)),
        Object::Netconf4 => (RTM_GETNETCONF, header(Family::Ipv4.number(), 4)),
        Object::Netconf6 => (RTM_GETNETCONF, header(Family::Ipv6.number(), 4)),
        Object::Rules4 => (RTM_GETRULE, header(Family::Ipv4.number(), 12)),
        Object::Rules6 => (RTM_GETRULE, header(Family::Ipv6.number(), 12)),
        Object::Neighbours => (RTM_GETNEIGH, header(AF_UNSPEC, 12)),
        Object::Fdb => (RTM_GETNEIGH, header(AF_BRIDGE, 12)),
        Object::Nexthops => (RTM_GETNEXTHOP, header(AF_UNSPEC, 8)),
        Object::Routes4 => (RTM_GETROUTE, header(Family::Ipv4.number(), 12)),
        Object::Routes6 => (RTM_GETROUTE, header(Family::Ipv6.number(), 12)),
    }
}
