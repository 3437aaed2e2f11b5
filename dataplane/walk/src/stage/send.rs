//! The last stage: each frame, in the order received, is changed as its verdict says and handed to the sink.

use super::{Packet, Verdict, entry, fragment, icmp};
use crate::flow;
use crate::frame::Frame;
use crate::observer::{Event, Observer, observe};
use crate::outcome::{DropReason, Outcome, PuntReason};
use crate::sink::{Sink, Transmitted};
use crate::tables::{Action, PortId, Tables};
use crate::time::Instant;
use crate::wire::ethernet::{self, Ethernet, HEADER};
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::{MacAddr, arp};
use crate::worker::Worker;

/// Ends the walk of one frame.
#[inline(always)]
pub(crate) fn finish<'f, S: Sink<'f>, O: Observer>(
    tables: &Tables,
    worker: &mut Worker,
    now: Instant,
    (frame, packet): (Frame<'f>, &Packet),
    sink: &mut S,
    slot: usize,
    observer: &mut O,
) {
    let outcome = match packet.verdict {
        Verdict::Forward => forward(tables, worker, (frame, packet), sink, slot, observer),
        Verdict::Drop(reason) => drop_frame(worker, frame, reason, sink),
        Verdict::Punt(reason) => punt(worker, frame, reason, sink),
        Verdict::Switch(port) => transmit(worker, frame, port, sink, slot, observer),
        Verdict::Answer(mac) => answer(worker, (frame, packet), mac, sink, slot, observer),
        Verdict::Fragment => send_fragments(tables, worker, (frame, packet), sink, slot, observer),
        Verdict::Refuse(reason, kind, code, mtu) => {
            let error = icmp::Error { kind, code, mtu };
            icmp::originate(tables, worker, now, (&frame, packet), error, sink, slot, observer);
            drop_frame(worker, frame, reason, sink)
        }
        // No stage leaves these two behind; a frame is never lost without a name all the same.
        Verdict::Arp | Verdict::Ipv4 => drop_frame(worker, frame, DropReason::NoRoute, sink),
    };
    observe!(observer, slot, Event::Ended(outcome));
}

/// Sends a packet by its adjacency.
#[inline(always)]
fn forward<'f, S: Sink<'f>, O: Observer>(
    tables: &Tables,
    worker: &mut Worker,
    (mut frame, packet): (Frame<'f>, &Packet),
    sink: &mut S,
    slot: usize,
    observer: &mut O,
) -> Outcome {
    let Action::Send { rewrite, port, encapsulation } = &tables.adjacencies[packet.adjacency.index()].action
    else {
        return drop_frame(worker, frame, DropReason::NeighbourUnresolved, sink);
    };
    advance(&mut frame, packet);
    let key = worker.flow_key;
    match entry::encapsulate(&mut frame, rewrite, encapsulation, |ip| flow::hash(ip, key), worker) {
        Ok(()) => transmit(worker, frame, *port, sink, slot, observer),
        Err(reason) => drop_frame(worker, frame, reason, sink),
    }
}

/// Leaves of a frame the packet that goes on: without what was before it and what padded it, one hop older, and with the
/// ECN field that it got at a tunnel's exit.
#[inline(always)]
fn advance(frame: &mut Frame<'_>, packet: &Packet) {
    let length = packet.ip(frame.bytes()).bytes().len();
    frame.strip(usize::from(packet.offset));
    frame.truncate(length);
    let header = frame.bytes_mut();
    ipv4::decrement_ttl(header);
    if header[1] != packet.tos {
        ipv4::set_tos(header, packet.tos);
    }
}

/// Sends a packet in fragments. The first stands for the received frame, the others are originated.
#[cold]
fn send_fragments<'f, S: Sink<'f>, O: Observer>(
    tables: &Tables,
    worker: &mut Worker,
    (mut frame, packet): (Frame<'f>, &Packet),
    sink: &mut S,
    slot: usize,
    observer: &mut O,
) -> Outcome {
    let adjacency = &tables.adjacencies[packet.adjacency.index()];
    let Action::Send { rewrite, port, encapsulation } = &adjacency.action else {
        return drop_frame(worker, frame, DropReason::NeighbourUnresolved, sink);
    };
    let mtu = adjacency.mtu.min(tables.adjacencies[packet.via.index()].mtu);
    advance(&mut frame, packet);
    // All go where the whole packet would have gone.
    let flow = flow::hash(Ipv4::parsed(frame.bytes()), worker.flow_key);
    let mut more = match fragment::cut(&mut frame, mtu, sink) {
        Ok(more) => more,
        Err(reason) => return drop_frame(worker, frame, reason, sink),
    };
    observe!(observer, slot, Event::Fragmented { count: more.len() + 1 });

    let outcome = match entry::encapsulate(&mut frame, rewrite, encapsulation, |_| flow, worker) {
        Ok(()) => transmit(worker, frame, *port, sink, slot, observer),
        Err(reason) => drop_frame(worker, frame, reason, sink),
    };
    let mut lost = !matches!(outcome, Outcome::Forwarded(_));
    for mut fragment in more.drain(..) {
        // Once one is lost the datagram is, and the rest would only load the wire.
        if lost || entry::encapsulate(&mut fragment, rewrite, encapsulation, |_| flow, worker).is_err() {
            lost = true;
            sink.restore(fragment);
            continue;
        }
        observe!(observer, slot, Event::Sent { port: *port, frame: fragment.bytes() });
        let length = fragment.length();
        if sink.transmit(*port, fragment) == Transmitted::Queued {
            worker.counters.sent(*port, length);
            worker.counters.fragments += 1;
        } else {
            lost = true;
        }
    }
    outcome
}

/// Turns an ARP request into its reply and sends it back.
#[cold]
fn answer<'f, S: Sink<'f>, O: Observer>(
    worker: &mut Worker,
    (mut frame, packet): (Frame<'f>, &Packet),
    mac: MacAddr,
    sink: &mut S,
    slot: usize,
    observer: &mut O,
) -> Outcome {
    let Some(asker) = Ethernet::new(frame.bytes()).map(Ethernet::source) else {
        return drop_frame(worker, frame, DropReason::Runt, sink);
    };
    frame.strip(usize::from(packet.offset));
    frame.truncate(arp::LENGTH);
    let Some(body) = frame.bytes_mut().first_chunk_mut() else {
        return drop_frame(worker, frame, DropReason::Runt, sink);
    };
    arp::reply(body, mac);
    let mut header = [0; HEADER];
    ethernet::emit(&mut header, asker, mac, ethernet::ARP);
    if !frame.prepend(&header) {
        return drop_frame(worker, frame, DropReason::NoHeadroom, sink);
    }
    let port = frame.ingress();
    match transmit(worker, frame, port, sink, slot, observer) {
        Outcome::Forwarded(port) => {
            worker.counters.forwarded -= 1;
            worker.counters.answered += 1;
            Outcome::Answered(port)
        }
        lost => lost,
    }
}

/// Hands a frame to its port and counts it.
#[inline(always)]
fn transmit<'f, S: Sink<'f>, O: Observer>(
    worker: &mut Worker,
    frame: Frame<'f>,
    port: PortId,
    sink: &mut S,
    slot: usize,
    observer: &mut O,
) -> Outcome {
    observe!(observer, slot, Event::Sent { port, frame: frame.bytes() });
    let length = frame.length();
    let reason = match sink.transmit(port, frame) {
        Transmitted::Queued => {
            worker.counters.forwarded += 1;
            worker.counters.sent(port, length);
            return Outcome::Forwarded(port);
        }
        Transmitted::RingFull => DropReason::TxRingFull,
        Transmitted::PortGone => DropReason::PortGone,
    };
    worker.counters.drop[reason as usize] += 1;
    Outcome::Dropped(reason)
}

/// Hands a frame to the kernel and counts it.
#[inline]
fn punt<'f, S: Sink<'f>>(worker: &mut Worker, frame: Frame<'f>, reason: PuntReason, sink: &mut S) -> Outcome {
    worker.counters.punt[reason as usize] += 1;
    sink.punt(frame, reason);
    Outcome::Punted(reason)
}

/// Gives a frame's buffer back and counts why.
#[inline]
fn drop_frame<'f, S: Sink<'f>>(
    worker: &mut Worker,
    frame: Frame<'f>,
    reason: DropReason,
    sink: &mut S,
) -> Outcome {
    worker.counters.drop[reason as usize] += 1;
    sink.recycle(frame, reason);
    Outcome::Dropped(reason)
}
