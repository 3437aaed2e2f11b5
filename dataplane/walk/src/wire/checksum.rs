//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

/// The one's complement sum of `bytes` taken as 16-bit words, added to `sum`, not yet folded. An odd last byte counts as
/// the first of a word.
///
/// The words are in the machine's byte order, and so is what is added to `sum`: the sum has the same bytes in any
/// (RFC 1071 2 B), and [`fold`] puts them right.
#[inline]
pub fn add(sum: u64, bytes: &[u8]) -> u64 {
    let mut sum = sum;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        sum += u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    }
    let rest = words.remainder();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum + u64::from(u32::from_ne_bytes(last))
}

/// The 16-bit one's complement sum, host byte order.
#[inline]
pub fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    u16::from_be(sum as u16)
}

/// The checksum of `bytes`, in which the checksum field is zero.
#[inline]
pub fn checksum(bytes: &[u8]) -> u16 {
    !fold(add(0, bytes))
}

/// Whether `bytes`, the checksum field among them, are intact.
#[inline]
pub fn verify(bytes: &[u8]) -> bool {
    fold(add(0, bytes)) == 0xffff
}

/// The checksum after one 16-bit word changed from `old` to `new`: RFC 1624 3, equation 3, HC' = ~(~HC + ~m + m').
#[inline]
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(!old) + u32::from(new);
    let sum = (sum >> 16) + (sum & 0xffff);
    !((sum >> 16) + sum) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 as it is written: 16 bits at a time.
    fn by_the_book(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn the_update_equals_recomputation_for_every_checksum() {
        // A header whose checksum takes every value: the identification runs through all of its.
        let mut header = [0x45, 0, 0, 0x54, 0, 0, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        for id in 0..=u16::MAX {
            header[4..6].copy_from_slice(&id.to_be_bytes());
            for ttl in [255u8, 64, 2, 1] {
                header[8] = ttl;
                let before = by_the_book(&header);
                let old = u16::from_be_bytes([ttl, 1]);
                header[8] = ttl - 1;
                let new = u16::from_be_bytes([ttl - 1, 1]);
                assert_eq!(update(before, old, new), by_the_book(&header), "id {id} ttl {ttl}");
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_book(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(checksum(&bytes), by_the_book(&bytes));
        }
    }
}
