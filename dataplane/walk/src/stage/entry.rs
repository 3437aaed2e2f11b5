//! The adjacency's headers are put before a packet: an Ethernet header, or a tunnel's.

use crate::ecn;
use crate::frame::Frame;
use crate::outcome::DropReason;
use crate::tables::{Encapsulation, IpipEntry, Rewrite, UdpChecksum, VxlanEntry};
use crate::wire::ethernet::HEADER as ETHERNET;
use crate::wire::ipv4::{self, DF, Ipv4};
use crate::wire::udp;
use crate::worker::Worker;

/// Puts `rewrite` before `frame`, which begins with its IPv4 header and is what goes on (TTL decremented). `flow` is
/// its flow's hash; only VXLAN looks at it.
#[inline(always)]
pub(crate) fn encapsulate(
    frame: &mut Frame<'_>,
    rewrite: &Rewrite,
    encapsulation: &Encapsulation,
    flow: impl FnOnce(Ipv4<'_>) -> u64,
    worker: &mut Worker,
) -> Result<(), DropReason> {
    match encapsulation {
        Encapsulation::None => {
            if frame.prepend(rewrite) {
                Ok(())
            } else {
                Err(DropReason::NoHeadroom)
            }
        }
        Encapsulation::Ipip(entry) => {
            let inner = Inner::of(frame.bytes());
            let outer = prepend(frame, rewrite)?;
            enter_ipip(outer, entry, &inner, worker.identification());
            Ok(())
        }
        Encapsulation::Vxlan(entry) => {
            let inner = Inner::of(frame.bytes());
            let flow = flow(Ipv4::parsed(frame.bytes()));
            let outer = prepend(frame, rewrite)?;
            enter_vxlan(outer, entry, &inner, flow, worker.identification());
            Ok(())
        }
    }
}

/// What the outer header takes from the inner one.
struct Inner {
    tos: u8,
    ttl: u8,
    dont_fragment: bool,
}

impl Inner {
    #[inline]
    fn of(bytes: &[u8]) -> Self {
        let ip = Ipv4::parsed(bytes);
        // DSCP is copied (RFC 2983 uniform model) and ECN too (RFC 6040 4.1, normal mode): the whole byte.
        Self { tos: ip.tos(), ttl: ip.ttl(), dont_fragment: ip.dont_fragment() }
    }
}

/// Puts the rewrite before the packet and returns the frame from its outer IPv4 header on.
#[inline(always)]
fn prepend<'a>(frame: &'a mut Frame<'_>, rewrite: &Rewrite) -> Result<&'a mut [u8], DropReason> {
    if frame.length() + rewrite.len() - ETHERNET > usize::from(u16::MAX) {
        return Err(DropReason::MtuExceeded);
    }
    if !frame.prepend(rewrite) {
        return Err(DropReason::NoHeadroom);
    }
    Ok(&mut frame.bytes_mut()[ETHERNET..])
}

/// RFC 2003 3.1.
#[inline(always)]
fn enter_ipip(outer: &mut [u8], entry: &IpipEntry, inner: &Inner, id: u16) {
    let dont_fragment = inner.dont_fragment || entry.set_df;
    let ttl = entry.inherit_ttl.then_some(inner.ttl);
    finish_ipv4(outer, inner.tos, id, dont_fragment, ttl);
}

/// RFC 7348 5: the outer headers of a VXLAN frame.
#[inline(always)]
fn enter_vxlan(outer: &mut [u8], entry: &VxlanEntry, inner: &Inner, flow: u64, id: u16) {
    let set_df = outer[6] & (DF >> 8) as u8 != 0;
    let dont_fragment = set_df || (entry.inherit_df && inner.dont_fragment);
    let ttl = entry.inherit_ttl.then_some(inner.ttl);
    finish_ipv4(outer, inner.tos, id, dont_fragment, ttl);

    let datagram = &mut outer[ipv4::HEADER..];
    // The flow's lower half: its upper bits chose among equal next hops.
    let port =
        entry.port_low.wrapping_add((((flow & 0xffff_ffff) * u64::from(entry.port_count)) >> 32) as u16);
    let length = datagram.len() as u16;
    datagram[..2].copy_from_slice(&port.to_be_bytes());
    datagram[4..6].copy_from_slice(&length.to_be_bytes());
    if entry.checksum == UdpChecksum::Full {
        fill_udp_checksum(outer);
    }
}

/// Fills what the rewrite leaves open of the outer IPv4 header: TOS, length, id, DF, TTL and checksum.
#[inline(always)]
fn finish_ipv4(outer: &mut [u8], tos: u8, id: u16, dont_fragment: bool, ttl: Option<u8>) {
    let length = outer.len() as u16;
    outer[1] = tos;
    outer[2..4].copy_from_slice(&length.to_be_bytes());
    outer[4..6].copy_from_slice(&id.to_be_bytes());
    outer[6..8].copy_from_slice(&(if dont_fragment { DF } else { 0 }).to_be_bytes());
    if let Some(ttl) = ttl {
        outer[8] = ttl;
    }
    ipv4::set_checksum(&mut outer[..ipv4::HEADER]);
}

/// Computes the UDP checksum of the datagram behind the outer header.
#[cold]
fn fill_udp_checksum(outer: &mut [u8]) {
    let ip = Ipv4::parsed(outer);
    let (source, destination) = (ip.source(), ip.destination());
    let datagram = &mut outer[ipv4::HEADER..];
    datagram[6..8].fill(0);
    // RFC 768: a sum that comes out zero is sent as all ones.
    let sum = match !udp::sum(source, destination, datagram) {
        0 => u16::MAX,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
}

const _: () = assert!(ecn::MASK == 0b11, "the ECN field is part of the TOS byte that is copied whole");
