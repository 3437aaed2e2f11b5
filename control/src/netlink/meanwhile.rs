//! What events say while a list is being read, so that the list can be brought up to them before it is taken over.
//!
//! The kernel goes through its objects for as long as the list is read, so a list of a million routes is seconds old at its
//! beginning and new at its end. The events of that time are taken in as they come, and are gone over again on top of the
//! list: for each object the last event says how it is, and saying so twice does no harm.

use super::changes::Changes;
use super::message::{Meaning, Message, Messages};
use super::object::{Object, Question};
use super::routes::Applied;
use super::store::Store;
use super::update::{Decoded, Update};
use crate::state::TableId;
use ipnet::IpNet;
use std::collections::BTreeSet;

/// How much is kept for one list, bytes: some half a million routes.
const MOST: usize = 64 << 20;

/// What was said while a list was read.
#[derive(Debug, Default)]
pub(super) struct Meanwhile {
    /// Of all objects of a kind: the messages about them.
    messages: Vec<u8>,
    /// Of the routes by a link: the prefixes that messages were about.
    pub(super) spoken_of: BTreeSet<(TableId, IpNet)>,
    /// Whether there was a message about the kind of objects that is listed.
    pub(super) heard: bool,
    /// Whether so much or such was said that the list is worth nothing.
    pub(super) is_void: bool,
}

impl Meanwhile {
    /// Notes a message that was received while the answer to `question` is being read.
    pub(super) fn note(&mut self, question: Question, message: &Message<'_>, update: &Update) {
        let is_about = update.object() == question.object();
        self.heard |= is_about;
        match (question, update) {
            // To be gone over twice does harm to rules: two may be equal.
            (Question::All(Object::Rules4 | Object::Rules6), _) => self.is_void |= is_about,
            (Question::All(object), update) => {
                // A link takes routes with it.
                let is_link = object == Object::Routes4 && update.object() == Object::Links;
                if !is_about && !is_link {
                    return;
                }
                self.is_void |= self.messages.len() > MOST;
                if self.is_void {
                    self.messages = Vec::new();
                } else {
                    message.write(&mut self.messages);
                }
            }
            (Question::RoutesBy(..), Update::Route(route) | Update::RouteGone(route)) if is_about => {
                self.spoken_of.insert(route.prefix());
            }
            (Question::RoutesBy(_, link), Update::Link(index, _) | Update::LinkGone(index)) => {
                self.is_void |= *index == link;
            }
            _ => {}
        }
    }

    /// Brings a list up to what was said. False where something does not fit it.
    pub(super) fn go_over(&self, fresh: &mut Store) -> bool {
        let mut fits = true;
        for message in Messages::new(&self.messages).flatten() {
            let Meaning::Object(message) = message.meaning() else { continue };
            if let Ok(Decoded::Update(update)) = Decoded::of(&message) {
                fits &= fresh.apply(update, &mut Changes::default()) != Applied::Unknown;
            }
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::super::attribute::tests::attribute;
    use super::super::family::Family;
    use super::super::message::dump_request;
    use super::*;

    const NEW: u16 = 24;
    const GONE: u16 = 25;

    /// A message about the IPv4 route to 10.LAST.0.0/16 by link 1.
    fn datagram(kind: u16, last: u8) -> Vec<u8> {
        let mut payload = vec![2, 16, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        payload.extend(attribute(1, &[10, last, 0, 0]));
        payload.extend(attribute(4, &1u32.to_ne_bytes()));
        let mut bytes = dump_request(kind, 0, &payload);
        bytes[6..8].copy_from_slice(&[0, 0]);
        bytes
    }

    fn noted(question: Question, datagrams: &[Vec<u8>]) -> Meanwhile {
        let mut meanwhile = Meanwhile::default();
        for datagram in datagrams {
            let message = Messages::new(datagram).next().expect("one").expect("whole");
            let Ok(Decoded::Update(update)) = Decoded::of(&message) else { unreachable!("it is a route") };
            meanwhile.note(question, &message, &update);
        }
        meanwhile
    }

    fn prefixes(store: &Store) -> Vec<String> {
        store.routes(Family::Ipv4).map(|((_, prefix), _)| prefix.to_string()).collect()
    }

    #[test]
    fn what_was_said_while_a_list_was_read_is_gone_over_again() {
        let said = [datagram(NEW, 1), datagram(GONE, 2), datagram(GONE, 3), datagram(NEW, 3)];
        let meanwhile = noted(Question::All(Object::Routes4), &said);
        assert!(meanwhile.heard && !meanwhile.is_void);
        // Read before all of that, and after.
        let early = [datagram(NEW, 2), datagram(NEW, 3)];
        let late = [datagram(NEW, 1), datagram(NEW, 3)];
        for listed in [&early[..], &late[..], &[]] {
            let mut fresh = Store::default();
            assert!(noted(Question::All(Object::Routes4), listed).go_over(&mut fresh));
            assert!(meanwhile.go_over(&mut fresh));
            assert_eq!(prefixes(&fresh), ["10.1.0.0/16", "10.3.0.0/16"]);
        }
        let others = noted(Question::All(Object::Neighbours), &said);
        assert!(!others.heard && others.messages.is_empty());
    }

    #[test]
    fn of_the_routes_by_a_link_it_is_noted_which_were_spoken_of() {
        let said = [datagram(NEW, 1), datagram(GONE, 2)];
        let meanwhile = noted(Question::RoutesBy(Family::Ipv4, 1), &said);
        assert_eq!(meanwhile.spoken_of.len(), 2);
        assert!(meanwhile.heard && !meanwhile.is_void && meanwhile.messages.is_empty());
        assert!(noted(Question::RoutesBy(Family::Ipv6, 1), &said).spoken_of.is_empty());
        let mut meanwhile = meanwhile;
        let whole = datagram(NEW, 1);
        let message = Messages::new(&whole).next().expect("one").expect("whole");
        meanwhile.note(Question::RoutesBy(Family::Ipv4, 1), &message, &Update::LinkGone(2));
        assert!(!meanwhile.is_void);
        meanwhile.note(Question::RoutesBy(Family::Ipv4, 1), &message, &Update::LinkGone(1));
        assert!(meanwhile.is_void);
    }
}
