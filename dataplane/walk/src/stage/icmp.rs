//! ICMP errors (RFC 792, RFC 1812 4.3): whether one is due, where it goes and what it says.

use super::{Packet, entry, route};
use crate::flow;
use crate::frame::Frame;
use crate::observer::{Event, Observer, Suppressed, observe};
use crate::outcome::DropReason;
use crate::sink::{Sink, Transmitted};
use crate::tables::{Action, Adjacency, RouteKey, Tables};
use crate::time::Instant;
use crate::wire::checksum::checksum;
use crate::wire::icmp::{self, MAX_ERROR, MIN_ERROR};
use crate::wire::ipv4::{self, ICMP, Ipv4, OFFSET};
use crate::worker::Worker;
use core::net::Ipv4Addr;

/// TTL of what this node originates (`ip_default_ttl`).
const TTL: u8 = 64;
/// Precedence of an error: internetwork control (RFC 1812 4.3.2.5).
const PRECEDENCE: u8 = 0xc0;
/// The bits of the offender's TOS byte that its error keeps, as Linux's `RT_TOS` has them.
const KEPT_TOS: u8 = 0x1e;

/// An error to be sent.
#[derive(Clone, Copy)]
pub(crate) struct Error {
    /// ICMP type.
    pub(crate) kind: u8,
    /// Code.
    pub(crate) code: u8,
    /// Next hop's MTU of a 3/4 (RFC 1191 4), else 0.
    pub(crate) mtu: u16,
}

/// Tells the sender of `packet`, which is still in `frame` as it was received, if an error is due and may be sent.
#[cold]
pub(crate) fn originate<'f, S: Sink<'f>, O: Observer>(
    tables: &Tables,
    worker: &mut Worker,
    now: Instant,
    (frame, packet): (&Frame<'f>, &Packet),
    error: Error,
    sink: &mut S,
    slot: usize,
    observer: &mut O,
) {
    match send(tables, worker, now, (frame, packet), error, sink, slot, observer) {
        Ok(()) => worker.counters.icmp_errors += 1,
        Err(why) => {
            // What was never due is not suppressed.
            worker.counters.icmp_suppressed += u64::from(why != Suppressed::NotDue);
            observe!(observer, slot, Event::IcmpSuppressed { kind: error.kind, code: error.code, why });
        }
    }
}

fn send<'f, S: Sink<'f>, O: Observer>(
    tables: &Tables,
    worker: &mut Worker,
    now: Instant,
    (frame, packet): (&Frame<'f>, &Packet),
    error: Error,
    sink: &mut S,
    slot: usize,
    observer: &mut O,
) -> Result<(), Suppressed> {
    let offender = packet.ip(frame.bytes());
    if !is_due(offender) {
        return Err(Suppressed::NotDue);
    }
    let (back, source) = way_back(tables, worker, packet, offender).ok_or(Suppressed::NoWayBack)?;
    let Action::Send { rewrite, port, encapsulation } = &back.action else {
        return Err(Suppressed::NoWayBack);
    };
    if !worker.icmp.take(now) {
        return Err(Suppressed::Rate);
    }
    let mut answer = sink.spare().ok_or(Suppressed::NoFrame)?;
    let id = worker.identification();
    let longest = (back.mtu as usize).clamp(MIN_ERROR, MAX_ERROR);
    let written = write(&mut answer, offender, packet, error, source, id, longest)
        .ok_or(DropReason::NoHeadroom)
        .and_then(|()| {
            let key = worker.flow_key;
            entry::encapsulate(&mut answer, rewrite, encapsulation, |ip| flow::hash(ip, key), worker)
        });
    if written.is_err() {
        sink.restore(answer);
        return Err(Suppressed::NoFrame);
    }
    observe!(
        observer,
        slot,
        Event::IcmpError {
            kind: error.kind,
            code: error.code,
            mtu: error.mtu,
            source,
            destination: Ipv4Addr::from(packet.source),
        }
    );
    observe!(observer, slot, Event::Sent { port: *port, frame: answer.bytes() });
    let length = answer.length();
    if sink.transmit(*port, answer) != Transmitted::Queued {
        return Err(Suppressed::NoFrame);
    }
    worker.counters.sent(*port, length);
    Ok(())
}

/// RFC 1812 4.3.2.7: never about an ICMP error nor a later fragment. Multicast, broadcast and bad sources were dropped
/// or punted before they could come here.
fn is_due(offender: Ipv4<'_>) -> bool {
    if offender.fragment_field() & OFFSET != 0 {
        return false;
    }
    offender.protocol() != ICMP || offender.payload().first().is_some_and(|kind| !icmp::forbids_error(*kind))
}

/// The way back to the sender, and the address that the error is sent from: what the route back prefers, else an
/// address of its link, else the node's.
fn way_back<'t>(
    tables: &'t Tables,
    worker: &Worker,
    packet: &Packet,
    offender: Ipv4<'_>,
) -> Option<(&'t Adjacency, Ipv4Addr)> {
    let key =
        RouteKey { source: 0, destination: packet.source, iif: tables.ipv4.loopback, tos: 0, protocol: ICMP };
    let hop = route::look_up(tables, &key, 0, &mut crate::Unobserved);
    let via = match hop.resolve() {
        Ok(adjacency) => adjacency,
        Err(group) => tables.groups[group].choose(flow::hash(offender, worker.flow_key)),
    };
    let via = &tables.adjacencies[via.index()];
    let back = match via.action {
        Action::Connected => {
            let neighbour = route::neighbour(tables, via.link, packet.source)?;
            &tables.adjacencies[neighbour.index()]
        }
        _ => via,
    };
    let source = via.source.or(back.source).or(tables.ipv4.node_address)?;
    Some((back, source))
}

/// Writes the error into the empty frame `answer`: as much of the offender as `longest` bytes allow.
fn write(
    answer: &mut Frame<'_>,
    offender: Ipv4<'_>,
    packet: &Packet,
    error: Error,
    source: Ipv4Addr,
    id: u16,
    longest: usize,
) -> Option<()> {
    let headers = ipv4::HEADER + icmp::HEADER;
    let quote = offender.bytes().len().min(longest.checked_sub(headers)?);
    let bytes = answer.append(headers + quote)?;
    let (header, message) = bytes.split_at_mut(ipv4::HEADER);

    message[..icmp::HEADER].fill(0);
    message[0] = error.kind;
    message[1] = error.code;
    message[6..8].copy_from_slice(&error.mtu.to_be_bytes());
    let quoted = &mut message[icmp::HEADER..];
    quoted.copy_from_slice(&offender.bytes()[..quote]);
    if packet.tos != offender.tos() && quote >= ipv4::HEADER {
        // It left a tunnel, and the ECN field that it got there is part of it.
        ipv4::set_tos(quoted, packet.tos);
    }
    let sum = checksum(message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());

    header.fill(0);
    header[0] = 0x45;
    header[1] = packet.tos & KEPT_TOS | PRECEDENCE;
    header[2..4].copy_from_slice(&((headers + quote) as u16).to_be_bytes());
    header[4..6].copy_from_slice(&id.to_be_bytes());
    header[8] = TTL;
    header[9] = ICMP;
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(&packet.source.to_be_bytes());
    ipv4::set_checksum(header);
    Some(())
}
