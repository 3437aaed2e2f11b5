//! Which flow a packet belongs to.

use crate::wire::ipv4::{Ipv4, TCP, UDP};

/// Protocols whose header begins with two ports: TCP, UDP, DCCP, SCTP and UDP-Lite.
#[inline]
fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | 33 | 132 | 136)
}

/// The hash of a packet's flow: of addresses, protocol and ports; of a fragment, the first one included, without
/// ports, so that all fragments of a datagram go one way. All 64 bits are good.
#[inline]
pub fn hash(ip: Ipv4<'_>, key: u64) -> u64 {
    let payload = ip.payload();
    let ports = if has_ports(ip.protocol()) && !ip.is_fragment() && payload.len() >= 4 {
        u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]])
    } else {
        0
    };
    mix(ip.source(), ip.destination(), ports, ip.protocol(), key)
}

/// Two rounds of folded multiplication over the whole tuple.
#[inline]
fn mix(source: u32, destination: u32, ports: u32, protocol: u8, key: u64) -> u64 {
    let addresses = u64::from(source) << 32 | u64::from(destination);
    let rest = u64::from(ports) << 8 | u64::from(protocol);
    let first = folded(addresses ^ key, 0x9e37_79b9_7f4a_7c15);
    folded(first ^ rest ^ key.rotate_left(32), 0xd6e8_feb8_6659_fd93)
}

#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_bit_of_the_tuple_changes_half_of_the_hash() {
        let base = mix(0x0a00_0001, 0x0a01_0002, 0x3039_0050, TCP, 7);
        let mut worst = 32u32;
        for bit in 0..96 {
            let flipped = mix(
                0x0a00_0001 ^ if bit < 32 { 1 << bit } else { 0 },
                0x0a01_0002 ^ if (32..64).contains(&bit) { 1 << (bit - 32) } else { 0 },
                0x3039_0050 ^ if bit >= 64 { 1 << (bit - 64) } else { 0 },
                TCP,
                7,
            );
            worst = worst.min((base ^ flipped).count_ones());
        }
        assert!(worst >= 12, "only {worst} bits of 64 changed");
    }

    #[test]
    fn flows_spread_over_the_upper_bits() {
        let mut buckets = [0u32; 16];
        for flow in 0..32_000u32 {
            let hash = mix(0x0a00_0001 + flow / 200, 0x0a01_0002, 0x8000_0050 + (flow << 16), UDP, 7);
            buckets[(hash >> 60) as usize] += 1;
        }
        for count in buckets {
            assert!(count.abs_diff(2000) < 200, "{buckets:?}");
        }
    }
}
