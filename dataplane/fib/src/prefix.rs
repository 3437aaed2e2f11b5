//! Prefixes.

use core::fmt;
use core::net::Ipv4Addr;

/// An IPv4 prefix whose host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix4 {
    address: u32,
    length: u8,
}

/// Why an address and a length are no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// The length is above 32.
    Length(u8),
    /// Bits beyond the length are set.
    HostBits(Ipv4Addr, u8),
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "prefix length {length}, expected 0 to 32"),
            Self::HostBits(address, length) => write!(f, "{address}/{length} has bits set beyond its length"),
        }
    }
}

impl std::error::Error for PrefixError {}

impl Prefix4 {
    /// The prefix that holds every address.
    pub const DEFAULT: Self = Self { address: 0, length: 0 };

    /// A prefix of `length` bits (0 to 32); `address` must have no bit set beyond them.
    pub fn new(address: Ipv4Addr, length: u8) -> Result<Self, PrefixError> {
        if length > 32 {
            return Err(PrefixError::Length(length));
        }
        let prefix = Self { address: u32::from(address), length };
        if prefix.address & !prefix.mask() != 0 {
            return Err(PrefixError::HostBits(address, length));
        }
        Ok(prefix)
    }

    /// The prefix of `length` bits (0 to 32; more are taken for 32) that holds `address`.
    pub fn containing(address: Ipv4Addr, length: u8) -> Self {
        let prefix = Self { address: u32::from(address), length: length.min(32) };
        Self { address: prefix.address & prefix.mask(), ..prefix }
    }

    /// The /32 of one address.
    pub fn host(address: Ipv4Addr) -> Self {
        Self { address: u32::from(address), length: 32 }
    }

    /// The first address.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::from(self.address)
    }

    /// Its length in bits, 0 to 32.
    pub fn length(self) -> u8 {
        self.length
    }

    /// The netmask, host byte order.
    pub fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.length)).unwrap_or(0)
    }

    /// Whether `address` lies within.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (u32::from(address) ^ self.address) & self.mask() == 0
    }
}

impl fmt::Display for Prefix4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.length)
    }
}

impl fmt::Debug for Prefix4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_and_long_lengths_are_refused() {
        let address = Ipv4Addr::new(10, 0, 0, 1);
        assert_eq!(Prefix4::new(address, 24), Err(PrefixError::HostBits(address, 24)));
        assert_eq!(Prefix4::new(address, 33), Err(PrefixError::Length(33)));
        assert_eq!(Prefix4::host(address).to_string(), "10.0.0.1/32");
    }
}
