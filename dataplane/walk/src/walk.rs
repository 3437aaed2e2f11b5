//! The walk, top to bottom.

use crate::frame::{BATCH, Batch};
use crate::observer::{Observer, Unobserved};
use crate::sink::Sink;
use crate::stage::{Packet, Verdict, arp, ethernet, exit, forward, ipv4, route, send};
use crate::tables::{Action, Tables};
use crate::time::Instant;
use crate::worker::Worker;
use arrayvec::ArrayVec;

/// Walks the frames of `batch` in the order received. When it returns, the batch is empty and each frame has been
/// handed to `sink` once, with its outcome counted in `worker`.
///
/// `now` is the time of the whole batch.
pub fn walk<'f, S: Sink<'f>>(
    tables: &Tables,
    worker: &mut Worker,
    now: Instant,
    batch: &mut Batch<'f>,
    sink: &mut S,
) {
    walk_observed(tables, worker, now, batch, sink, &mut Unobserved);
}

/// [`walk`], with somebody who watches.
pub fn walk_observed<'f, S: Sink<'f>, O: Observer>(
    tables: &Tables,
    worker: &mut Worker,
    now: Instant,
    batch: &mut Batch<'f>,
    sink: &mut S,
    observer: &mut O,
) {
    let mut packets = ArrayVec::<Packet, BATCH>::new();

    // Ethernet: whose is it, and what does it carry?
    for (slot, frame) in batch.iter().enumerate() {
        worker.counters.received(frame.ingress(), frame.length());
        packets.push(ethernet::receive(tables, frame, slot, observer));
    }
    let frames = batch.as_slice();

    // ARP is answered; IPv4 headers are checked.
    for (slot, packet) in packets.iter_mut().enumerate() {
        match packet.verdict {
            Verdict::Ipv4 => ipv4::check(tables, frames[slot].bytes(), packet, slot, observer),
            Verdict::Arp => packet.verdict = arp::judge(tables, &frames[slot], packet, slot, observer),
            _ => {}
        }
    }

    // Rules and longest-prefix match, then one of equal next hops.
    for (slot, packet) in walked(&mut packets) {
        packet.hop = route::look_up(tables, &packet.key(), slot, observer);
    }
    for (slot, packet) in walked(&mut packets) {
        route::choose(tables, worker.flow_key, frames[slot].bytes(), packet, slot, observer);
    }

    // For this node: a packet inside a tunnel packet goes on, once; all else is the kernel's.
    for (slot, packet) in walked(&mut packets) {
        let mut is_local = is_local(tables, packet);
        while is_local && packet.is_walked() {
            let anomalies = &mut worker.counters.ecn_anomalies;
            if exit::decapsulate(tables, &frames[slot], packet, anomalies, slot, observer) {
                packet.hop = route::look_up(tables, &packet.key(), slot, observer);
                route::choose(tables, worker.flow_key, frames[slot].bytes(), packet, slot, observer);
                is_local = self::is_local(tables, packet);
            }
        }
    }

    // TTL, MTU and next hop.
    for (slot, packet) in walked(&mut packets) {
        let ip = packet.ip(frames[slot].bytes());
        packet.verdict = forward::judge(tables, ip, packet, slot, observer);
    }

    // Frames leave in the order in which they came.
    for (slot, frame) in batch.drain(..).enumerate() {
        send::finish(tables, worker, now, (frame, &packets[slot]), sink, slot, observer);
    }
}

/// The packets that are IPv4 and still walked, with their places.
#[inline]
fn walked(packets: &mut [Packet]) -> impl Iterator<Item = (usize, &mut Packet)> {
    packets.iter_mut().enumerate().filter(|(_, packet)| packet.is_walked())
}

/// Whether the route leads to this node.
#[inline]
fn is_local(tables: &Tables, packet: &Packet) -> bool {
    tables.adjacencies[packet.adjacency.index()].action == Action::Local
}
