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

    // Ethernet: whose is it, and what does it carry? ARP is answered; IPv4 headers are checked.
    for (slot, frame) in batch.iter().enumerate() {
        worker.counters.received(frame.ingress(), frame.length());
        let mut packet = ethernet::receive(tables, frame, slot, observer);
        match packet.verdict {
            Verdict::Ipv4 => ipv4::check(tables, frame.bytes(), &mut packet, slot, observer),
            Verdict::Arp => packet.verdict = arp::judge(tables, frame, packet, slot, observer),
            _ => {}
        }
        packets.push(packet);
    }

    // Rules and longest-prefix match. A stage of its own: the loads of one packet need not wait for another's.
    for (slot, packet) in packets.iter_mut().enumerate().filter(|(_, packet)| packet.is_walked()) {
        packet.hop = route::look_up(tables, &packet.key(), slot, observer);
    }

    // One of equal next hops, and whether the packet may take it: TTL and MTU.
    for (slot, (packet, frame)) in packets.iter_mut().zip(batch.iter()).enumerate() {
        if !packet.is_walked() {
            continue;
        }
        route::choose(tables, worker.flow_key, frame.bytes(), packet, slot, observer);
        // For this node: a packet inside a tunnel packet goes on, once; all else is the kernel's.
        while is_local(tables, packet) {
            let anomalies = &mut worker.counters.ecn_anomalies;
            if !exit::decapsulate(tables, frame, packet, anomalies, slot, observer) {
                break;
            }
            packet.hop = route::look_up(tables, &packet.key(), slot, observer);
            route::choose(tables, worker.flow_key, frame.bytes(), packet, slot, observer);
        }
        if packet.is_walked() {
            packet.verdict = forward::judge(tables, packet.ip(frame.bytes()), packet, slot, observer);
        }
    }

    // Frames leave in the order in which they came.
    for (slot, (frame, packet)) in batch.drain(..).zip(&packets).enumerate() {
        send::finish(tables, worker, now, (frame, packet), sink, slot, observer);
    }
}

/// Whether the route leads to this node.
#[inline]
fn is_local(tables: &Tables, packet: &Packet) -> bool {
    matches!(tables.adjacencies[packet.adjacency.index()].action, Action::Local)
}
