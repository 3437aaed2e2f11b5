//! A map from prefixes whose keys take no more room than their family needs: with a million of them, the key is most of it.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A map from prefixes, in their order; IPv4 first.
#[derive(Clone, Debug)]
pub(super) struct Prefixes<T> {
    /// Keys of 5 bytes.
    ipv4: BTreeMap<Ipv4Net, T>,
    /// Keys of 17 bytes.
    ipv6: BTreeMap<Ipv6Net, T>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self { ipv4: BTreeMap::new(), ipv6: BTreeMap::new() }
    }
}

impl<T> Prefixes<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }

    pub(super) fn get(&self, prefix: IpNet) -> Option<&T> {
        match prefix {
            IpNet::V4(prefix) => self.ipv4.get(&prefix),
            IpNet::V6(prefix) => self.ipv6.get(&prefix),
        }
    }

    /// Returns what was there before.
    pub(super) fn insert(&mut self, prefix: IpNet, value: T) -> Option<T> {
        match prefix {
            IpNet::V4(prefix) => self.ipv4.insert(prefix, value),
            IpNet::V6(prefix) => self.ipv6.insert(prefix, value),
        }
    }

    /// Returns what was there.
    pub(super) fn remove(&mut self, prefix: IpNet) -> Option<T> {
        match prefix {
            IpNet::V4(prefix) => self.ipv4.remove(&prefix),
            IpNet::V6(prefix) => self.ipv6.remove(&prefix),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (IpNet, &T)> {
        let ipv4 = self.ipv4.iter().map(|(prefix, value)| (IpNet::V4(*prefix), value));
        ipv4.chain(self.ipv6.iter().map(|(prefix, value)| (IpNet::V6(*prefix), value)))
    }

    /// Those behind `prefix`, which need not be there.
    pub(super) fn after(&self, prefix: IpNet) -> impl Iterator<Item = (IpNet, &T)> {
        let (ipv4, ipv6) = match prefix {
            IpNet::V4(prefix) => {
                (Some((Bound::Excluded(prefix), Bound::Unbounded)), (Bound::Unbounded, Bound::Unbounded))
            }
            IpNet::V6(prefix) => (None, (Bound::Excluded(prefix), Bound::Unbounded)),
        };
        let ipv4 = ipv4.into_iter().flat_map(|range| self.ipv4.range(range));
        let ipv4 = ipv4.map(|(prefix, value)| (IpNet::V4(*prefix), value));
        ipv4.chain(self.ipv6.range(ipv6).map(|(prefix, value)| (IpNet::V6(*prefix), value)))
    }
}
