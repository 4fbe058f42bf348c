//! Chooses the next token from its logits.
//!
//! In this order (as the transformers library has it): the logits are divided by the temperature; `top_k` leaves the k
//! likeliest; `top_p` leaves, of those, the fewest likeliest whose probabilities, taken over what `top_k` left, reach p
//! (Holtzman et al. 2020, arXiv 1904.09751). Of equally likely tokens the smaller id comes first. Then one number,
//! uniform in [0, 1), falls into what is left, which lies in the order of the ids.
//!
//! Probabilities are summed as whole numbers, for their sum is then the same in any order: what is drawn can't depend on
//! how a sort or a vector instruction goes about it.

use super::kernels::Kernels;
use crate::params::Decode;

/// Chooses tokens; its buffers are kept from one to the next.
#[derive(Debug)]
pub(super) struct Chooser {
    kernels: Kernels,
    /// Of each token. The likeliest weighs 2³⁸: 2²⁴ types, the most that a vocabulary holds, can't overflow a sum, and
    /// only tokens 3·10¹¹ times less likely than the likeliest are never drawn.
    weights: Vec<u64>,
    ranks: Vec<u64>,
}

impl Chooser {
    pub(super) fn new(kernels: Kernels) -> Self {
        Self { kernels, weights: Vec::new(), ranks: Vec::new() }
    }

    /// The next token; all `logits` must be finite, and there must be one. `uniform` in [0, 1) decides a draw.
    pub(super) fn choose(&mut self, logits: &[f32], decode: Decode, uniform: f64) -> u32 {
        let max = self.kernels.greatest(logits);
        let Decode::Draw { temperature, top_k, top_p } = decode else { return first(logits, max) };
        // Kept finite: at a temperature near 0 all but the likeliest then weigh nothing, rather than NaN.
        let scale = (1.0 / temperature).min(1e30) as f32;
        self.weights.resize(logits.len(), 0);
        self.kernels.weigh(logits, max, scale, &mut self.weights);
        if top_k.is_some() || top_p.is_some() {
            self.cut(logits, top_k, top_p);
        }
        self.fall(uniform)
    }

    /// Takes the weight of every token that `top_k` or `top_p` leaves out.
    fn cut(&mut self, logits: &[f32], top_k: Option<u64>, top_p: Option<f64>) {
        self.ranks.clear();
        self.ranks.extend(logits.iter().zip(0..).map(|(logit, id)| rank(*logit, id)));
        let k = top_k.and_then(|k| usize::try_from(k).ok()).unwrap_or(usize::MAX);
        if k < self.ranks.len() {
            self.ranks.select_nth_unstable(k);
            self.ranks.truncate(k);
        }
        if let Some(p) = top_p {
            keep_share(&mut self.ranks, p, &self.weights);
        }
        let last = self.ranks.iter().copied().max().unwrap_or(u64::MAX);
        for ((weight, logit), id) in self.weights.iter_mut().zip(logits).zip(0..) {
            if rank(*logit, id) > last {
                *weight = 0;
            }
        }
    }

    /// The id into whose weight `uniform` of the sum of all falls.
    fn fall(&self, uniform: f64) -> u32 {
        let total = self.kernels.sum(&self.weights);
        // Below the total even where the product rounds up to it: the last id that weighs anything then takes it.
        let mut rest = ((uniform * total as f64) as u64).min(total.saturating_sub(1));
        for (chunk, at) in self.weights.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
            if let Some(less) = rest.checked_sub(self.kernels.sum(chunk)) {
                rest = less;
                continue;
            }
            for (weight, id) in chunk.iter().zip(at..) {
                match rest.checked_sub(*weight) {
                    Some(less) => rest = less,
                    None => return id,
                }
            }
        }
        0
    }
}

/// The first token whose logit is `max`.
fn first(logits: &[f32], max: f32) -> u32 {
    for (chunk, at) in logits.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        // No early end: like this a vector instruction compares several.
        if chunk.iter().fold(false, |found, logit| found | (*logit == max)) {
            return chunk.iter().zip(at..).find(|(logit, _)| **logit == max).map_or(0, |(_, id)| id);
        }
    }
    0
}

/// Tokens that are looked at together before one of them is sought.
const CHUNK: usize = 128;

/// A number that is smaller for a likelier token and, of equals, for the smaller id, which is its low half: one compare
/// of whole numbers where selecting would follow an index into the logits.
fn rank(logit: f32, id: u32) -> u64 {
    // 0 is added so that −0 equals 0.
    let bits = (logit + 0.0).to_bits();
    let descending = if bits >> 31 == 0 { !(bits | 1 << 31) } else { bits };
    u64::from(descending) << 32 | u64::from(id)
}

/// Leaves the fewest likeliest of `ranks` whose weights reach the share `p` of all their weights.
///
/// Approach: bisection. `ranks[..low]` are the likeliest and don't suffice, `ranks[..high]` do; selecting the likelier
/// half of those between costs half as much each time, where sorting all would cost more than the forward pass.
fn keep_share(ranks: &mut Vec<u64>, p: f64, weights: &[u64]) {
    let sum = |ranks: &[u64]| ranks.iter().map(|rank| weights[*rank as u32 as usize]).sum::<u64>();
    let total = sum(ranks);
    let enough = ((p * total as f64).ceil() as u64).min(total);
    let (mut low, mut high, mut below) = (0, ranks.len(), 0);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        ranks[low..high].select_nth_unstable(middle - low);
        let half = sum(&ranks[low..middle]);
        if below + half >= enough {
            high = middle;
        } else {
            below += half;
            low = middle;
        }
    }
    ranks.truncate(high);
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
    fn ranks_order_as_logits_and_ids_do() {
        let logits = [f32::MAX, 1.5, f32::MIN_POSITIVE, 0.0, -f32::MIN_POSITIVE, -1.5, f32::MIN];
        assert!(logits.windows(2).all(|pair| rank(pair[0], 9) < rank(pair[1], 0)));
        assert!(rank(-0.0, 1) < rank(0.0, 2) && rank(0.0, 1) < rank(-0.0, 2));
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
