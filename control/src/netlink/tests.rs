//! Messages that no kernel sends: nothing panics, and what is malformed is said to be.

use super::attribute::tests::attribute;
use super::message::{Messages, dump_request};
use super::update::Decoded;
use proptest::prelude::*;

/// The kinds that are decoded, and their neighbours.
fn kinds() -> impl Strategy<Value = u16> {
    prop_oneof![16u16..36, 80u16..84, 104u16..108]
}

/// Attributes within attributes, with numbers that mean something.
fn attributes() -> impl Strategy<Value = Vec<u8>> {
    let leaf = (0u16..48, prop::collection::vec(any::<u8>(), 0..24))
        .prop_map(|(kind, value)| attribute(kind, &value));
    let list = |inner| prop::collection::vec(inner, 0..6).prop_map(|list: Vec<Vec<u8>>| list.concat());
    list(leaf.boxed().prop_recursive(3, 32, 6, move |inner| {
        (0u16..48, prop::collection::vec(inner, 0..6))
            .prop_map(|(kind, list)| attribute(kind, &list.concat()))
    }))
}

/// Families that are followed, more often than not.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let family = prop_oneof![Just(0u8), Just(2), Just(10), Just(7), any::<u8>()];
    (family, prop::collection::vec(any::<u8>(), 0..16)).prop_map(|(family, mut rest)| {
        rest.insert(0, family);
        rest
    })
}

proptest! {
    #[test]
    fn no_message_panics(kind in kinds(), flags: u16, header in header(), attributes in attributes(), cut in 0usize..400) {
        let mut datagram = dump_request(kind, 1, &[header, attributes].concat());
        datagram[6..8].copy_from_slice(&flags.to_ne_bytes());
        let whole = Messages::new(&datagram).next();
        let message = whole.expect("one message").expect("of its own length");
        let _ = Decoded::of(&message);
        let cut = cut.min(datagram.len());
        for message in Messages::new(&datagram[..cut]).flatten() {
            let _ = Decoded::of(&message);
            let _ = message.meaning();
        }
    }

    #[test]
    fn no_datagram_panics(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
        for message in Messages::new(&datagram).flatten() {
            let _ = Decoded::of(&message);
            let _ = message.meaning();
        }
    }
}
