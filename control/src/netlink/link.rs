//! Links, from `RTM_NEWLINK`.

use super::attribute::{Attribute, Attributes, Malformed, split, word};
use crate::state::{
    DontFragment, Endpoint, InfoData, LinkAddress, LinkEntry, LinkFlags, LinkInfo, Mtu, PortRange, SlaveData,
    Ttl,
};
use packetwalk_walk::tables::Vni;
use packetwalk_walk::wire::MacAddr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;

const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;

const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 1 << 3;
const IFF_RUNNING: u32 = 1 << 6;
const IFF_LOWER_UP: u32 = 1 << 16;

/// A link, as the kernel tells it: other links by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// All that needs no other link; no addresses.
    pub entry: LinkEntry,
    /// The link below it, where that is in the same namespace.
    pub below: Option<u32>,
    /// The bridge, bond or VRF that it is a member of.
    pub master: Option<u32>,
    /// The link that a tunnel's outer packets must leave by.
    pub underlay: Option<u32>,
    /// Whether it has carrier (`LOWER_UP`).
    pub carrier: bool,
    /// Whether the kernel has acted upon that (`RUNNING`): next hops follow it, up to a second behind the carrier.
    pub running: bool,
}

/// What a message about a link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinkMessage {
    /// All of it.
    Whole(u32, Box<Link>),
    /// Only what another family or subsystem thinks of it.
    Partial(u32),
}

impl LinkMessage {
    pub(super) fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let (header, attributes) = split::<16>(payload)?;
        let kind = u16::from_ne_bytes([header[2], header[3]]);
        let (index, flags) = (word(header, 4), word(header, 8));
        // A bridge's view of its member comes as a message of its own family.
        if header[0] != 0 {
            return Ok(Self::Partial(index));
        }
        let (mut name, mut mtu) = (None, None);
        let mut link = Link {
            entry: LinkEntry {
                ifname: String::new(),
                link: None,
                flags: Some(LinkFlags { up: flags & IFF_UP != 0, loopback: flags & IFF_LOOPBACK != 0 }),
                mtu: None,
                master: None,
                link_type: Some(link_type(kind)),
                address: None,
                linkinfo: LinkInfo::default(),
                addr_info: Vec::new(),
            },
            below: None,
            master: None,
            underlay: None,
            carrier: flags & IFF_LOWER_UP != 0,
            running: flags & IFF_RUNNING != 0,
        };
        let mut is_foreign = false;
        for attribute in attributes {
            let attribute = attribute?;
            match attribute.kind {
                IFLA_IFNAME => name = Some(attribute.text()),
                IFLA_MTU => mtu = Some(attribute.u32()?),
                IFLA_ADDRESS => link.entry.address = hardware_address(kind, attribute.value),
                IFLA_LINK => link.below = Some(attribute.u32()?).filter(|below| *below != 0),
                IFLA_LINK_NETNSID => is_foreign = true,
                IFLA_MASTER => link.master = Some(attribute.u32()?).filter(|master| *master != 0),
                IFLA_LINKINFO => link.read_info(attribute.nested())?,
                _ => {}
            }
        }
        if is_foreign {
            link.below = None;
        }
        let (Some(name), Some(mtu)) = (name, mtu) else { return Ok(Self::Partial(index)) };
        link.entry.ifname = name;
        link.entry.mtu = Mtu::new(mtu);
        Ok(Self::Whole(index, Box::new(link)))
    }
}

impl Link {
    /// Whether it is administratively up.
    pub fn is_up(&self) -> bool {
        self.entry.is_up()
    }

    fn read_info(&mut self, attributes: Attributes<'_>) -> Result<(), Malformed> {
        let (mut data, mut slave_kind, mut slave_data) = (None, None, None);
        for attribute in attributes {
            let attribute = attribute?;
            match attribute.kind {
                IFLA_INFO_KIND => self.entry.linkinfo.info_kind = Some(attribute.text()),
                IFLA_INFO_DATA => data = Some(attribute.nested()),
                IFLA_INFO_SLAVE_KIND => slave_kind = Some(attribute.text()),
                IFLA_INFO_SLAVE_DATA => slave_data = Some(attribute.nested()),
                _ => {}
            }
        }
        if let Some(data) = data {
            let info = &mut self.entry.linkinfo.info_data;
            match self.entry.linkinfo.info_kind.as_deref() {
                Some("vxlan") => (*info, self.underlay) = vxlan(data)?,
                Some("ipip") => (*info, self.underlay) = ipip(data)?,
                Some("bridge") => *info = bridge(data)?,
                Some("vlan") => *info = vlan(data)?,
                _ => {}
            }
        }
        if let (Some("bridge"), Some(data)) = (slave_kind.as_deref(), slave_data) {
            self.entry.linkinfo.info_slave_data = bridge_port(data)?;
        }
        Ok(())
    }
}

/// `IFLA_VXLAN_*`; beside the data, the link that outer packets leave by.
fn vxlan(attributes: Attributes<'_>) -> Result<(InfoData, Option<u32>), Malformed> {
    let (mut data, mut underlay, mut inherits_ttl) = (InfoData::default(), None, false);
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            1 => data.id = Vni::new(attribute.u32()?),
            2 => data.remote = peer(attribute)?,
            16 => data.remote6 = peer(attribute)?,
            3 => underlay = Some(attribute.u32()?).filter(|link| *link != 0),
            4 => data.local = specified(attribute.address()?).map(|address| Endpoint(Some(address))),
            17 => data.local6 = specified(attribute.address()?).map(|address| Endpoint(Some(address))),
            5 => data.ttl = Some(ttl(attribute.u8()?)),
            28 => inherits_ttl = attribute.value.is_empty() || attribute.u8()? != 0,
            10 => {
                let (low, high) = attribute.be16_pair()?;
                data.port_range = Some(PortRange { low, high });
            }
            15 => data.port = Some(attribute.be16()?),
            25 => data.external = attribute.u8()? != 0,
            29 => {
                data.df = match attribute.u8()? {
                    0 => Some(DontFragment::Unset),
                    1 => Some(DontFragment::Set),
                    2 => Some(DontFragment::Inherit),
                    _ => None,
                }
            }
            _ => {}
        }
    }
    if inherits_ttl {
        data.ttl = Some(Ttl::Inherit);
    }
    Ok((data, underlay))
}

/// The far end of a VXLAN link; None for a group, which iproute2 calls by another name and which only floods.
fn peer(attribute: Attribute<'_>) -> Result<Option<Endpoint>, Malformed> {
    let unicast = specified(attribute.address()?).filter(|address| !address.is_multicast());
    Ok(unicast.map(|address| Endpoint(Some(address))))
}

/// `IFLA_IPTUN_*`.
fn ipip(attributes: Attributes<'_>) -> Result<(InfoData, Option<u32>), Malformed> {
    const IPPROTO_IPIP: u8 = 4;
    const IPPROTO_MPLS: u8 = 137;
    let (mut data, mut underlay) = (InfoData::default(), None);
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            1 => underlay = Some(attribute.u32()?).filter(|link| *link != 0),
            2 => data.local = Some(Endpoint(specified(attribute.address()?))),
            3 => data.remote = Some(Endpoint(specified(attribute.address()?))),
            4 => data.ttl = Some(ttl(attribute.u8()?)),
            9 => {
                data.proto = Some(match attribute.u8()? {
                    0 => "any".to_owned(),
                    IPPROTO_IPIP => "ipip".to_owned(),
                    IPPROTO_MPLS => "mplsip".to_owned(),
                    number => number.to_string(),
                });
            }
            10 => data.pmtudisc = attribute.u8()? != 0,
            19 => data.external = true,
            _ => {}
        }
    }
    Ok((data, underlay))
}

/// `IFLA_BR_*`.
fn bridge(attributes: Attributes<'_>) -> Result<InfoData, Malformed> {
    let mut data = InfoData::default();
    for attribute in attributes {
        let attribute = attribute?;
        if attribute.kind == 7 {
            data.vlan_filtering = Some(attribute.u8()?);
        }
    }
    Ok(data)
}

/// `IFLA_VLAN_*`.
fn vlan(attributes: Attributes<'_>) -> Result<InfoData, Malformed> {
    let mut data = InfoData::default();
    for attribute in attributes {
        let attribute = attribute?;
        if attribute.kind == 1 {
            data.id = Vni::new(attribute.u16()?.into());
        }
    }
    Ok(data)
}

/// `IFLA_BRPORT_*`.
fn bridge_port(attributes: Attributes<'_>) -> Result<SlaveData, Malformed> {
    const STATES: [&str; 5] = ["disabled", "listening", "learning", "forwarding", "blocking"];
    let mut data = SlaveData::default();
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            1 => {
                let state = attribute.u8()?;
                let name = STATES.get(usize::from(state)).map(|name| (*name).to_owned());
                data.state = Some(name.unwrap_or_else(|| state.to_string()));
            }
            4 => data.hairpin = attribute.u8()? != 0,
            _ => {}
        }
    }
    Ok(data)
}

fn specified(address: IpAddr) -> Option<IpAddr> {
    Some(address).filter(|address| !address.is_unspecified())
}

fn ttl(number: u8) -> Ttl {
    if number == 0 { Ttl::Auto } else { Ttl::Fixed(number) }
}

const ARPHRD_ETHER: u16 = 1;
const ARPHRD_TUNNEL6: u16 = 769;
const ARPHRD_IP6GRE: u16 = 823;
/// Types whose addresses are IPv4 addresses: IPIP, SIT, GRE.
const ARPHRD_OVER_IPV4: [u16; 3] = [768, 776, 778];

/// Kernel's link types by iproute2's names (`ll_types.c`); others by number.
fn link_type(number: u16) -> String {
    let name = match number {
        ARPHRD_ETHER => "ether",
        32 => "infiniband",
        256 => "slip",
        512 => "ppp",
        519 => "rawip",
        768 => "ipip",
        ARPHRD_TUNNEL6 => "tunnel6",
        772 => "loopback",
        776 => "sit",
        778 => "gre",
        ARPHRD_IP6GRE => "gre6",
        280 => "can",
        824 => "netlink",
        0xfffe => "none",
        0xffff => "void",
        number => return format!("[{number}]"),
    };
    name.to_owned()
}

/// A hardware address as iproute2 prints that of a link of this type; None for a length that none has.
fn hardware_address(link_type: u16, bytes: &[u8]) -> Option<LinkAddress> {
    match *bytes {
        [a, b, c, d] if ARPHRD_OVER_IPV4.contains(&link_type) => Some(text(Ipv4Addr::new(a, b, c, d).into())),
        _ if matches!(link_type, ARPHRD_TUNNEL6 | ARPHRD_IP6GRE) => {
            let octets: [u8; 16] = bytes.try_into().ok()?;
            Some(text(Ipv6Addr::from(octets).into()))
        }
        _ => octets(bytes),
    }
}

/// An Ethernet address, or a longer one.
pub(super) fn octets(bytes: &[u8]) -> Option<LinkAddress> {
    if let Ok(mac) = bytes.try_into() {
        return Some(LinkAddress::Mac(MacAddr(mac)));
    }
    let octets: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    (bytes.len() >= 8).then(|| LinkAddress::Other(octets.join(":").into()))
}

fn text(address: IpAddr) -> LinkAddress {
    LinkAddress::Other(address.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::super::attribute::tests::attribute;
    use super::*;

    fn message(family: u8, kind: u16, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![family, 0];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0xff; 4]);
        bytes.extend(attributes.concat());
        bytes
    }

    fn whole(bytes: &[u8]) -> Link {
        let LinkMessage::Whole(7, link) = LinkMessage::decode(bytes).expect("a link") else {
            unreachable!("it has a name, an MTU and number 7")
        };
        *link
    }

    /// The kernel that the tests run on may have neither IPIP nor VLANs nor VLAN filtering.
    #[test]
    fn an_ipip_link_is_read() {
        let data = [
            attribute(1, &3u32.to_ne_bytes()),
            attribute(2, &[10, 0, 0, 1]),
            attribute(3, &[0; 4]),
            attribute(4, &[9]),
            attribute(9, &[4]),
            attribute(10, &[1]),
        ];
        let info = [attribute(1, b"ipip\0"), attribute(2, &data.concat())];
        let link = whole(&message(
            0,
            768,
            IFF_UP,
            &[
                attribute(IFLA_IFNAME, b"tunl0\0"),
                attribute(IFLA_MTU, &1480u32.to_ne_bytes()),
                attribute(IFLA_ADDRESS, &[0; 4]),
                attribute(IFLA_LINK, &0u32.to_ne_bytes()),
                attribute(IFLA_LINKINFO, &info.concat()),
            ],
        ));
        let data = &link.entry.linkinfo.info_data;
        assert_eq!((link.underlay, link.below, link.is_up()), (Some(3), None, true));
        assert_eq!(data.local, Some(Endpoint(Some("10.0.0.1".parse().expect("an address")))));
        assert_eq!((data.remote, data.ttl), (Some(Endpoint(None)), Some(Ttl::Fixed(9))));
        assert_eq!((data.proto.as_deref(), data.pmtudisc, data.external), (Some("ipip"), true, false));
        assert_eq!(link.entry.link_type.as_deref(), Some("ipip"));
        assert_eq!(link.entry.address, Some(LinkAddress::Other("0.0.0.0".into())));
    }

    #[test]
    fn a_vlan_and_a_filtering_bridge_are_read() {
        let named = |info: &[Vec<u8>]| {
            whole(&message(
                0,
                ARPHRD_ETHER,
                0,
                &[
                    attribute(IFLA_IFNAME, b"x\0"),
                    attribute(IFLA_MTU, &1500u32.to_ne_bytes()),
                    attribute(IFLA_LINK, &2u32.to_ne_bytes()),
                    attribute(IFLA_LINKINFO, &info.concat()),
                ],
            ))
        };
        let vlan = named(&[attribute(1, b"vlan\0"), attribute(2, &attribute(1, &5u16.to_ne_bytes()))]);
        assert_eq!(vlan.entry.linkinfo.info_data.id.map(Vni::value), Some(5));
        assert_eq!(vlan.below, Some(2));
        let bridge = named(&[attribute(1, b"bridge\0"), attribute(2, &attribute(7, &[1]))]);
        assert_eq!(bridge.entry.linkinfo.info_data.vlan_filtering, Some(1));
    }

    #[test]
    fn a_message_of_another_family_or_without_a_name_is_partial() {
        let named = attribute(IFLA_IFNAME, b"x\0");
        let bridged = message(7, ARPHRD_ETHER, 0, std::slice::from_ref(&named));
        assert_eq!(LinkMessage::decode(&bridged), Ok(LinkMessage::Partial(7)));
        let bare = message(0, ARPHRD_ETHER, 0, &[named]);
        assert_eq!(LinkMessage::decode(&bare), Ok(LinkMessage::Partial(7)));
    }

    #[test]
    fn the_peer_in_another_namespace_is_no_link_of_ours() {
        let link = whole(&message(
            0,
            ARPHRD_ETHER,
            0,
            &[
                attribute(IFLA_IFNAME, b"x\0"),
                attribute(IFLA_MTU, &1500u32.to_ne_bytes()),
                attribute(IFLA_LINK_NETNSID, &0u32.to_ne_bytes()),
                attribute(IFLA_LINK, &2u32.to_ne_bytes()),
            ],
        ));
        assert_eq!(link.below, None);
    }
}
