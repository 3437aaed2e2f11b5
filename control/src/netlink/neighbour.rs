//! Neighbours and forwarding entries, both from `RTM_NEWNEIGH`.

use super::attribute::{Malformed, split, word};
use super::family::AF_BRIDGE;
use super::link::octets;
use crate::state::{FdbEntry, LinkAddress, NeighbourEntry};
use packetwalk_walk::tables::Vni;
use packetwalk_walk::wire::MacAddr;
use std::net::IpAddr;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_VLAN: u16 = 5;
const NDA_PORT: u16 = 6;
const NDA_VNI: u16 = 7;
const NDA_IFINDEX: u16 = 8;
const NDA_MASTER: u16 = 9;
const NDA_SRC_VNI: u16 = 11;
const NDA_NH_ID: u16 = 13;
const NDA_FLAGS_EXT: u16 = 15;

const NUD_INCOMPLETE: u16 = 0x01;
const NUD_FAILED: u16 = 0x20;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;
const NUD_STALE: u16 = 0x04;
const NUD_REACHABLE: u16 = 0x02;

const NUD_NAMES: [(u16, &str); 8] = [
    (NUD_INCOMPLETE, "INCOMPLETE"),
    (NUD_REACHABLE, "REACHABLE"),
    (NUD_STALE, "STALE"),
    (0x08, "DELAY"),
    (0x10, "PROBE"),
    (NUD_FAILED, "FAILED"),
    (NUD_NOARP, "NOARP"),
    (NUD_PERMANENT, "PERMANENT"),
];

const NTF_SELF: u8 = 0x02;
const NTF_MASTER: u8 = 0x04;
const NTF_PROXY: u8 = 0x08;
const NTF_EXT_LEARNED: u8 = 0x10;
const NTF_OFFLOADED: u8 = 0x20;
const NTF_STICKY: u8 = 0x40;
const NTF_ROUTER: u8 = 0x80;

/// A neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its hardware address, once it is known.
    pub lladdr: Option<LinkAddress>,
    /// `NUD_*`.
    pub state: u16,
    /// Whether somebody else than the kernel keeps it (`NTF_EXT_LEARNED`), such as a routing daemon.
    pub is_external: bool,
}

/// How sure the kernel is of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// It has no hardware address for it: it seeks it, or has given up.
    Unresolved,
    /// It has not heard of it for a while (`STALE`), and may forget it.
    Stale,
    /// It has heard of it lately, or is asking it.
    Sure,
    /// It was configured, or is kept by somebody else: the kernel has nothing to ask.
    Fixed,
}

/// Which forwarding entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FdbKey {
    /// Whose table it is in.
    pub table: FdbTable,
    /// The station.
    pub mac: MacAddr,
    /// The VLAN, of a bridge that filters by it; else 0.
    pub vlan: u16,
    /// The network that it is for, of a VXLAN link with several; else 0.
    pub source_vni: u32,
    /// One of several remotes, where a station may have several: of a VXLAN link's flooding entries.
    pub remote: Option<Remote>,
}

/// A table of forwarding entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FdbTable {
    /// A bridge's.
    Bridge(u32),
    /// A link's own: a VXLAN link's remotes, or the receive filter of a device.
    Link(u32),
}

/// Where a VXLAN link sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Remote {
    /// The VTEP.
    pub address: IpAddr,
    /// Its port, where it differs from the link's.
    pub port: Option<u16>,
    /// The network, where it differs from the link's.
    pub vni: Option<u32>,
    /// The link to leave by.
    pub link: Option<u32>,
}

/// A forwarding entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fdb {
    /// The member of a bridge behind which the station is, or the link whose table it is in.
    pub link: u32,
    /// The VTEP behind which it is.
    pub remote: Option<Remote>,
    /// The group of VTEPs instead of one.
    pub nhid: Option<u32>,
    /// `NUD_*`.
    pub state: u16,
    /// `NTF_*`.
    pub flags: u8,
    /// `NTF_EXT_*`.
    pub extended_flags: u32,
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NeighbourMessage {
    /// A neighbour; None: it is none that `ip neigh` shows.
    Neighbour((u32, IpAddr), Option<Neighbour>),
    Fdb(FdbKey, Fdb),
    /// Something that is not followed.
    Other,
}

impl NeighbourMessage {
    pub(super) fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let (header, attributes) = split::<12>(payload)?;
        let (family, link) = (header[0], word(header, 4));
        let (state, flags) = (u16::from_ne_bytes([header[8], header[9]]), header[10]);
        let (mut address, mut lladdr, mut master, mut nhid) = (None, None, None, None);
        let (mut port, mut vni, mut via, mut vlan, mut source_vni) = (None, None, None, 0, 0);
        let mut extended_flags = 0;
        for attribute in attributes {
            let attribute = attribute?;
            match attribute.kind {
                NDA_DST => address = Some(attribute.address()?),
                NDA_LLADDR => lladdr = Some(attribute),
                NDA_VLAN => vlan = attribute.u16()?,
                NDA_PORT => port = Some(attribute.be16()?),
                NDA_VNI => vni = Some(attribute.u32()?),
                NDA_IFINDEX => via = Some(attribute.u32()?),
                NDA_MASTER => master = Some(attribute.u32()?),
                NDA_SRC_VNI => source_vni = attribute.u32()?,
                NDA_NH_ID => nhid = Some(attribute.u32()?),
                NDA_FLAGS_EXT => extended_flags = attribute.u32()?,
                _ => {}
            }
        }
        if family == AF_BRIDGE {
            let mac = lladdr.ok_or(Malformed::Missing(NDA_LLADDR))?.mac()?;
            let remote = address.map(|address| Remote { address, port, vni, link: via });
            let table = master.map_or(FdbTable::Link(link), FdbTable::Bridge);
            // Of the others a station has one remote, and a message about another replaces it.
            let floods = mac == MacAddr([0; 6]) || mac.is_group();
            let key = FdbKey { table, mac, vlan, source_vni, remote: remote.filter(|_| floods) };
            return Ok(Self::Fdb(key, Fdb { link, remote, nhid, state, flags, extended_flags }));
        }
        let Some(address) = address.filter(|_| super::family::Family::of_kernel(family).is_some()) else {
            return Ok(Self::Other);
        };
        if flags & NTF_PROXY != 0 {
            return Ok(Self::Other);
        }
        // `ip neigh` leaves out what needs no resolution, and what is none yet.
        let is_external = flags & NTF_EXT_LEARNED != 0;
        let is_shown = is_external || state & !NUD_NOARP != 0;
        let lladdr = lladdr.and_then(|attribute| octets(attribute.value));
        Ok(Self::Neighbour((link, address), is_shown.then_some(Neighbour { lladdr, state, is_external })))
    }
}

impl Neighbour {
    /// The hardware address to send to; None while the kernel could not.
    pub fn usable_lladdr(&self) -> Option<&LinkAddress> {
        let is_resolved = self.state != 0 && self.state & (NUD_INCOMPLETE | NUD_FAILED) == 0;
        self.lladdr.as_ref().filter(|_| is_resolved)
    }

    /// How sure the kernel is of it.
    pub fn certainty(&self) -> Certainty {
        let is_resolved = self.usable_lladdr().is_some();
        match self.state {
            state if state & (NUD_PERMANENT | NUD_NOARP) != 0 => Certainty::Fixed,
            _ if is_resolved && self.is_external => Certainty::Fixed,
            _ if !is_resolved => Certainty::Unresolved,
            state if state & NUD_STALE != 0 => Certainty::Stale,
            _ => Certainty::Sure,
        }
    }

    /// As `ip -j neigh` prints it.
    pub(super) fn entry(&self, dst: IpAddr, dev: String) -> NeighbourEntry {
        let names =
            NUD_NAMES.iter().filter(|(bit, _)| self.state & bit != 0).map(|(_, name)| (*name).to_owned());
        let mut state: Vec<_> = names.collect();
        if state.is_empty() {
            state.push("NONE".to_owned());
        }
        NeighbourEntry { dst, dev, lladdr: self.lladdr.clone(), state }
    }
}

impl Fdb {
    /// As `bridge -j fdb` prints it.
    pub(super) fn entry(&self, key: &FdbKey, name: impl Fn(u32) -> String) -> FdbEntry {
        let flags = [
            (NTF_SELF, "self"),
            (NTF_ROUTER, "router"),
            (NTF_EXT_LEARNED, "extern_learn"),
            (NTF_OFFLOADED, "offload"),
            (NTF_MASTER, "master"),
            (NTF_STICKY, "sticky"),
        ];
        let flags = flags.into_iter().filter(|(bit, _)| self.flags & bit != 0).map(|(_, name)| name);
        let locked = (self.extended_flags & 2 != 0).then_some("locked");
        let state = match self.state {
            state if state & NUD_PERMANENT != 0 => "permanent".to_owned(),
            state if state & NUD_NOARP != 0 => "static".to_owned(),
            state if state & NUD_STALE != 0 => "stale".to_owned(),
            state if state & NUD_REACHABLE != 0 => String::new(),
            state => format!("state={state:#x}"),
        };
        FdbEntry {
            mac: key.mac,
            ifname: name(self.link),
            dst: self.remote.map(|remote| remote.address),
            port: self.remote.and_then(|remote| remote.port),
            vni: self.remote.and_then(|remote| remote.vni).and_then(Vni::new),
            nhid: self.nhid,
            master: match key.table {
                FdbTable::Bridge(master) => Some(name(master)),
                FdbTable::Link(_) => None,
            },
            state: Some(state),
            flags: flags.chain(locked).map(str::to_owned).collect(),
        }
    }
}
