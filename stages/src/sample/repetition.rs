//! Measures how much a sample repeats itself.

use std::collections::BTreeSet;

/// The loop at the end of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loop {
    /// Length of the loop in tokens.
    pub(super) period: usize,
    /// Index of the token from which the sample is periodic.
    pub(super) onset: usize,
}

/// The number of distinct n-grams divided by the number of n-grams, in (0, 1] (Li et al. 2016, arXiv 1510.03055);
/// `None` for fewer than n tokens.
pub(super) fn distinct(tokens: &[u32], n: usize) -> Option<f64> {
    let grams = tokens.windows(n);
    let all = grams.len();
    let distinct = grams.collect::<BTreeSet<_>>().len();
    (all > 0).then(|| distinct as f64 / all as f64)
}

/// 1 minus [`distinct`], which is the seq-rep-n of Welleck et al. 2020 (arXiv 1908.04319).
pub(super) fn repeated(tokens: &[u32], n: usize) -> Option<f64> {
    distinct(tokens, n).map(|distinct| 1.0 - distinct)
}

/// The loop at the end of `tokens`: the smallest period that the last tokens have for at least three periods and at
/// least six tokens. Two periods, or three equal words, could be chance.
///
/// Let z be the longest match between the reversed text and itself shifted by p; then the last p + z tokens have the
/// period p. The Z-function (Gusfield 1997, "Algorithms on strings, trees and sequences", 1.4) finds all z in one pass.
pub(super) fn terminal_loop(tokens: &[u32]) -> Option<Loop> {
    let n = tokens.len();
    let back = |i: usize| tokens[n - 1 - i];
    let mut z = vec![0; n];
    // The rightmost match found so far is [left, right).
    let (mut left, mut right) = (0, 0);
    for p in 1..n {
        let mut length = if p < right { z[p - left].min(right - p) } else { 0 };
        while p + length < n && back(length) == back(p + length) {
            length += 1;
        }
        if p + length > right {
            (left, right) = (p, p + length);
        }
        z[p] = length;
        if p + length >= (3 * p).max(6) {
            return Some(Loop { period: p, onset: n - p - length });
        }
        if 3 * p >= n {
            break;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    /// The definition, by brute force.
    fn naive_loop(tokens: &[u32]) -> Option<Loop> {
        let n = tokens.len();
        (1..=n / 2).find_map(|period| {
            let periodic = |onset: usize| (onset + period..n).all(|i| tokens[i] == tokens[i - period]);
            let onset = (0..n).find(|onset| periodic(*onset))?;
            (n - onset >= (3 * period).max(6)).then_some(Loop { period, onset })
        })
    }

    fn naive_distinct(tokens: &[u32], n: usize) -> Option<f64> {
        let grams: Vec<&[u32]> = (0..(tokens.len() + 1).saturating_sub(n)).map(|i| &tokens[i..i + n]).collect();
        let distinct = (0..grams.len()).filter(|i| !grams[..*i].contains(&grams[*i])).count();
        if grams.is_empty() { None } else { Some(distinct as f64 / grams.len() as f64) }
    }

    #[test]
    fn measures_match_their_definitions() {
        let random = Stream::new(3, "repetition test");
        let mut counter = 0;
        let mut below = |n: u64| {
            counter += 1;
            random.below(counter, n)
        };
        for _ in 0..20_000 {
            let (types, period) = (1 + below(4), 1 + below(6) as usize);
            let mut tokens: Vec<u32> = (0..below(12)).map(|_| below(types) as u32).collect();
            for _ in 0..below(20) {
                let next = tokens.len().checked_sub(period).map_or(0, |i| tokens[i]);
                tokens.push(next);
            }
            assert_eq!(terminal_loop(&tokens), naive_loop(&tokens), "{tokens:?}");
            for n in [1, 2, 4] {
                assert_eq!(distinct(&tokens, n), naive_distinct(&tokens, n), "{tokens:?}");
            }
        }
    }

    #[test]
    fn known_texts() {
        assert_eq!(terminal_loop(&[5, 1, 2, 1, 2, 1, 2]), Some(Loop { period: 2, onset: 1 }));
        assert_eq!(terminal_loop(&[1; 5]), None);
        assert_eq!(terminal_loop(&[1; 6]), Some(Loop { period: 1, onset: 0 }));
        assert_eq!(terminal_loop(&[1, 2, 3, 1, 2, 3, 1, 2]), None);
        assert_eq!(terminal_loop(&[]), None);
        assert_eq!(repeated(&[1; 8], 4), Some(0.8));
        assert_eq!(distinct(&[1, 2, 1, 2], 2), Some(2.0 / 3.0));
        assert_eq!(distinct(&[], 1), None);
    }
}
