//! The addresses that are looked up.

use super::table::{Family, Route, wide};
use crate::random::Random;

/// Which addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Stream {
    /// Each address that a route (but the default) holds is as likely as any other.
    Uniform,
    /// Each route has its popularity, the n-th most popular one 1/n of the first one's, whatever its length.
    Zipf,
    /// One address, over and over.
    OneFlow,
}

impl Stream {
    /// `count` addresses of a table, whose first route is the default.
    pub(crate) fn addresses(self, family: Family, routes: &[Route], count: usize) -> Vec<u128> {
        let mut random = Random::new(7);
        let mut routes = routes[1..].to_vec();
        let host =
            |random: &mut Random, route: Route| route.address | wide(random) & family.free(route.length);
        #[allow(clippy::cast_precision_loss, reason = "a draw need not be exact")]
        let weights: Vec<f64> = match self {
            Self::OneFlow => {
                let address = host(&mut random, routes[routes.len() - 1]);
                return vec![address; count];
            }
            Self::Uniform => routes.iter().map(|route| family.free(route.length) as f64 + 1.0).collect(),
            Self::Zipf => {
                random.shuffle(&mut routes);
                (1..=routes.len()).map(|rank| 1.0 / rank as f64).collect()
            }
        };
        let mut sum = 0.0;
        let sums: Vec<f64> = weights
            .iter()
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        let mut draw = || {
            #[allow(clippy::cast_precision_loss, reason = "a draw need not be exact")]
            let at = random.bits() as f64 / u64::MAX as f64 * sum;
            let route = routes[sums.partition_point(|until| *until <= at).min(routes.len() - 1)];
            host(&mut random, route)
        };
        (0..count).map(|_| draw()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn popular_routes_are_looked_up_more_often_and_large_ones_too() {
        let route = |address: u128, length| Route { address, length, hop: 1 };
        let routes: Vec<_> =
            [(0, 0), (0x0a00_0000, 8), (0x0b00_0000, 9), (0x0c00_0000, 32)].map(|(a, l)| route(a, l)).into();
        let within =
            |addresses: &[u128], first| addresses.iter().filter(|address| **address >> 24 == first).count();
        let uniform = Stream::Uniform.addresses(Family::V4, &routes, 3000);
        assert!((1900..2100).contains(&within(&uniform, 10)) && (900..1100).contains(&within(&uniform, 11)));
        let zipf = Stream::Zipf.addresses(Family::V4, &routes, 3000);
        let mut counts = [10, 11, 12].map(|first| within(&zipf, first));
        counts.sort_unstable();
        assert!(counts[0] > 400 && counts[1] > 700 && counts[2] > 1500, "{counts:?}");
        assert_eq!(Stream::OneFlow.addresses(Family::V4, &routes, 3), [0x0c00_0000; 3]);
    }
}
