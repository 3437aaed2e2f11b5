//! Lists: everything of one kind that the kernel holds, asked for.

use super::changes::Changes;
use super::error::NetlinkError;
use super::family::{AF_BRIDGE, AF_UNSPEC, Family};
use super::message::{Meaning, Messages, dump_request};
use super::object::{Object, Question};
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
pub(super) const ATTEMPTS: u32 = 40;
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The way to ask the kernel.
#[derive(Debug)]
pub(super) struct Requests {
    socket: Socket,
    sequence: u32,
}

/// A list that is being read.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) question: Question,
    /// What was read so far, and nothing else.
    pub(super) fresh: Store,
    /// That of the question, and of every part of its answer.
    sequence: u32,
    is_interrupted: bool,
}

/// How far the reading of a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more.
    Going,
    /// It is complete.
    Whole,
    /// It is over, but something changed meanwhile: objects may be missing or there twice.
    Interrupted,
}

/// The pause before a list that was interrupted is asked for once more.
pub(super) fn pause(attempts: u32) -> Duration {
    Duration::from_millis(attempts.saturating_sub(1).into()).min(LONGEST_PAUSE)
}

impl Requests {
    pub(super) fn open() -> Result<Self, NetlinkError> {
        // Answers wait until they are read, so a small buffer loses nothing; a larger one saves turns.
        Ok(Self { socket: Socket::for_requests(ANSWER_WITHIN)?, sequence: 0 })
    }

    /// Reads all objects of one kind into `store`, which has none of it yet.
    pub(super) fn list(&mut self, object: Object, store: &mut Store) -> Result<(), NetlinkError> {
        for attempt in 1..=ATTEMPTS {
            let mut listing = self.ask(Question::All(object), std::mem::take(store))?;
            let progress = loop {
                match self.read(&mut listing)? {
                    Progress::Going => {}
                    progress => break progress,
                }
            };
            *store = listing.fresh;
            if progress == Progress::Whole {
                return Ok(());
            }
            store.clear(object);
            std::thread::sleep(pause(attempt));
        }
        Err(NetlinkError::Interrupted { object, attempts: ATTEMPTS })
    }

    /// Asks for a list, to be read into `fresh`, which has nothing of its kind yet.
    pub(super) fn ask(&mut self, question: Question, fresh: Store) -> Result<Listing, NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let (kind, body) = request(question);
        self.socket.send(&dump_request(kind, self.sequence, &body))?;
        Ok(Listing { question, fresh, sequence: self.sequence, is_interrupted: false })
    }

    /// Reads the next part of a list: at most 32 KiB, which takes a fraction of a millisecond, but for the time in which the
    /// kernel passes over what was not asked for (60 ms for a million routes).
    pub(super) fn read(&mut self, listing: &mut Listing) -> Result<Progress, NetlinkError> {
        let object = listing.question.object();
        let datagram = match self.socket.receive()? {
            Received::Datagram(datagram) => datagram,
            Received::Nothing => {
                return Err(NetlinkError::NoAnswer { object, seconds: ANSWER_WITHIN.as_secs() });
            }
            // The rest of this list may still come: it is told by its number.
            Received::Overrun => return Ok(Progress::Interrupted),
        };
        let mut unused = Changes::default();
        for message in Messages::new(datagram) {
            let message = message.map_err(|source| NetlinkError::Malformed { object, source })?;
            if message.sequence != listing.sequence {
                continue;
            }
            listing.is_interrupted |= message.is_interrupted();
            match message.meaning() {
                Meaning::Done if listing.is_interrupted => return Ok(Progress::Interrupted),
                Meaning::Done => return Ok(Progress::Whole),
                Meaning::Nothing => {}
                Meaning::Refused(source, explanation) => {
                    return refused(listing.question, source, explanation);
                }
                Meaning::Object(message) => {
                    let decoded = Decoded::of(&message);
                    let decoded =
                        decoded.map_err(|(object, source)| NetlinkError::Malformed { object, source })?;
                    // A kernel without a family answers for all of them, and one before 4.20 for all links.
                    if let Decoded::Update(update) = decoded
                        && update.answers(listing.question)
                    {
                        listing.fresh.apply(update, &mut unused);
                    }
                }
            }
        }
        Ok(Progress::Going)
    }
}

/// A kernel that has none of a kind says so by refusing.
fn refused(question: Question, source: io::Error, explanation: String) -> Result<Progress, NetlinkError> {
    let object = question.object();
    let errno = Errno::from_io_error(&source);
    // Another list of ours may still be on its way.
    if matches!(errno, Some(Errno::INTR | Errno::BUSY)) {
        return Ok(Progress::Interrupted);
    }
    // No route leads by a link that is gone.
    if matches!(question, Question::RoutesBy(..)) && errno == Some(Errno::NODEV) {
        return Ok(Progress::Whole);
    }
    let is_absent = matches!(errno, Some(Errno::OPNOTSUPP | Errno::AFNOSUPPORT));
    let may_be_absent = matches!(
        object,
        Object::Nexthops | Object::Netconf6 | Object::Rules4 | Object::Rules6 | Object::Routes6 | Object::Fdb
    );
    if is_absent && may_be_absent {
        return Ok(Progress::Whole);
    }
    Err(NetlinkError::Refused { object, source, explanation })
}

/// The kind of message that asks for a list, and what goes with it.
fn request(question: Question) -> (u16, Vec<u8>) {
    const IFLA_EXT_MASK: u16 = 29;
    const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
    const RTA_OIF: u16 = 4;
    match question {
        Question::All(Object::Links) => {
            // Statistics are half of a link's message, and nothing here reads them.
            let body = header(AF_UNSPEC, 16);
            (RTM_GETLINK, with_number(body, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS))
        }
        Question::All(Object::Addresses) => (RTM_GETADDR, header(AF_UNSPEC, 8)),
        Question::All(Object::Netconf4) => (RTM_GETNETCONF, header(Family::Ipv4.number(), 4)),
        Question::All(Object::Netconf6) => (RTM_GETNETCONF, header(Family::Ipv6.number(), 4)),
        Question::All(Object::Rules4) => (RTM_GETRULE, header(Family::Ipv4.number(), 12)),
        Question::All(Object::Rules6) => (RTM_GETRULE, header(Family::Ipv6.number(), 12)),
        Question::All(Object::Neighbours) => (RTM_GETNEIGH, header(AF_UNSPEC, 12)),
        Question::All(Object::Fdb) => (RTM_GETNEIGH, header(AF_BRIDGE, 12)),
        Question::All(Object::Nexthops) => (RTM_GETNEXTHOP, header(AF_UNSPEC, 8)),
        Question::All(Object::Routes4) => (RTM_GETROUTE, header(Family::Ipv4.number(), 12)),
        Question::All(Object::Routes6) => (RTM_GETROUTE, header(Family::Ipv6.number(), 12)),
        Question::RoutesBy(family, link) => {
            (RTM_GETROUTE, with_number(header(family.number(), 12), RTA_OIF, link))
        }
    }
}

/// The fixed part of a request: a family, and zeros.
fn header(family: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    if let Some(first) = bytes.first_mut() {
        *first = family;
    }
    bytes
}

/// An attribute behind it.
fn with_number(mut body: Vec<u8>, kind: u16, number: u32) -> Vec<u8> {
    body.extend(8u16.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(number.to_ne_bytes());
    body
}
