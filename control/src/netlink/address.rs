//! Addresses, from `RTM_NEWADDR` and `RTM_DELADDR`.

use super::attribute::{Malformed, split, word};
use crate::state::{AddressEntry, Scope};
use ipnet::IpNet;
use std::net::IpAddr;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;

/// Of IPv4; the same bit means "temporary" for IPv6.
const IFA_F_SECONDARY: u8 = 1;

/// An address and the link that has it.
pub(super) fn decode(payload: &[u8]) -> Result<(u32, AddressEntry), Malformed> {
    let (header, attributes) = split::<8>(payload)?;
    let (length, flags, scope, link) = (header[1], header[2], header[3], word(header, 4));
    let (mut local, mut subnet, mut broadcast) = (None, None, None);
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            IFA_ADDRESS => subnet = Some(attribute.address()?),
            IFA_LOCAL => local = Some(attribute.address()?),
            IFA_BROADCAST => broadcast = Some(attribute.address()?),
            _ => {}
        }
    }
    // IPv6 sends the one without the other where they are equal.
    let Some(local) = local.or(subnet) else { return Err(Malformed::Missing(IFA_LOCAL)) };
    let subnet = IpNet::new(subnet.unwrap_or(local), length)
        .map_err(|_| Malformed::Range { kind: 0, value: length.into() })?;
    let entry = AddressEntry {
        local,
        subnet: subnet.trunc(),
        broadcast,
        scope: Scope(scope),
        secondary: matches!(local, IpAddr::V4(_)) && flags & IFA_F_SECONDARY != 0,
    };
    Ok((link, entry))
}
