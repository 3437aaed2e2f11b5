//! Prefixes.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 prefix whose host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix4 {
    address: u32,
    length: u8,
}

/// An IPv6 prefix whose host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix6 {
    address: u128,
    length: u8,
}

/// Why an address and a length are no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// The length is beyond that of an address (the second).
    Length(u8, u8),
    /// Bits beyond the length are set.
    HostBits(IpAddr, u8),
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length, longest) => write!(f, "prefix length {length}, expected 0 to {longest}"),
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
            return Err(PrefixError::Length(length, 32));
        }
        let prefix = Self { address: u32::from(address), length };
        if prefix.address & !prefix.mask() != 0 {
            return Err(PrefixError::HostBits(address.into(), length));
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

impl Prefix6 {
    /// The prefix that holds every address.
    pub const DEFAULT: Self = Self { address: 0, length: 0 };

    /// A prefix of `length` bits (0 to 128); `address` must have no bit set beyond them.
    pub fn new(address: Ipv6Addr, length: u8) -> Result<Self, PrefixError> {
        if length > 128 {
            return Err(PrefixError::Length(length, 128));
        }
        let prefix = Self { address: u128::from(address), length };
        if prefix.address & !prefix.mask() != 0 {
            return Err(PrefixError::HostBits(address.into(), length));
        }
        Ok(prefix)
    }

    /// The /128 of one address.
    pub fn host(address: Ipv6Addr) -> Self {
        Self { address: u128::from(address), length: 128 }
    }

    /// The first address.
    pub fn address(self) -> Ipv6Addr {
        Ipv6Addr::from(self.address)
    }

    /// Its length in bits, 0 to 128.
    pub fn length(self) -> u8 {
        self.length
    }

    /// The netmask, host byte order.
    pub fn mask(self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0)
    }

    /// Whether `address` lies within.
    pub fn contains(self, address: Ipv6Addr) -> bool {
        (u128::from(address) ^ self.address) & self.mask() == 0
    }
}

impl fmt::Display for Prefix6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.length)
    }
}

impl fmt::Debug for Prefix6 {
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
        assert_eq!(Prefix4::new(address, 24), Err(PrefixError::HostBits(address.into(), 24)));
        assert_eq!(Prefix4::new(address, 33), Err(PrefixError::Length(33, 32)));
        assert_eq!(Prefix4::host(address).to_string(), "10.0.0.1/32");
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        assert_eq!(Prefix6::new(address, 64), Err(PrefixError::HostBits(address.into(), 64)));
        assert_eq!(Prefix6::new(address, 129), Err(PrefixError::Length(129, 128)));
        assert_eq!(Prefix6::host(address).to_string(), "2001:db8::1/128");
    }

    #[test]
    fn a_prefix_holds_its_addresses_and_no_other() {
        let four = Prefix4::new(Ipv4Addr::new(10, 128, 0, 0), 9).expect("a prefix");
        assert!(
            four.contains(Ipv4Addr::new(10, 255, 255, 255)) && !four.contains(Ipv4Addr::new(10, 127, 0, 0))
        );
        assert!(Prefix4::DEFAULT.contains(Ipv4Addr::BROADCAST));
        let six = Prefix6::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0x8000, 0, 0, 0), 65).expect("a prefix");
        assert!(six.contains(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0xffff, 0, 0, 1)));
        assert!(!six.contains(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0x7fff, 0, 0, 1)));
        assert!(Prefix6::DEFAULT.contains(Ipv6Addr::LOCALHOST));
    }
}
