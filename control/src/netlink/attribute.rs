//! Attributes: what a netlink message is made of behind its header (`struct nlattr`).
//!
//! Numbers are in the byte order of the machine unless their reader says otherwise. Nothing here can panic: a length that
//! lies is [`Malformed`], an attribute that is not read costs nothing, and bytes behind a value are ignored, since
//! kernels let structures grow at their end.

use packetwalk_walk::wire::MacAddr;
use std::net::IpAddr;
use thiserror::Error;

/// Why a message is not what its kind says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A length that is smaller than its own header, or larger than what holds it.
    #[error("a length of {length} bytes where {available} are left")]
    Length {
        /// What the message says, bytes.
        length: usize,
        /// What there is, bytes.
        available: usize,
    },
    /// A header or a value that is too short for its kind.
    #[error("attribute {kind} has {length} bytes, expected {expected}")]
    Value {
        /// The attribute's number; 0 for the header of the message.
        kind: u16,
        /// Bytes.
        length: usize,
        /// Bytes, at least.
        expected: usize,
    },
    /// An attribute without which the message says nothing.
    #[error("attribute {0} is missing")]
    Missing(u16),
    /// A number that no kernel sends: a prefix length, a family.
    #[error("attribute {kind} is {value}, which is out of range")]
    Range {
        /// The attribute's number; 0 for the header of the message.
        kind: u16,
        /// As sent.
        value: u32,
    },
}

/// The attributes in a stretch of a message.
#[derive(Clone, Debug)]
pub(super) struct Attributes<'a>(&'a [u8]);

/// An attribute: its number, without flags, and its value, without padding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u16,
    pub(super) value: &'a [u8],
}

const HEADER: usize = 4;

/// The bits of a number that are flags: nested, and network byte order.
const KIND_MASK: u16 = 0x3fff;

impl<'a> Attributes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

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
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & KIND_MASK;
        let Some(value) = bytes.get(HEADER..length) else {
            return Some(Err(Malformed::Length { length, available }));
        };
        // The last attribute's padding may be left out.
        self.0 = bytes.get(aligned(length)..).unwrap_or_default();
        Some(Ok(Attribute { kind, value }))
    }
}

/// Messages and attributes start at multiples of four bytes.
pub(super) fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// The fixed part of a message and the attributes behind it.
pub(super) fn split<const N: usize>(payload: &[u8]) -> Result<(&[u8; N], Attributes<'_>), Malformed> {
    let Some((header, _)) = payload.split_first_chunk::<N>() else {
        return Err(Malformed::Value { kind: 0, length: payload.len(), expected: N });
    };
    Ok((header, Attributes(payload.get(aligned(N)..).unwrap_or_default())))
}

/// Four bytes of a fixed part.
pub(super) fn word(header: &[u8], offset: usize) -> u32 {
    let bytes = header.get(offset..).and_then(<[u8]>::first_chunk);
    u32::from_ne_bytes(bytes.copied().unwrap_or_default())
}

impl<'a> Attribute<'a> {
    /// The first `N` bytes of the value.
    fn array<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        let short = Malformed::Value { kind: self.kind, length: self.value.len(), expected: N };
        self.value.first_chunk().copied().ok_or(short)
    }

    pub(super) fn u8(&self) -> Result<u8, Malformed> {
        self.array().map(u8::from_ne_bytes)
    }

    pub(super) fn u16(&self) -> Result<u16, Malformed> {
        self.array().map(u16::from_ne_bytes)
    }

    pub(super) fn u32(&self) -> Result<u32, Malformed> {
        self.array().map(u32::from_ne_bytes)
    }

    /// In network byte order.
    pub(super) fn be16(&self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// In network byte order.
    pub(super) fn be64(&self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Two numbers that follow one another.
    pub(super) fn u16_pair(&self) -> Result<(u16, u16), Malformed> {
        let [a, b, c, d] = self.array()?;
        Ok((u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d])))
    }

    /// The same in network byte order.
    pub(super) fn be16_pair(&self) -> Result<(u16, u16), Malformed> {
        self.u16_pair().map(|(first, last)| (u16::from_be(first), u16::from_be(last)))
    }

    /// Text up to its final zero; what is not UTF-8 is replaced.
    pub(super) fn text(&self) -> String {
        let end = self.value.iter().position(|byte| *byte == 0).unwrap_or(self.value.len());
        String::from_utf8_lossy(self.value.get(..end).unwrap_or_default()).into_owned()
    }

    /// An address, its family by its length.
    pub(super) fn address(&self) -> Result<IpAddr, Malformed> {
        match self.value.len() {
            4 => self.array::<4>().map(IpAddr::from),
            _ => self.array::<16>().map(IpAddr::from),
        }
    }

    /// An Ethernet address.
    pub(super) fn mac(&self) -> Result<MacAddr, Malformed> {
        self.array().map(MacAddr)
    }

    /// The attributes inside.
    pub(super) fn nested(&self) -> Attributes<'a> {
        Attributes(self.value)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An attribute as the kernel writes it.
    pub(in crate::netlink) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(HEADER + value.len()).expect("a short value");
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend_from_slice(value);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    #[test]
    fn values_are_read_one_after_the_other() {
        let bytes =
            [attribute(1, b"eth0\0"), attribute(0x8002, &7u32.to_ne_bytes()), attribute(3, &[1])].concat();
        let found: Vec<_> =
            Attributes::new(&bytes).map(|attribute| attribute.expect("an attribute")).collect();
        assert_eq!(found.iter().map(|attribute| attribute.kind).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(found[0].text(), "eth0");
        assert_eq!(found[1].u32(), Ok(7));
        assert_eq!(found[2].u8(), Ok(1));
        assert_eq!(found[2].u32(), Err(Malformed::Value { kind: 3, length: 1, expected: 4 }));
        assert_eq!(found[2].address(), Err(Malformed::Value { kind: 3, length: 1, expected: 16 }));
    }

    #[test]
    fn a_length_that_lies_ends_the_attributes() {
        for (bytes, length) in
            [(&[3, 0, 1, 0][..], 3), (&[9, 0, 1, 0, 0, 0][..], 9), (&[4, 0, 1][..], HEADER)]
        {
            let mut attributes = Attributes::new(bytes);
            let malformed = Malformed::Length { length, available: bytes.len() };
            assert!(matches!(attributes.next(), Some(Err(error)) if error == malformed), "{bytes:?}");
            assert!(attributes.next().is_none());
        }
    }

    #[test]
    fn the_last_padding_may_be_missing() {
        let bytes = attribute(1, b"abc");
        let mut attributes = Attributes::new(&bytes[..7]);
        assert_eq!(attributes.next().expect("one").expect("whole").value, b"abc");
        assert!(attributes.next().is_none());
    }
}
