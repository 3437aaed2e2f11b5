//! Where a route leads: one adjacency, or a group that shares its flows among several.

use super::AdjacencyId;
use std::sync::Arc;

/// Buckets of a group: a power of two.
pub const BUCKETS: usize = 4096;

/// The highest bit of what a FIB can hold.
const GROUP: u32 = (packetwalk_fib::MAX_VALUE + 1) >> 1;

/// What a FIB holds: an adjacency or a group. The value 0 is [`AdjacencyId::NO_ROUTE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HopId(pub u32);

impl HopId {
    /// No route.
    pub const NONE: Self = Self(0);

    /// So many adjacencies can be named, and so many groups.
    pub const LIMIT: usize = GROUP as usize;

    /// One adjacency.
    pub fn adjacency(id: AdjacencyId) -> Self {
        debug_assert!(id.0 < GROUP, "adjacency {id:?} does not fit");
        Self(id.0)
    }

    /// A group.
    pub fn group(number: u32) -> Self {
        debug_assert!(number < GROUP, "group {number} does not fit");
        Self(GROUP | number)
    }

    /// Which it is.
    #[inline]
    pub fn resolve(self) -> Result<AdjacencyId, usize> {
        if self.0 & GROUP == 0 { Ok(AdjacencyId(self.0)) } else { Err((self.0 & !GROUP) as usize) }
    }
}

/// Next hops that share the flows of a route. A clone is the same group: tables are published often, groups change seldom.
#[derive(Clone, Debug)]
pub struct Group {
    buckets: Arc<[AdjacencyId; BUCKETS]>,
}

impl Group {
    /// Shares the buckets among `members` (key, weight, adjacency) by weighted rendezvous hashing: each bucket goes to the
    /// member with the best score in it, so removing one moves its own buckets only. The keys name the members (a
    /// hash of next hop and link) and must stay the same while a member does. None without a member of weight above 0.
    pub fn new(members: &[(u64, u16, AdjacencyId)]) -> Option<Self> {
        let live: Vec<_> = members.iter().filter(|(_, weight, _)| *weight > 0).collect();
        if live.is_empty() {
            return None;
        }
        let mut buckets = [AdjacencyId::NO_ROUTE; BUCKETS];
        for (number, bucket) in buckets.iter_mut().enumerate() {
            let mut best = f64::NEG_INFINITY;
            for (key, weight, adjacency) in &live {
                let score = score(*key, number as u64, *weight);
                if score > best {
                    best = score;
                    *bucket = *adjacency;
                }
            }
        }
        Some(Self { buckets: Arc::new(buckets) })
    }

    /// The adjacency of a flow.
    #[inline]
    pub fn choose(&self, flow: u64) -> AdjacencyId {
        self.buckets[Self::bucket(flow)]
    }

    /// The bucket of a flow: the upper bits of its hash.
    #[inline]
    pub fn bucket(flow: u64) -> usize {
        (flow >> (64 - BUCKETS.trailing_zeros())) as usize
    }

    /// All buckets, for whoever shows or judges the shares.
    pub fn buckets(&self) -> &[AdjacencyId; BUCKETS] {
        &self.buckets
    }
}

/// The logarithmic method of weighted rendezvous hashing (Schindelhauer and Schomaker): -weight / ln(u), u uniform in (0, 1).
fn score(key: u64, bucket: u64, weight: u16) -> f64 {
    let mut mixed = key ^ bucket.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The finalizer of SplitMix64.
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    // 53 bits, moved off zero by half a step, are exact in an f64.
    #[allow(clippy::cast_precision_loss)]
    let uniform = ((mixed >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(weight) / uniform.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(weights: &[u16]) -> Vec<(u64, u16, AdjacencyId)> {
        weights
            .iter()
            .enumerate()
            .map(|(i, w)| ((i as u64 + 1).wrapping_mul(0x1234_5678_9abc_def1), *w, AdjacencyId(i as u32 + 1)))
            .collect()
    }

    fn shares(group: &Group, count: usize) -> Vec<usize> {
        let mut shares = vec![0; count];
        for bucket in group.buckets() {
            shares[bucket.index() - 1] += 1;
        }
        shares
    }

    #[test]
    fn weights_are_honoured() {
        for weights in [&[1u16, 1][..], &[1, 2, 3], &[10, 1, 1, 1], &[1; 8]] {
            let group = Group::new(&members(weights)).expect("members");
            let total: usize = weights.iter().map(|w| usize::from(*w)).sum();
            for (share, weight) in shares(&group, weights.len()).into_iter().zip(weights) {
                let want = BUCKETS * usize::from(*weight) / total;
                assert!(
                    share.abs_diff(want) * 100 <= want * 12,
                    "{weights:?}: {share} buckets, expected about {want}"
                );
            }
        }
    }

    #[test]
    fn removing_a_member_moves_its_own_buckets_only() {
        let all = members(&[3, 1, 2, 1]);
        let before = Group::new(&all).expect("members");
        let after = Group::new(&[all[0], all[2], all[3]]).expect("members");
        for (old, new) in before.buckets().iter().zip(after.buckets()) {
            assert!(old == new || *old == all[1].2);
        }
    }

    #[test]
    fn a_group_needs_a_member_with_weight() {
        assert!(Group::new(&[]).is_none());
        assert!(Group::new(&members(&[0])).is_none());
    }

    #[test]
    fn hop_ids_keep_their_kind() {
        assert_eq!(HopId::adjacency(AdjacencyId(5)).resolve(), Ok(AdjacencyId(5)));
        assert_eq!(HopId::group(5).resolve(), Err(5));
        assert_eq!(HopId::NONE.resolve(), Ok(AdjacencyId::NO_ROUTE));
    }
}
