//! Measuring several things in turn.

/// Measures each of `subjects` once a round, in turn, so that what disturbs the machine for a while disturbs all of them alike. `round`
/// returns the ticks of `units` units of work; the result is, for each subject, the ticks a unit of each round.
pub(crate) fn in_turn<S, E>(
    subjects: &mut [S],
    rounds: u16,
    units: usize,
    mut round: impl FnMut(&mut S) -> Result<u64, E>,
) -> Result<Vec<Vec<f64>>, E> {
    let mut ticks = vec![Vec::with_capacity(usize::from(rounds)); subjects.len()];
    for _ in 0..rounds {
        for (subject, ticks) in subjects.iter_mut().zip(&mut ticks) {
            #[allow(clippy::cast_precision_loss, reason = "a round takes far less than 2^53 clocks")]
            ticks.push(round(subject)? as f64 / units as f64);
        }
    }
    Ok(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_take_turns() {
        let mut order = Vec::new();
        let measured = in_turn(&mut [3u64, 5], 2, 2, |subject| {
            order.push(*subject);
            Ok::<_, ()>(*subject)
        });
        assert_eq!((measured, order), (Ok(vec![vec![1.5, 1.5], vec![2.5, 2.5]]), vec![3, 5, 3, 5]));
    }
}
