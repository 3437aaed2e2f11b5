//! Links and their addresses: `ip -j -d addr`.

use super::entries::entries;
use super::scalar::{is_false, optional, present, required};
use super::value::{DontFragment, Endpoint, LinkAddress, Mtu, Scope, Ttl};
use ipnet::IpNet;
use packetwalk_walk::tables::Vni;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct LinkEntry {
    /// Its name.
    pub ifname: String,
    /// The link below it, of a VLAN or the like; of a veth in one namespace, its peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Absent: up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<LinkFlags>,
    /// Largest packet.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Mtu>,
    /// The bridge, bond or VRF that it is a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// `ether`, `loopback`, `none`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_type: Option<String>,
    /// Hardware address.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub address: Option<LinkAddress>,
    /// Its kind, and what the kind adds.
    #[serde(default, skip_serializing_if = "LinkInfo::is_plain")]
    pub linkinfo: LinkInfo,
    /// Addresses, primary before secondary ones.
    #[serde(default, deserialize_with = "entries")]
    pub addr_info: Vec<AddressEntry>,
}

impl LinkEntry {
    /// Whether it is administratively up.
    pub fn is_up(&self) -> bool {
        self.flags.is_none_or(|flags| flags.up)
    }

    /// Whether it is the loopback link.
    pub fn is_loopback(&self) -> bool {
        self.flags.is_some_and(|flags| flags.loopback)
            || self.link_type.as_deref() == Some("loopback")
            || self.ifname == "lo"
    }
}

/// The flags that matter; others are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFlags {
    /// `UP`: administratively up.
    pub up: bool,
    /// `LOOPBACK`.
    pub loopback: bool,
}

impl Serialize for LinkFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = [(self.loopback, "LOOPBACK"), (self.up, "UP")];
        serializer.collect_seq(names.into_iter().filter_map(|(is_set, name)| is_set.then_some(name)))
    }
}

impl<'de> Deserialize<'de> for LinkFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let has = |name: &str| names.iter().any(|flag| flag == name);
        Ok(Self { up: has("UP"), loopback: has("LOOPBACK") })
    }
}

/// What kind of link it is, and a member's part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkInfo {
    /// `veth`, `bridge`, `vxlan`, ...; absent for a device.
    pub info_kind: Option<String>,
    /// Of the kinds whose data matters; empty for others.
    pub info_data: InfoData,
    /// What it is to its master.
    pub info_slave_data: SlaveData,
}

/// What the kinds `vxlan`, `ipip`, `bridge` and `vlan` add.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct InfoData {
    /// VXLAN's network, or the VLAN.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub id: Option<Vni>,
    /// The far end.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub remote: Option<Endpoint>,
    /// As VXLAN has it for IPv6.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub remote6: Option<Endpoint>,
    /// The near end.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub local: Option<Endpoint>,
    /// As VXLAN has it for IPv6.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub local6: Option<Endpoint>,
    /// The link that its outer packets must leave by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// UDP destination port.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// UDP source ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_range: Option<PortRange>,
    /// Outer TTL.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// Outer DF of VXLAN.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub df: Option<DontFragment>,
    /// Outer DF of IPIP: always set.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "is_false")]
    pub pmtudisc: bool,
    /// Its endpoints come with each packet (`external`).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "is_false")]
    pub external: bool,
    /// What an IPIP link carries: `ipip`, `mplsip`, `any`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<String>,
    /// Whether a bridge filters by VLAN (0 or 1).
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub vlan_filtering: Option<u8>,
}

/// UDP source ports of VXLAN; 0 to 0 where none were set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct PortRange {
    /// The first.
    #[serde(with = "required")]
    pub low: u16,
    /// The last.
    #[serde(with = "required")]
    pub high: u16,
}

/// What a link is to its master.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct SlaveData {
    /// Spanning-tree state of a bridge's member; absent: forwarding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Whether a bridge sends frames back by the member that they came in by.
    #[serde(default)]
    pub hairpin: bool,
}

/// The kinds whose `info_data` is read: other kinds use the same keys for other things.
const READ_KINDS: [&str; 4] = ["vxlan", "ipip", "bridge", "vlan"];

impl LinkInfo {
    /// Whether it says nothing: a device that is a member of nothing.
    fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl Serialize for LinkInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(kind) = &self.info_kind {
            map.serialize_entry("info_kind", kind)?;
        }
        if self.info_data != InfoData::default() {
            map.serialize_entry("info_data", &self.info_data)?;
        }
        if self.info_slave_data != SlaveData::default() {
            map.serialize_entry("info_slave_kind", "bridge")?;
            map.serialize_entry("info_slave_data", &self.info_slave_data)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for LinkInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LinkInfoVisitor)
    }
}

struct LinkInfoVisitor;

impl<'de> Visitor<'de> for LinkInfoVisitor {
    type Value = LinkInfo;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `info_kind`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LinkInfo, A::Error> {
        let mut info = LinkInfo::default();
        // `info_data` means something only once the kind is known; iproute2 prints the kind first, people may not.
        let mut early: Option<serde_json::Value> = None;
        let is_read = |kind: Option<&str>| kind.is_some_and(|kind| READ_KINDS.contains(&kind));
        let mut slave_kind = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "info_kind" => info.info_kind = map.next_value()?,
                "info_data" if is_read(info.info_kind.as_deref()) => info.info_data = map.next_value()?,
                "info_data" if info.info_kind.is_none() => early = Some(map.next_value()?),
                "info_slave_kind" => slave_kind = map.next_value::<Option<String>>()?,
                "info_slave_data" if slave_kind.as_deref().is_none_or(|kind| kind == "bridge") => {
                    info.info_slave_data = map.next_value()?;
                }
                _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
            }
        }
        if let Some(data) = early.filter(|_| is_read(info.info_kind.as_deref())) {
            info.info_data = serde_path_to_error::deserialize(data).map_err(|error| {
                A::Error::custom(format_args!("info_data.{}: {}", error.path(), error.inner()))
            })?;
        }
        Ok(info)
    }
}

/// An address of a link.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "RawAddress", into = "RawAddress")]
pub struct AddressEntry {
    /// The address itself.
    pub local: IpAddr,
    /// The subnet that it puts the link into; for a point-to-point address, the peer's.
    pub subnet: IpNet,
    /// The subnet's broadcast address, where it was set.
    pub broadcast: Option<IpAddr>,
    /// How far it reaches.
    pub scope: Scope,
    /// Whether another address of the same subnet is the primary one.
    pub secondary: bool,
}

#[derive(Deserialize, Serialize)]
struct RawAddress {
    #[serde(with = "required")]
    local: IpAddr,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    prefixlen: Option<u8>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    broadcast: Option<IpAddr>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    scope: Option<Scope>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "is_false")]
    secondary: bool,
}

impl TryFrom<RawAddress> for AddressEntry {
    type Error = String;

    fn try_from(raw: RawAddress) -> Result<Self, String> {
        let (bits, family) = if raw.local.is_ipv4() { (32, "IPv4") } else { (128, "IPv6") };
        let length = raw.prefixlen.unwrap_or(bits);
        let subnet = IpNet::new(raw.address.unwrap_or(raw.local), length).map_err(|_| {
            format!("prefixlen {length}: expected 0 to {bits} for the {family} address {}", raw.local)
        })?;
        Ok(Self {
            local: raw.local,
            subnet: subnet.trunc(),
            broadcast: raw.broadcast,
            scope: raw.scope.unwrap_or_default(),
            secondary: raw.secondary,
        })
    }
}

impl From<AddressEntry> for RawAddress {
    fn from(entry: AddressEntry) -> Self {
        // The peer's address is kept only as its subnet; where the address itself is in that, there is no peer.
        let peer = (!entry.subnet.contains(&entry.local)).then(|| entry.subnet.addr());
        Self {
            local: entry.local,
            address: peer,
            prefixlen: Some(entry.subnet.prefix_len()),
            broadcast: entry.broadcast,
            scope: Some(entry.scope),
            secondary: entry.secondary,
        }
    }
}
