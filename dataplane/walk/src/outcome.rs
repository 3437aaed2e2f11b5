//! The ways in which a frame's walk ends: each has one name, which is its counter.

use crate::tables::PortId;

/// How the walk of one received frame ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It left by a port, perhaps in a tunnel, perhaps in fragments.
    Forwarded(PortId),
    /// It was an ARP request, and the reply left by the port it came in by.
    Answered(PortId),
    /// The kernel shall see it.
    Punted(PuntReason),
    /// It is lost, and this is why.
    Dropped(DropReason),
}

/// How much a drop means to whoever runs the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A healthy network shows some.
    Info,
    /// Somebody sends what they should not, or a table lacks something.
    Warning,
    /// This node is at fault or overloaded.
    Error,
}

macro_rules! reasons {
    ($(#[$meta:meta])* $kind:ident { $($(#[$variant_meta:meta])* $variant:ident = $name:literal, $severity:ident, $help:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $kind {
            $(#[doc = $help] $(#[$variant_meta])* $variant,)*
        }

        impl $kind {
            /// Every reason, in the order of the walk.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name of its counter, an interface that never changes.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// How much it means.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),* }
            }

            /// One line for whoever reads the counter.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }
        }

        impl core::fmt::Display for $kind {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

reasons! {
    /// Why a frame was dropped.
    DropReason {
        Runt = "runt", Warning, "too short for its Ethernet, ARP or fixed IP header";
        OtherHost = "other_host", Info, "unicast to a MAC address that is not this port's";
        VlanUnknown = "vlan_unknown", Warning, "tagged with a VLAN that no link of this node carries";
        EthertypeUnknown = "ethertype_unknown", Warning, "an EtherType inside a tunnel that is not walked";
        ArpMalformed = "arp_malformed", Warning, "ARP with wrong types or lengths, or a sender that is not the Ethernet source";
        ArpNotOurs = "arp_not_ours", Info, "ARP for an address that is neither ours nor proxied, or from one that is ours";
        IpVersion = "ip_version", Warning, "the IP version is not 4";
        IpHeaderLength = "ip_header_length", Warning, "header length below 20 bytes, or beyond the packet";
        IpTotalLength = "ip_total_length", Warning, "total length beyond the frame";
        IpChecksum = "ip_checksum", Warning, "the header checksum is wrong";
        IpBadSource = "ip_bad_source", Warning, "a source that no packet on a wire may have, or one of our own";
        IpBadDestination = "ip_bad_destination", Warning, "a destination that may not be forwarded (0/8, 127/8)";
        IpNotUnicast = "ip_not_unicast", Warning, "a unicast packet in a broadcast or multicast frame";
        ForwardingOff = "forwarding_off", Warning, "the interface that it came in by does not forward";
        TtlExpired = "ttl_expired", Info, "the TTL ended here; the sender is told (ICMP 11/0) where an error is due";
        MtuExceeded = "mtu_exceeded", Info, "too big for the next link and not to be fragmented; the sender is told (ICMP 3/4)";
        FragmentFailed = "fragment_failed", Error, "too big for the next link, and no free frame, no room or no offset for its fragments";
        NoRoute = "no_route", Warning, "no table has a route to the destination";
        Blackhole = "blackhole", Info, "the route is a blackhole";
        Unreachable = "unreachable", Info, "the route, or the rule, says unreachable";
        Prohibit = "prohibit", Info, "the route, or the rule, says prohibit";
        NeighbourUnresolved = "neighbour_unresolved", Warning, "the next hop's MAC address is not known";
        LinkDown = "link_down", Warning, "the link that it came in or would leave by is down";
        TunnelUnknown = "tunnel_unknown", Warning, "a tunnel packet for us, and no tunnel has these endpoints";
        TunnelPeerUnknown = "tunnel_peer_unknown", Warning, "a tunnel packet from an address that is no peer of the tunnel";
        TunnelFromWorkload = "tunnel_from_workload", Warning, "a tunnel packet for us that a workload sent";
        TunnelFragment = "tunnel_fragment", Warning, "a fragment of a tunnel packet where no kernel can reassemble it";
        TunnelNested = "tunnel_nested", Warning, "a tunnel packet for us inside a tunnel packet for us";
        TunnelLoop = "tunnel_loop", Warning, "a packet that would enter the tunnel which carries it (RFC 2003 3.2)";
        TunnelUnroutable = "tunnel_unroutable", Warning, "no route to the tunnel's peer";
        FdbMissing = "fdb_missing", Warning, "no forwarding entry says behind which VTEP the next hop's MAC address is";
        UdpLength = "udp_length", Warning, "a UDP length beyond its packet, or too short for what it carries";
        UdpChecksum = "udp_checksum", Warning, "the UDP checksum of a tunnel packet is wrong";
        VxlanFlags = "vxlan_flags", Warning, "a VXLAN header without the I flag";
        VxlanVni = "vxlan_vni", Warning, "a VNI that no VXLAN link of this node has";
        InnerMalformed = "inner_malformed", Warning, "a fault in a header inside a tunnel";
        EcnCongestion = "ecn_congestion", Info, "congestion marked outside, and the packet inside cannot say so (RFC 6040)";
        NoHeadroom = "no_headroom", Error, "the driver left too little room before the frame for a tunnel header";
        TxRingFull = "tx_ring_full", Error, "the transmit ring of the port is full";
        PortGone = "port_gone", Error, "the port went away with the frame on its way";
    }
}

reasons! {
    /// Why a frame was handed to the kernel.
    PuntReason {
        Local = "local", Info, "it is for this node itself";
        Neighbour = "neighbour", Info, "the kernel shall resolve the next hop";
        NotHeld = "not_held", Info, "its way needs a link, a rule or a route that packetwalk does not walk";
        Multicast = "multicast", Info, "IP multicast";
        Bridge = "bridge", Info, "the bridge must flood it, or does not know its destination";
        NotIp = "not_ip", Info, "an EtherType that is not walked";
        Ipv6 = "ipv6", Info, "IPv6";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_the_form_of_a_metric_label() {
        let names: Vec<_> = DropReason::ALL
            .iter()
            .map(|r| r.name())
            .chain(PuntReason::ALL.iter().map(|r| r.name()))
            .collect();
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name} twice");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            );
        }
    }
}
