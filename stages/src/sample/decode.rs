//! Chooses the next token from its logits.
//!
//! In this order, as in the transformers library: divide the logits by the temperature; keep the `top_k` most likely
//! tokens; of those, keep the fewest most likely whose probabilities (renormalised after `top_k`) add up to at least
//! `top_p` (Holtzman et al. 2020, arXiv 1904.09751). Ties go to the smaller id. One number, uniform in [0, 1), then
//! selects among the remaining tokens, in the order of their ids.
//!
//! Probabilities are summed as integers, whose sum is the same in any order, so a draw can't depend on the details of a
//! sort or a vector instruction.

use super::kernels::Kernels;
use crate::params::Decode;

/// Chooses tokens, reusing its buffers.
#[derive(Debug)]
pub(super) struct Chooser {
    kernels: Kernels,
    /// The weight of each token; that of the most likely one is 2³⁸. The sum over 2²⁴ types, the maximum vocabulary
    /// size, can't overflow, and only tokens 3·10¹¹ times less likely than the most likely are never drawn.
    weights: Vec<u64>,
    ranks: Vec<u64>,
}

impl Chooser {
    pub(super) fn new(kernels: Kernels) -> Self {
        Self { kernels, weights: Vec::new(), ranks: Vec::new() }
    }

    /// The next token. `logits` must be finite and not empty; `uniform`, in [0, 1), decides a draw.
    pub(super) fn choose(&mut self, logits: &[f32], decode: Decode, uniform: f64) -> u32 {
        let max = self.kernels.greatest(logits);
        let Decode::Draw { temperature, top_k, top_p } = decode else { return first(logits, max) };
        // The scale is kept finite, so that at a temperature near 0 the other tokens weigh 0 rather than NaN.
        let scale = (1.0 / temperature).min(1e30) as f32;
        self.weights.resize(logits.len(), 0);
        self.kernels.weigh(logits, max, scale, &mut self.weights);
        if top_k.is_some() || top_p.is_some() {
            self.cut(logits, top_k, top_p);
        }
        self.fall(uniform)
    }

    /// Sets the weight of every token that `top_k` or `top_p` excludes to 0.
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

    /// The id in whose weight the fraction `uniform` of the total falls, with the weights in the order of the ids.
    fn fall(&self, uniform: f64) -> u32 {
        let total = self.kernels.sum(&self.weights);
        // The product can be rounded up to the total; kept below it, it selects the last id with a weight.
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
        // Without an early exit, this loop vectorises.
        if chunk.iter().fold(false, |found, logit| found | (*logit == max)) {
            return chunk.iter().zip(at..).find(|(logit, _)| **logit == max).map_or(0, |(_, id)| id);
        }
    }
    0
}

/// The number of tokens that are tested together before they are searched one by one.
const CHUNK: usize = 128;

/// A number that is smaller for a more likely token and, among equally likely ones, for the smaller id, which is its
/// low half. So selection compares integers instead of following indices into the logits.
fn rank(logit: f32, id: u32) -> u64 {
    // Adding 0 turns −0 into 0.
    let bits = (logit + 0.0).to_bits();
    let descending = if bits >> 31 == 0 { !(bits | 1 << 31) } else { bits };
    u64::from(descending) << 32 | u64::from(id)
}

/// Keeps the fewest most likely of `ranks` whose weights add up to at least the fraction `p` of all their weights.
///
/// This is a bisection: the most likely tokens `ranks[..low]` are too few, and `ranks[..high]` are enough. Selecting
/// the more likely half of those between takes half as long each time; sorting all ranks would take longer than the
/// forward pass.
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

    /// Every token's probability by the definition, from a sort of all tokens.
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
                // Evenly spaced instead of random, so that counts match probabilities to within one draw.
                let uniform = (i as f64 + 0.5) / n as f64;
                found[chooser.choose(&logits, draw(temperature, top_k, top_p), uniform) as usize] += 1.0 / n as f64;
            }
            for (id, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert!((found - expected).abs() < 1.5 / n as f64, "{temperature} {top_k:?} {top_p:?}: {id}");
                assert!(*expected > 0.0 || *found == 0.0, "{id} should be excluded");
            }
        }
    }

    #[test]
    fn ties_go_to_the_smaller_id() {
        let logits = [0.0, 2.0, -1.0, 2.0, 2.0];
        let mut chooser = Chooser::new(Kernels::detect());
        assert_eq!(chooser.choose(&logits, Decode::Greedy(Greedy::Greedy), 0.9), 1);
        assert_eq!(chooser.choose(&logits, draw(1.0, Some(1), None), 0.99), 1);
        assert_eq!(chooser.choose(&logits, draw(1.0, Some(2), None), 0.99), 3);
        assert_eq!(chooser.choose(&logits, draw(1.0, None, Some(0.01)), 0.99), 1);
    }

    #[test]
    fn ranks_are_ordered_like_logits_and_ids() {
        let logits = [f32::MAX, 1.5, f32::MIN_POSITIVE, 0.0, -f32::MIN_POSITIVE, -1.5, f32::MIN];
        assert!(logits.windows(2).all(|pair| rank(pair[0], 9) < rank(pair[1], 0)));
        assert!(rank(-0.0, 1) < rank(0.0, 2) && rank(0.0, 1) < rank(-0.0, 2));
    }

    #[test]
    fn extreme_temperatures_are_greedy_or_uniform() {
        let logits = [f32::MIN, 1.0, f32::MAX, 2.0];
        let mut chooser = Chooser::new(Kernels::detect());
        for uniform in [0.0, 0.5, 0.999] {
            assert_eq!(chooser.choose(&logits, draw(1e-320, None, None), uniform), 2);
            assert_eq!(chooser.choose(&logits, draw(1e300, None, None), uniform), (uniform * 4.0) as u32);
        }
    }
}
