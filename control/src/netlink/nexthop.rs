//! Nexthop objects, from `RTM_NEWNEXTHOP`.

use super::attribute::{Attribute, Malformed, split, word};
use super::route::hop_flags;
use crate::state::HopFlags;
use std::net::IpAddr;

const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_BLACKHOLE: u16 = 4;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
const NHA_ENCAP_TYPE: u16 = 7;

/// A nexthop object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nexthop {
    /// None: the destination itself is on the link.
    pub gateway: Option<IpAddr>,
    /// Its link.
    pub link: Option<u32>,
    /// Its flags.
    pub flags: HopFlags,
    /// The objects that share its flows, each with its weight, 1 to 65536.
    pub group: Vec<(u32, u32)>,
    /// Whether it drops everything.
    pub blackhole: bool,
    /// The kind of its lightweight tunnel, by the kernel's number.
    pub encap: Option<u16>,
}

impl Nexthop {
    /// Its number and what it is.
    pub(super) fn decode(payload: &[u8]) -> Result<(u32, Self), Malformed> {
        let (header, attributes) = split::<8>(payload)?;
        let (mut id, mut nexthop) = (None, Self { flags: hop_flags(word(header, 4)), ..Self::default() });
        for attribute in attributes {
            let attribute = attribute?;
            match attribute.kind {
                NHA_ID => id = Some(attribute.u32()?),
                NHA_GROUP => nexthop.group = group(attribute)?,
                NHA_BLACKHOLE => nexthop.blackhole = true,
                NHA_OIF => nexthop.link = Some(attribute.u32()?),
                NHA_GATEWAY => nexthop.gateway = Some(attribute.address()?),
                NHA_ENCAP_TYPE => nexthop.encap = Some(attribute.u16()?).filter(|kind| *kind != 0),
                _ => {}
            }
        }
        Ok((id.ok_or(Malformed::Missing(NHA_ID))?, nexthop))
    }
}

/// `struct nexthop_grp`, one after the other.
fn group(attribute: Attribute<'_>) -> Result<Vec<(u32, u32)>, Malformed> {
    const MEMBER: usize = 8;
    let members = attribute.value.chunks(MEMBER).map(|bytes| match *bytes {
        [a, b, c, d, low, high, _, _] => {
            // One less than the weight; its upper half was padding before Linux 6.12.
            let weight = u32::from(u16::from_le_bytes([low, high])) + 1;
            Ok((u32::from_ne_bytes([a, b, c, d]), weight))
        }
        _ => Err(Malformed::Value { kind: NHA_GROUP, length: bytes.len(), expected: MEMBER }),
    });
    members.collect()
}

#[cfg(test)]
mod tests {
    use super::super::attribute::tests::attribute;
    use super::*;

    fn message(flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0];
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(attributes.concat());
        bytes
    }

    #[test]
    fn an_object_and_a_group_are_read() {
        let id = |number: u32| attribute(NHA_ID, &number.to_ne_bytes());
        let single = [id(1), attribute(NHA_GATEWAY, &[10, 0, 0, 7]), attribute(NHA_OIF, &3u32.to_ne_bytes())];
        let (number, nexthop) = Nexthop::decode(&message(4, &single)).expect("an object");
        assert_eq!((number, nexthop.link, nexthop.flags.onlink), (1, Some(3), true));
        assert_eq!(nexthop.gateway, Some("10.0.0.7".parse().expect("an address")));

        let mut members = Vec::new();
        for (id, weight) in [(1u32, [2u8, 0]), (2, [0xff, 0xff])] {
            members.extend(id.to_ne_bytes());
            members.extend(weight);
            members.extend([0, 0]);
        }
        let (_, nexthop) =
            Nexthop::decode(&message(0, &[id(9), attribute(NHA_GROUP, &members)])).expect("a group");
        assert_eq!(nexthop.group, [(1, 3), (2, 65536)]);
        let short = message(0, &[id(9), attribute(NHA_GROUP, &members[..12])]);
        assert!(matches!(Nexthop::decode(&short), Err(Malformed::Value { kind: NHA_GROUP, length: 4, .. })));
        assert_eq!(Nexthop::decode(&message(0, &[])), Err(Malformed::Missing(NHA_ID)));
    }
}
