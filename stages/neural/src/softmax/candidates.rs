//! Finds the likeliest types for each token, to inspect a single step. This is a plain loop, since training never waits
//! for it.

use identity::observations::Measured;
use stages::protocol::Predicted;

use crate::real::Real;

/// For each token, its highest logits with their types, and the number of logits above that of its target.
pub(super) struct Candidates<T> {
    highest: Vec<Vec<(T, u32)>>,
    above: Vec<u64>,
}

impl<T: Real> Candidates<T> {
    /// Finds the candidates in logits [V, N], whose rows start every `stride` elements; `targets` are the logits of the
    /// tokens' targets. Among types with equal logits, the first ones are taken.
    pub(super) fn of(logits: &[T], stride: usize, targets: &[T]) -> Self {
        let mut highest = vec![Vec::with_capacity(Predicted::NAMED + 1); targets.len()];
        let mut above = vec![0; targets.len()];
        for (row, id) in logits.chunks_exact(stride).zip(0u32..) {
            for (((x, target), highest), above) in row.iter().zip(targets).zip(&mut highest).zip(&mut above) {
                *above += u64::from(x > target);
                let full = highest.len() == Predicted::NAMED;
                if !full || highest.last().is_some_and(|(least, _)| x > least) {
                    let at = highest.partition_point(|(other, _)| other >= x);
                    highest.insert(at, (*x, id));
                    highest.truncate(Predicted::NAMED);
                }
            }
        }
        Self { highest, above }
    }

    /// The prediction for token `t`, whose target cost `loss` nats. The token's largest logit is `max`, and `z` is the
    /// sum of its exponentials.
    pub(super) fn predicted(&self, t: usize, max: T, z: f64, loss: f64) -> Predicted {
        let loss = Measured(loss);
        // A NaN or infinite logit leaves no probabilities.
        if !z.is_finite() {
            return Predicted { loss, rank: None, likeliest: Vec::new() };
        }
        let share = |(x, id): &(T, u32)| (*id, (x.wide() - max.wide() - z.ln()).exp());
        let likeliest = self.highest[t].iter().map(share).collect();
        Predicted { loss, rank: Some(self.above[t] + 1), likeliest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_come_first_and_ties_go_to_the_first_type() {
        // The logits of two tokens, and a lane of padding.
        let first = [0.0f32, 3.0, 1.0, 3.0, 2.0, -1.0, 1.0];
        let logits: Vec<f32> = first.iter().flat_map(|x| [*x, -*x, 9.0]).collect();
        let found = Candidates::of(&logits, 3, &[1.0, -1.0]);
        let z = |sign: f32| first.iter().map(|x| f64::from(sign * x).exp()).sum::<f64>();
        for (t, sign, max, ids, rank) in [(0, 1.0, 3.0, [1, 3, 4, 2, 6], 4), (1, -1.0, 1.0, [5, 0, 2, 6, 4], 3)] {
            let of_max = z(sign) / f64::from(max).exp();
            let Predicted { rank: found_rank, likeliest, .. } = found.predicted(t, max, of_max, 2.0);
            assert_eq!((found_rank, likeliest.len()), (Some(rank), 5));
            for ((id, p), wanted) in likeliest.into_iter().zip(ids) {
                let exact = f64::from(sign * first[wanted as usize]).exp() / z(sign);
                assert!(id == wanted && (p - exact).abs() < 1e-12, "{t}: {id} {p}, wanted {wanted} {exact}");
            }
        }
        assert_eq!(found.predicted(0, f32::NAN, f64::NAN, f64::NAN).likeliest, []);
        assert_eq!(Candidates::of(&[1.0f32, f32::NAN, 2.0], 1, &[1.0]).highest[0][0].1, 2, "NaN never ranks first");
    }
}
