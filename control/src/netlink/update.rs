//! One message of the kernel, decoded.

use super::attribute::Malformed;
use super::family::Family;
use super::link::{Link, LinkMessage};
use super::message::Message;
use super::neighbour::{Fdb, FdbKey, Neighbour, NeighbourMessage};
use super::netconf::Netconf;
use super::nexthop::Nexthop;
use super::object::{Object, Question};
use super::route::RouteMessage;
use super::{address, rule};
use crate::state::{AddressEntry, RuleEntry};
use std::net::IpAddr;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
pub(super) const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_NEWNETCONF: u16 = 80;
const RTM_DELNETCONF: u16 = 81;
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;

/// What a message says: an object is so now, or is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Update {
    Link(u32, Box<Link>),
    LinkGone(u32),
    Address(u32, AddressEntry),
    AddressGone(u32, AddressEntry),
    Netconf((Family, u32), Netconf),
    NetconfGone((Family, u32)),
    Rule(Family, RuleEntry),
    RuleGone(Family, RuleEntry),
    Neighbour((u32, IpAddr), Neighbour),
    NeighbourGone((u32, IpAddr)),
    Fdb(FdbKey, Fdb),
    FdbGone(FdbKey),
    Nexthop(u32, Nexthop),
    NexthopGone(u32),
    Route(RouteMessage),
    RouteGone(RouteMessage),
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// It says all of an object.
    Update(Update),
    /// It says that something about this kind changed, but not all of it.
    Hint(Object),
    /// It is about something that is not followed.
    Other,
}

impl Decoded {
    /// Decodes a message; an error says what kind of object it was about.
    pub(super) fn of(message: &Message<'_>) -> Result<Self, (Object, Malformed)> {
        let payload = message.payload;
        let is_gone = matches!(
            message.kind,
            RTM_DELLINK
                | RTM_DELADDR
                | RTM_DELROUTE
                | RTM_DELNEIGH
                | RTM_DELRULE
                | RTM_DELNETCONF
                | RTM_DELNEXTHOP
        );
        let update = match message.kind {
            RTM_NEWLINK | RTM_DELLINK => match about(Object::Links, LinkMessage::decode(payload))? {
                // A bridge says this way that a link is no longer its member.
                LinkMessage::Partial(_) => return Ok(Self::Hint(Object::Links)),
                LinkMessage::Whole(index, _) if is_gone => Update::LinkGone(index),
                LinkMessage::Whole(index, link) => Update::Link(index, link),
            },
            RTM_NEWADDR | RTM_DELADDR => {
                let (index, entry) = about(Object::Addresses, address::decode(payload))?;
                if is_gone { Update::AddressGone(index, entry) } else { Update::Address(index, entry) }
            }
            RTM_NEWROUTE | RTM_DELROUTE => match about(Object::Routes4, RouteMessage::decode(message))? {
                None => return Ok(Self::Other),
                Some(route) if is_gone => Update::RouteGone(route),
                Some(route) => Update::Route(route),
            },
            RTM_NEWNEIGH | RTM_DELNEIGH => {
                match about(Object::Neighbours, NeighbourMessage::decode(payload))? {
                    NeighbourMessage::Neighbour(key, Some(neighbour)) if !is_gone => {
                        Update::Neighbour(key, neighbour)
                    }
                    NeighbourMessage::Neighbour(key, _) => Update::NeighbourGone(key),
                    NeighbourMessage::Fdb(key, _) if is_gone => Update::FdbGone(key),
                    NeighbourMessage::Fdb(key, entry) => Update::Fdb(key, entry),
                    NeighbourMessage::Other => return Ok(Self::Other),
                }
            }
            RTM_NEWRULE | RTM_DELRULE => match about(Object::Rules4, rule::decode(payload))? {
                None => return Ok(Self::Other),
                Some((family, rule)) if is_gone => Update::RuleGone(family, rule),
                Some((family, rule)) => Update::Rule(family, rule),
            },
            RTM_NEWNETCONF | RTM_DELNETCONF => match about(Object::Netconf4, Netconf::decode(payload))? {
                None => return Ok(Self::Other),
                Some((family, link, _)) if is_gone => Update::NetconfGone((family, link)),
                Some((family, link, netconf)) => Update::Netconf((family, link), netconf),
            },
            RTM_NEWNEXTHOP | RTM_DELNEXTHOP => {
                let (id, nexthop) = about(Object::Nexthops, Nexthop::decode(payload))?;
                if is_gone { Update::NexthopGone(id) } else { Update::Nexthop(id, nexthop) }
            }
            _ => return Ok(Self::Other),
        };
        Ok(Self::Update(update))
    }
}

fn about<T>(object: Object, decoded: Result<T, Malformed>) -> Result<T, (Object, Malformed)> {
    decoded.map_err(|error| (object, error))
}

impl Update {
    /// Whether it is a part of the list that was asked for.
    pub(super) fn answers(&self, question: Question) -> bool {
        match (question, self) {
            (Question::RoutesBy(family, link), Self::Route(message)) => {
                message.family() == family && message.route.leads_by(link)
            }
            (question, update) => update.object() == question.object(),
        }
    }

    /// The kind of object that it is about.
    pub(super) fn object(&self) -> Object {
        let of_family = |family: Family, four, six| match family {
            Family::Ipv4 => four,
            Family::Ipv6 => six,
        };
        match self {
            Self::Link(..) | Self::LinkGone(_) => Object::Links,
            Self::Address(..) | Self::AddressGone(..) => Object::Addresses,
            Self::Netconf((family, _), _) | Self::NetconfGone((family, _)) => {
                of_family(*family, Object::Netconf4, Object::Netconf6)
            }
            Self::Rule(family, _) | Self::RuleGone(family, _) => {
                of_family(*family, Object::Rules4, Object::Rules6)
            }
            Self::Neighbour(..) | Self::NeighbourGone(_) => Object::Neighbours,
            Self::Fdb(..) | Self::FdbGone(_) => Object::Fdb,
            Self::Nexthop(..) | Self::NexthopGone(_) => Object::Nexthops,
            Self::Route(route) | Self::RouteGone(route) => {
                of_family(route.family(), Object::Routes4, Object::Routes6)
            }
        }
    }
}
