//! Chooses the next token from its logits.
//!
//! In this order (as the transformers library has it): the logits are divided by the temperature; `top_k` leaves the k
//! likeliest; `top_p` leaves, of those, the fewest likeliest whose probabilities, taken over what `top_k` left, reach p
//! (Holtzman et al. 2020, arXiv 1904.09751). Of equally likely tokens the smaller id comes first. Then one number,
//! uniform in [0, 1), falls into what is left, which lies in the order of the ids.
//!
//! Probabilities are summed as whole numbers, for their sum is then the same in any order: what is drawn can't depend on
//! how a sort or a vector instruction goes about it.

use std::cmp::Ordering;

use super::kernels::Kernels;
use crate::params::Decode;

/// Chooses tokens; its buffers are kept from one to the next.
#[derive(Debug)]
pub(super) struct Chooser {
    kernels: Kernels,
    exponentials: Vec<f32>,
    weights: Vec<u64>,
    order: Vec<u32>,
}

/// The weight of the likeliest token. 2²⁴ types, the most that a vocabulary holds, can't overflow a sum of weights, and
/// only tokens 3·10¹¹ times less likely than the likeliest are never drawn.
const ONE: f32 = (1u64 << 38) as f32;

impl Chooser {
    pub(super) fn new(kernels: Kernels) -> Self {
        Self { kernels, exponentials: Vec::new(), weights: Vec::new(), order: Vec::new() }
    }

    /// The next token; all `logits` must be finite, and there must be one. `uniform` in [0, 1) decides a draw.
    pub(super) fn choose(&mut self, logits: &[f32], decode: Decode, uniform: f64) -> u32 {
        let best = likeliest(logits);
        let Decode::Draw { temperature, top_k, top_p } = decode else { return best };
        // Kept finite: at a temperature near 0 all but the likeliest then weigh nothing, rather than NaN.
        let scale = (1.0 / temperature).min(1e30) as f32;
        self.exponentials.resize(logits.len(), 0.0);
        self.kernels.exponentials(logits, logits[best as usize], scale, &mut self.exponentials);
        self.weights.clear();
        // Times a power of two: exact, then rounded down.
        self.weights.extend(self.exponentials.iter().map(|x| (x * ONE) as u64));
        if top_k.is_none() && top_p.is_none() {
            return fall(&self.weights, 0..logits.len() as u32, uniform);
        }
        self.order.clear();
        self.order.extend(0..logits.len() as u32);
        if let Some(k) = top_k {
            keep_first(&mut self.order, usize::try_from(k).unwrap_or(usize::MAX), logits);
        }
        if let Some(p) = top_p {
            keep_share(&mut self.order, p, logits, &self.weights);
        }
        fall(&self.weights, self.order.iter().copied(), uniform)
    }
}

/// The token with the greatest logit, the first of equals.
fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

/// The likelier first, then the smaller id.
fn order_by(logits: &[f32]) -> impl Fn(&u32, &u32) -> Ordering + '_ {
    |a, b| {
        let (x, y) = (logits[*a as usize], logits[*b as usize]);
        y.partial_cmp(&x).unwrap_or(Ordering::Equal).then(a.cmp(b))
    }
}

/// Leaves the `k` likeliest of `ids`, in the order of the ids.
fn keep_first(ids: &mut Vec<u32>, k: usize, logits: &[f32]) {
    if k < ids.len() {
        ids.select_nth_unstable_by(k, order_by(logits));
        ids.truncate(k);
        ids.sort_unstable();
    }
}

/// Leaves the fewest likeliest of `ids` whose weights reach the share `p` of all their weights, in the order of the ids.
///
/// Approach: bisection. `ids[..low]` are the likeliest and don't suffice, `ids[..high]` do; selecting the likelier half
/// of those between costs half as much each time, where sorting all would cost more than the forward pass.
fn keep_share(ids: &mut Vec<u32>, p: f64, logits: &[f32], weights: &[u64]) {
    let sum = |ids: &[u32]| ids.iter().map(|id| weights[*id as usize]).sum::<u64>();
    let total = sum(ids);
    let enough = ((p * total as f64).ceil() as u64).min(total);
    let (mut low, mut high, mut below) = (0, ids.len(), 0);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        ids[low..high].select_nth_unstable_by(middle - low, order_by(logits));
        let half = sum(&ids[low..middle]);
        if below + half >= enough {
            high = middle;
        } else {
            below += half;
            low = middle;
        }
    }
    ids.truncate(high);
    ids.sort_unstable();
}

/// The id into whose weight `uniform` of the sum of all falls.
fn fall(weights: &[u64], ids: impl Iterator<Item = u32> + Clone, uniform: f64) -> u32 {
    let weight = |id: u32| weights[id as usize];
    let total: u64 = ids.clone().map(weight).sum();
    // Below the total even where the product rounds up to it: the last id that weighs anything then takes it.
    let mut rest = ((uniform * total as f64) as u64).min(total.saturating_sub(1));
    for id in ids {
        match rest.checked_sub(weight(id)) {
            Some(less) => rest = less,
            None => return id,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Greedy;
    use crate::random::Stream;

    fn draw(temperature: f64, top_k: Option<u64>, top_p: Option<f64>) -> Decode {
        Decode::Draw { temperature, top_k, top_p }
    }

    /// The definition: every token's probability, by sorting all.
    fn naive(logits: &[f32], temperature: f64, top_k: Option<u64>, top_p: Option<f64>) -> Vec<f64> {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|a, b| logits[*b].partial_cmp(&logits[*a]).unwrap());
        let max = f64::from(logits[order[0]]);
        let mut p: Vec<f64> = logits.iter().map(|x| libm::exp((f64::from(*x) - max) / temperature)).collect();
        for id in order.iter().skip(top_k.map_or(usize::MAX, |k| k as usize)) {
            p[*id] = 0.0;
        }
        let mut sum = 0.0;
        let enough = top_p.unwrap_or(2.0) * p.iter().sum::<f64>();
        for id in order {
            if sum >= enough {
                p[id] = 0.0;
            }
            sum += p[id];
        }
        let total: f64 = p.iter().sum();
        p.iter().map(|x| x / total).collect()
    }

    #[test]
    fn draws_follow_the_definition() {
        let random = Stream::new(5, "decode test");
        let logits: Vec<f32> = (0..300).map(|i| (random.normal(i) * 3.0) as f32).collect();
        let mut chooser = Chooser::new(Kernels::detect());
        for (temperature, top_k, top_p) in [
            (1.0, None, None),
            (0.7, Some(7), None),
            (1.5, None, Some(0.9)),
            (2.0, Some(200), Some(0.95)),
            (9.0, None, Some(0.99)),
            (1.0, Some(500), Some(1.0)),
        ] {
            let expected = naive(&logits, temperature, top_k, top_p);
            let n = 20_000;
            let mut found = vec![0.0; logits.len()];
            for i in 0..n {
                // Evenly spread instead of random: each token is then hit in proportion to within one draw.
                let uniform = (i as f64 + 0.5) / n as f64;
                found[chooser.choose(&logits, draw(temperature, top_k, top_p), uniform) as usize] += 1.0 / n as f64;
            }
            for (id, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert!((found - expected).abs() < 1.5 / n as f64, "{temperature} {top_k:?} {top_p:?}: {id}");
                assert!(*expected > 0.0 || *found == 0.0, "{id} was cut off");
            }
        }
    }

    #[test]
    fn equals_go_to_the_smaller_id() {
        let logits = [0.0, 2.0, -1.0, 2.0, 2.0];
        let mut chooser = Chooser::new(Kernels::detect());
        assert_eq!(chooser.choose(&logits, Decode::Greedy(Greedy::Greedy), 0.9), 1);
        assert_eq!(chooser.choose(&logits, draw(1.0, Some(1), None), 0.99), 1);
        assert_eq!(chooser.choose(&logits, draw(1.0, Some(2), None), 0.99), 3);
        assert_eq!(chooser.choose(&logits, draw(1.0, None, Some(0.01)), 0.99), 1);
    }

    #[test]
    fn extreme_temperatures_draw_the_likeliest_or_anything() {
        let logits = [f32::MIN, 1.0, f32::MAX, 2.0];
        let mut chooser = Chooser::new(Kernels::detect());
        for uniform in [0.0, 0.5, 0.999] {
            assert_eq!(chooser.choose(&logits, draw(1e-320, None, None), uniform), 2);
            assert_eq!(chooser.choose(&logits, draw(1e300, None, None), uniform), (uniform * 4.0) as u32);
        }
    }
}
