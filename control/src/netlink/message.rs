//! Messages: how they follow one another in what is received, and how a request is written (`struct nlmsghdr`).

use super::attribute::{Attributes, Malformed, aligned};
use std::io;

/// `struct nlmsghdr`: length, kind, flags, sequence, port.
const HEADER: usize = 16;

const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// Of requests.
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;

/// A part of a list.
pub(super) const NLM_F_MULTI: u16 = 0x2;
/// A list that is not consistent: something changed while the kernel went through it.
const NLM_F_DUMP_INTR: u16 = 0x10;
/// An error is followed by attributes that explain it.
const NLM_F_ACK_TLVS: u16 = 0x200;

/// Of requests for a new object, and of messages about it.
pub(super) const NLM_F_REPLACE: u16 = 0x100;
pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const NLM_F_APPEND: u16 = 0x800;

/// A message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// What it is about: `RTM_NEWROUTE`, ...
    pub(super) kind: u16,
    pub(super) flags: u16,
    /// That of the request which it answers.
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// What a message means to whoever waits for an answer.
#[derive(Debug)]
pub(super) enum Meaning<'a> {
    /// An object of the list, or an event.
    Object(Message<'a>),
    /// The list is complete.
    Done,
    /// The request was refused; why, in the kernel's words, if it has any.
    Refused(io::Error, String),
    /// Nothing.
    Nothing,
}

impl<'a> Message<'a> {
    /// Appends it as it was received, but for the port.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        write_header(bytes, self.payload.len(), self.kind, self.flags, self.sequence);
        bytes.extend_from_slice(self.payload);
        bytes.resize(aligned(bytes.len()), 0);
    }

    /// Whether the list that it belongs to changed under the reader's hands.
    pub(super) fn is_interrupted(&self) -> bool {
        self.flags & NLM_F_DUMP_INTR != 0
    }

    pub(super) fn meaning(self) -> Meaning<'a> {
        match self.kind {
            NLMSG_NOOP => Meaning::Nothing,
            NLMSG_ERROR | NLMSG_DONE => {
                let code = self.payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                match code {
                    0 if self.kind == NLMSG_DONE => Meaning::Done,
                    0 => Meaning::Nothing,
                    code => Meaning::Refused(
                        io::Error::from_raw_os_error(code.saturating_abs()),
                        self.explanation().unwrap_or_default(),
                    ),
                }
            }
            _ => Meaning::Object(self),
        }
    }

    /// `NLMSGERR_ATTR_MSG` of an error: behind its code and, in one that is no end of a list, the request's header.
    fn explanation(&self) -> Option<String> {
        const MESSAGE: u16 = 1;
        let offset = if self.kind == NLMSG_ERROR { 4 + HEADER } else { 4 };
        let bytes = self.payload.get(offset..).filter(|_| self.flags & NLM_F_ACK_TLVS != 0)?;
        let mut attributes = Attributes::new(bytes).map_while(Result::ok);
        attributes.find(|attribute| attribute.kind == MESSAGE).map(|attribute| attribute.text())
    }
}

/// The messages of one datagram.
#[derive(Clone, Debug)]
pub(super) struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    pub(super) fn new(datagram: &'a [u8]) -> Self {
        Self(datagram)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.0;
        if bytes.is_empty() {
            return None;
        }
        self.0 = &[];
        let available = bytes.len();
        let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
            return Some(Err(Malformed::Length { length: HEADER, available }));
        };
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let Some(payload) = bytes.get(HEADER..length) else {
            return Some(Err(Malformed::Length { length, available }));
        };
        self.0 = bytes.get(aligned(length)..).unwrap_or_default();
        Some(Ok(Message {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload,
        }))
    }
}

/// A request for a list.
pub(super) fn dump_request(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    request(kind, NLM_F_DUMP, sequence, body)
}

/// A request.
pub(super) fn request(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    write_header(&mut bytes, body.len(), kind, NLM_F_REQUEST | flags, sequence);
    bytes.extend_from_slice(body);
    bytes
}

fn write_header(bytes: &mut Vec<u8>, payload: usize, kind: u16, flags: u16, sequence: u32) {
    bytes.extend_from_slice(&((HEADER + payload) as u32).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
}

#[cfg(test)]
mod tests {
    use super::super::attribute::tests::attribute;
    use super::*;

    fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = dump_request(kind, 9, payload);
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_datagram_holds_several_messages() {
        let mut datagram = message(24, 0, &[1, 2, 3, 4]);
        datagram.extend(message(25, NLM_F_DUMP_INTR, &[]));
        let found: Vec<_> = Messages::new(&datagram).map(|message| message.expect("a message")).collect();
        assert_eq!((found[0].kind, found[0].payload, found[0].sequence), (24, &[1, 2, 3, 4][..], 9));
        assert!(found[1].is_interrupted() && !found[0].is_interrupted());
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_truncated_message_is_malformed() {
        let whole = message(24, 0, &[0; 12]);
        for length in 1..whole.len() {
            let mut messages = Messages::new(&whole[..length]);
            assert!(matches!(messages.next(), Some(Err(Malformed::Length { .. }))), "{length}");
            assert!(messages.next().is_none());
        }
    }

    #[test]
    fn a_refusal_is_explained_in_the_kernels_words() {
        let mut payload = (-95i32).to_ne_bytes().to_vec();
        payload.extend([0; HEADER]);
        payload.extend(attribute(1, b"not here\0"));
        let datagram = message(NLMSG_ERROR, NLM_F_ACK_TLVS, &payload);
        let found = Messages::new(&datagram).next().expect("one").expect("whole");
        let Meaning::Refused(error, text) = found.meaning() else { unreachable!("it is an error") };
        assert_eq!((error.raw_os_error(), text.as_str()), (Some(95), "not here"));
    }
}
