//! What is measured: frames of each kind, and what must become of them.

use crate::frames::{self, Flow, Ip, SHORTEST};
use crate::internet::Internet;
use crate::lpm::Stream;
use crate::node::{self, Layout, Way};
use crate::random::Random;
use etherparse::ArpOperation;
use packetwalk_walk::wire::ipv4::{IPIP, UDP};
use std::net::Ipv4Addr;

/// TTL of packets as they come in.
const TTL: u8 = 64;
/// The gateway of every pod.
const FAKE_GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// A case by the name that it has in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Case {
    /// Plain forwarding: half of the frames to other nodes by gateways, half to pods.
    #[value(name = "forward/node")]
    Forward,
    /// From pods to addresses of a full table, all that it holds being equally likely.
    #[value(name = "forward/full-uniform")]
    FullUniform,
    /// From pods to addresses of a full table, prefixes being as popular as Zipf has it.
    #[value(name = "forward/full-zipf")]
    FullZipf,
    /// From pods into IPIP tunnels.
    #[value(name = "ipip-entry/node")]
    IpipEntry,
    /// From IPIP tunnels to pods.
    #[value(name = "ipip-exit/node")]
    IpipExit,
    /// From pods into VXLAN tunnels.
    #[value(name = "vxlan-entry/node")]
    VxlanEntry,
    /// From VXLAN tunnels to pods.
    #[value(name = "vxlan-exit/node")]
    VxlanExit,
    /// Pods ask for their gateway.
    #[value(name = "arp/node")]
    Arp,
}

/// A frame that comes in.
pub(crate) struct Stimulus {
    /// The port that it comes in by.
    pub(crate) port: String,
    /// Its bytes.
    pub(crate) frame: Vec<u8>,
    subject: Subject,
}

/// What a stimulus is about.
#[derive(Clone, Copy)]
struct Subject {
    flow: Flow,
    pod: usize,
    /// The other node.
    peer: usize,
    /// From the pod to the other node, or the other way.
    outwards: bool,
}

/// A frame that must go out.
pub(crate) struct Expected {
    /// By this port.
    pub(crate) port: String,
    /// Its bytes, with what the walk is free to choose as it chose it.
    pub(crate) frame: Vec<u8>,
}

impl Case {
    /// In the order in which they are measured.
    pub(crate) const ALL: &[Self] = &[
        Self::Forward,
        Self::FullUniform,
        Self::FullZipf,
        Self::IpipEntry,
        Self::IpipExit,
        Self::VxlanEntry,
        Self::VxlanExit,
        Self::Arp,
    ];

    /// The name that the contract gives it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward/node",
            Self::FullUniform => "forward/full-uniform",
            Self::FullZipf => "forward/full-zipf",
            Self::IpipEntry => "ipip-entry/node",
            Self::IpipExit => "ipip-exit/node",
            Self::VxlanEntry => "vxlan-entry/node",
            Self::VxlanExit => "vxlan-exit/node",
            Self::Arp => "arp/node",
        }
    }

    /// How its node reaches the others.
    pub(crate) fn way(self) -> Way {
        match self {
            Self::Forward | Self::FullUniform | Self::FullZipf | Self::Arp => Way::Gateway,
            Self::IpipEntry | Self::IpipExit => Way::Ipip,
            Self::VxlanEntry | Self::VxlanExit => Way::Vxlan,
        }
    }

    /// Whether valgrind makes its node in seconds.
    pub(crate) fn is_quickly_made(self) -> bool {
        !matches!(self, Self::FullUniform | Self::FullZipf)
    }

    /// The full table that its node has besides, with `destinations` addresses to send to.
    pub(crate) fn internet(self, destinations: usize) -> Option<Internet> {
        match self {
            Self::FullUniform => Some(Internet::new(Stream::Uniform, destinations)),
            Self::FullZipf => Some(Internet::new(Stream::Zipf, destinations)),
            _ => None,
        }
    }

    /// A frame of another flow, pod and peer each time: the `number`-th.
    pub(crate) fn stimulus(
        self,
        layout: &Layout,
        internet: Option<&Internet>,
        number: usize,
        random: &mut Random,
    ) -> Stimulus {
        let outwards = match self {
            Self::Forward => random.below(2) == 0,
            Self::FullUniform | Self::FullZipf | Self::IpipEntry | Self::VxlanEntry | Self::Arp => true,
            Self::IpipExit | Self::VxlanExit => false,
        };
        let (pod, block) = (random.below(node::PODS), random.below(node::BLOCKS));
        let remote = layout.remote(block, random.below(64) as u32);
        let (remote, peer) =
            internet.map_or((remote, block % node::PEERS), |internet| internet.destination(number));
        let local = layout.pod(pod);
        let (source, destination) = if outwards { (local, remote) } else { (remote, local) };
        let bits = random.bits();
        let flow = Flow {
            source,
            destination,
            ports: (bits as u16 | 0x8000, (bits >> 16) as u16),
            id: (bits >> 32) as u16,
            dont_fragment: bits >> 48 & 3 != 0,
        };
        let subject = Subject { flow, pod, peer, outwards };
        let port = if outwards { node::pod_port(pod) } else { node::UPLINK.to_owned() };
        Stimulus { port, frame: self.received(subject, bits), subject }
    }

    fn received(self, subject: Subject, bits: u64) -> Vec<u8> {
        let Subject { flow, pod, peer, outwards } = subject;
        let packet = flow.packet(TTL);
        let outer = |protocol| Ip { protocol, ttl: TTL - 1, id: (bits >> 8) as u16, dont_fragment: false };
        let (from, peer_mac) = (node::peer_address(peer), node::peer_mac(peer));
        match self {
            Self::Arp => {
                let pod = (node::pod_mac(pod), flow.source);
                let gateway = (node::POD_PORT_MAC, FAKE_GATEWAY);
                frames::padded(frames::arp(ArpOperation::REQUEST, pod, gateway))
            }
            Self::IpipExit => {
                let tunnelled = frames::ipv4(outer(IPIP), from, node::NODE, &packet);
                frames::ethernet(node::NODE_MAC, peer_mac, &tunnelled)
            }
            Self::VxlanExit => {
                let inside = frames::ethernet(node::VXLAN_MAC, node::vtep_mac(peer), &packet);
                let ports = (0xc000 | bits as u16, node::VXLAN_PORT);
                let datagram = frames::vxlan(ports, node::VNI, &inside);
                let tunnelled = frames::ipv4(outer(UDP), from, node::NODE, &datagram);
                frames::ethernet(node::NODE_MAC, peer_mac, &tunnelled)
            }
            _ if outwards => frames::ethernet(node::POD_PORT_MAC, node::pod_mac(pod), &packet),
            _ => frames::ethernet(node::NODE_MAC, peer_mac, &packet),
        }
    }

    /// What must become of `stimulus`. `sent` is what the walk made of it, for the fields that it is free to choose.
    pub(crate) fn expected(self, stimulus: &Stimulus, sent: &[u8]) -> Expected {
        let Subject { flow, pod, peer, outwards } = stimulus.subject;
        let packet = flow.packet(TTL - 1);
        let outer = |protocol, dont_fragment, ttl| Ip {
            protocol,
            ttl,
            id: frames::identification(sent),
            dont_fragment,
        };
        let (to, peer_mac) = (node::peer_address(peer), node::peer_mac(peer));
        let frame = match self {
            Self::Arp => {
                let gateway = (node::POD_PORT_MAC, FAKE_GATEWAY);
                frames::arp(ArpOperation::REPLY, gateway, (node::pod_mac(pod), flow.source))
            }
            // RFC 2003 3.1: the inner DF is copied, and the link inherits the inner TTL.
            Self::IpipEntry => {
                let outer = outer(IPIP, flow.dont_fragment, TTL - 1);
                let tunnelled = frames::ipv4(outer, node::NODE, to, &packet);
                frames::ethernet(peer_mac, node::NODE_MAC, &tunnelled)
            }
            Self::VxlanEntry => {
                let inside = frames::ethernet(node::vtep_mac(peer), node::VXLAN_MAC, &packet);
                let source = frames::udp_source(sent);
                // RFC 7348 5: from the dynamic range.
                let ports = (source.max(49_152), node::VXLAN_PORT);
                let datagram = frames::vxlan(ports, node::VNI, &inside);
                let tunnelled = frames::ipv4(outer(UDP, false, 64), node::NODE, to, &datagram);
                frames::ethernet(peer_mac, node::NODE_MAC, &tunnelled)
            }
            _ if outwards => frames::ethernet(peer_mac, node::NODE_MAC, &packet),
            _ => frames::ethernet(node::pod_mac(pod), node::POD_PORT_MAC, &packet),
        };
        let port = match self {
            Self::Arp => node::pod_port(pod),
            _ if outwards => node::UPLINK.to_owned(),
            _ => node::pod_port(pod),
        };
        Expected { port, frame }
    }
}

const _: () = assert!(SHORTEST == 60, "64 bytes on the wire");
