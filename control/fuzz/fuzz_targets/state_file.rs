//! Any text as the state of a node, JSON or TOML: it is refused or built, and a node that was built walks frames.

#![no_main]

use libfuzzer_sys::fuzz_target;
use packetwalk_control::config::Config;
use packetwalk_control::state::NodeState;
use packetwalk_control::{Behind, Node};
use packetwalk_fuzz::common::packets::{Mac, ethernet, ip_frame, ipip, ping, udp, vxlan, who_has};
use packetwalk_port::{Buffers, Memory};
use packetwalk_walk::tables::{PortId, Tables};
use packetwalk_walk::{Batch, HEADROOM, Instant, Settings, Worker, walk};
use std::net::Ipv4Addr;

/// For the frames of a batch, and what the walk makes beside them.
const BUFFERS: usize = 64;

fuzz_target!(|text: &str| {
    // The name says nothing, so the content says whether it is JSON or TOML.
    let state = match NodeState::parse(text, "state") {
        Ok(state) => state,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    for behind in [Behind::Nothing, Behind::Kernel] {
        let node = Node::build(&state, &Config::default(), behind);
        if let Err(error) = node.tables.verify() {
            panic!("{error}");
        }
        for finding in &node.findings {
            assert!(!finding.to_string().is_empty());
        }
        walk_some_frames(&node.tables);
    }
});

/// Walks frames on the first ports that the node has: whatever its tables are, each gets one outcome and no buffer is lost.
fn walk_some_frames(tables: &Tables) {
    let mut worker = Worker::new(tables.ports.len(), Settings::default());
    let mut buffers = Buffers::new(BUFFERS, 2048 + HEADROOM);
    let mut ports = Memory::new(buffers.pool(), usize::MAX);
    for (number, port) in tables.ports.iter().enumerate().take(8) {
        let mut batch = Batch::new();
        for frame in frames(port.mac.0) {
            batch.extend(ports.receive(PortId(number as u16), &frame));
        }
        walk(tables, &mut worker, Instant(0), &mut batch, &mut ports);
        ports.clear();
        assert_eq!(ports.free(), BUFFERS);
    }
    assert!(worker.counters.balance(), "{:?}", worker.counters);
}

fn frames(port: Mac) -> Vec<Vec<u8>> {
    let (from, mac) = (Ipv4Addr::new(10, 65, 0, 2), [2, 0, 0, 0, 0, 9]);
    let inner = udp(Ipv4Addr::new(10, 65, 1, 2), from, 100);
    let mut frames =
        vec![who_has((mac, from), Ipv4Addr::new(169, 254, 1, 1)), ethernet(port, mac, 0x86dd, &[0; 60])];
    for to in
        [[10, 65, 1, 2], [10, 244, 2, 7], [192, 0, 2, 1], [8, 8, 8, 8], [172, 16, 0, 1], [192, 0, 2, 255]]
    {
        frames.push(ip_frame(port, mac, &udp(from, to.into(), 1400)));
        frames.push(ip_frame(port, mac, &ping(from, to.into()).ttl(1)));
    }
    for own in [[192, 0, 2, 10], [192, 0, 2, 1]] {
        let (peer, own) = (Ipv4Addr::new(192, 0, 2, 20), own.into());
        frames.push(ip_frame(port, mac, &ipip(peer, own, &inner)));
        frames.push(ip_frame(port, mac, &vxlan(peer, own, (50_000, 8472), 1, &ip_frame(port, mac, &inner))));
    }
    frames
}
