//! Interpolated, modified Kneser–Ney models (Chen and Goodman 1999, section 3), from sorted windows.
//!
//! With a(hw) the count of w after the context h, a(h·) the sum of those counts, h′ the context without its oldest
//! token, and Nⱼ(h·) the number of words whose count after h is j (j = 3: three or more):
//!
//! p(w|h) = (a(hw) − D(a(hw))) / a(h·) + γ(h) p(w|h′),   γ(h) = (D₁ N₁(h·) + D₂ N₂(h·) + D₃ N₃(h·)) / a(h·)
//!
//! At the model's own order, counts are occurrences in train; at lower orders a(hw) is the number of distinct tokens
//! before hw, the start of the stream counting as one. Without a context, p(w|h′) is 1 / V. A context that does not
//! occur in train backs off to the next shorter one.

use super::sum::LogLikelihood;
use super::windows::{ABSENT, PackedWindow, SplitStream, TokenCounts, TokenProgress, WindowPacking, Windows};
use crate::StageError;

/// Log-likelihoods by split: first of the bigram model, then of the model of the layout's order, which may be the same.
pub(super) fn score<K: PackedWindow>(
    splits: &[SplitStream; 3],
    counts: &TokenCounts,
    layout: WindowPacking,
    progress: &mut TokenProgress<'_>,
) -> Result<[[LogLikelihood; 3]; 2], StageError> {
    let mut windows = Windows::<K>::read(splits, counts, layout, progress)?;
    let types = counts.train.len();
    let mut counter = ContextCounter::new(types);
    let (discounts, words) = fit(&mut windows, &mut counter, layout, progress)?;
    let even = 1.0 / types as f64;
    let alone = words.weigh(discounts[1]);
    let probability = |word| alone.map_or(even, |alone| counter.probability(&alone, word, even));
    let words: Vec<f64> = (0..types).map(probability).collect();

    let mut sums = [[LogLikelihood::default(); 3]; 2];
    let mut known = Vec::new();
    for bucket in windows.buckets().skip(1) {
        progress.advance(bucket.len() as u64)?;
        let shorter = || bucket.iter().map(|window| words[layout.word(*window)]);
        known.clear();
        known.extend(shorter());
        let bigram = counter.count(bucket, Counted::Tokens, layout).weigh(discounts[0]);
        counter.lengthen(bucket, &mut known, bigram, layout);
        add(&mut sums[0], bucket, &known);
        known.clear();
        known.extend(shorter());
        for depth in 1..layout.order {
            let mut start = 0;
            for (group, counted) in contexts(bucket, depth, layout) {
                let part = &mut known[start..start + group.len()];
                start += group.len();
                if let Some(counted) = counted {
                    let behind = counter.count(group, counted, layout).weigh(discounts[depth as usize + 1]);
                    counter.lengthen(group, part, behind, layout);
                }
            }
        }
        add(&mut sums[1], bucket, &known);
    }
    Ok(sums)
}

/// Sorts the windows. Returns the discounts by order, with those of the bigram model at index 0, and a summary of the
/// words' counts without a context; the counts themselves stay in `counter`.
fn fit<K: PackedWindow>(
    windows: &mut Windows<K>,
    counter: &mut ContextCounter,
    layout: WindowPacking,
    progress: &mut TokenProgress<'_>,
) -> Result<(Vec<Discounts>, Behind), StageError> {
    // By order: the number of n-grams with each count.
    let mut with_count = vec![[0; 6]; layout.order as usize + 1];
    for (place, bucket) in windows.buckets_mut().enumerate() {
        progress.advance(bucket.len() as u64)?;
        // The first token of a stream has no context.
        if place == 0 {
            continue;
        }
        bucket.sort_unstable();
        let mut add = |place: usize, behind: Behind| {
            with_count[place].iter_mut().zip(behind.types).for_each(|(all, types)| *all += types);
        };
        add(0, counter.count(bucket, Counted::Tokens, layout));
        for depth in 1..layout.order {
            for (group, counted) in contexts(bucket, depth, layout) {
                if let Some(counted) = counted {
                    add(depth as usize + 1, counter.count(group, counted, layout));
                }
            }
        }
    }
    let words = counter.count_words(windows, layout);
    with_count[1] = words.types;
    Ok((with_count.iter().map(discounts).collect(), words))
}

/// Adds the log-probabilities of windows.
fn add<K: PackedWindow>(sums: &mut [LogLikelihood; 3], windows: &[K], probabilities: &[f64]) {
    for (window, probability) in windows.iter().zip(probabilities) {
        sums[WindowPacking::split(*window)].add(1, libm::log(*probability));
    }
}

/// D₁, D₂ and D₃, with D₀ = 0 before them.
type Discounts = [f64; 4];

/// The discounts that Heafield's lmplz uses for a training text too small to estimate any.
const FALLBACK: Discounts = [0.0, 0.5, 1.0, 1.5];

/// The discounts of an order in which `n[j]` n-grams have the count j, for j up to 4.
fn discounts(n: &[u64; 6]) -> Discounts {
    let n = n.map(|n| n as f64);
    let y = n[1] / (n[1] + 2.0 * n[2]);
    let d = |j: usize| j as f64 - (j + 1) as f64 * y * n[j + 1] / n[j];
    let found = [0.0, d(1), d(2), d(3)];
    // A discount of 0 would give unseen words the probability 0. These comparisons also fail for NaN.
    let sound = |j: usize| n[j + 1] > 0.0 && found[j] > 0.0 && found[j] <= j as f64;
    if (1..=3).all(sound) { found } else { FALLBACK }
}

/// Summary of the counts after one context.
#[derive(Debug, Clone, Copy, Default)]
struct Behind {
    /// a(h·).
    total: u64,
    /// The number of words with each count; the last entry is for counts of five or more.
    types: [u64; 6],
    /// The context's first stamp: counts with an earlier one belong to another context.
    first: u64,
}

/// Counts words after one context at a time.
#[derive(Debug)]
struct ContextCounter {
    /// By word: its count, and the stamp at which it was last counted. Stamps only grow.
    seen: Vec<(u64, u64)>,
    stamp: u64,
}

/// What a word's count measures.
#[derive(Debug, Clone, Copy)]
enum Counted {
    /// Its occurrences.
    Tokens,
    /// The distinct tokens before the context and the word, whose windows differ in the bits above this shift.
    Before(u32),
}

impl ContextCounter {
    fn new(types: usize) -> Self {
        Self { seen: vec![(0, 0); types], stamp: 0 }
    }

    fn begin(&self) -> Behind {
        Behind { first: self.stamp + 1, ..Behind::default() }
    }

    /// Counts a word, at most once per stamp.
    #[inline]
    fn add(&mut self, behind: &mut Behind, word: usize) {
        let (count, stamp) = &mut self.seen[word];
        if *stamp == self.stamp {
            return;
        }
        if *stamp < behind.first {
            *count = 0;
        } else {
            behind.types[(*count).min(5) as usize] -= 1;
        }
        (*count, *stamp) = (*count + 1, self.stamp);
        behind.types[(*count).min(5) as usize] += 1;
        behind.total += 1;
    }

    /// Counts the words after the context that all windows of `group` share.
    fn count<K: PackedWindow>(&mut self, group: &[K], counted: Counted, layout: WindowPacking) -> Behind {
        let mut behind = self.begin();
        let mut before = None;
        for window in group {
            if WindowPacking::split(*window) != 0 {
                continue;
            }
            let same = match counted {
                Counted::Tokens => false,
                Counted::Before(shift) => before.replace(window.above(shift)) == Some(window.above(shift)),
            };
            self.stamp += u64::from(!same);
            self.add(&mut behind, layout.word(*window));
        }
        behind
    }

    /// Counts the distinct tokens before each word, which is the word's count without a context.
    fn count_words<K: PackedWindow>(&mut self, windows: &Windows<K>, layout: WindowPacking) -> Behind {
        let mut behind = self.begin();
        for bucket in windows.buckets() {
            self.stamp += 1;
            let train = bucket.iter().filter(|window| WindowPacking::split(**window) == 0);
            train.for_each(|window| self.add(&mut behind, layout.word(*window)));
        }
        behind
    }

    /// Turns p(w|h′) into p(w|h) for the windows of the context counted last.
    fn lengthen<K: PackedWindow>(
        &self,
        group: &[K],
        known: &mut [f64],
        behind: Option<Weighed>,
        layout: WindowPacking,
    ) {
        let Some(behind) = behind else { return };
        for (window, p) in group.iter().zip(known) {
            *p = self.probability(&behind, layout.word(*window), *p);
        }
    }

    /// p(w|h), where `behind` is the context counted last and `shorter` is p(w|h′).
    #[inline]
    fn probability(&self, behind: &Weighed, word: usize, shorter: f64) -> f64 {
        let (count, stamp) = self.seen[word];
        let count = if stamp < behind.first { 0 } else { count };
        (count as f64 - behind.discounts[count.min(3) as usize]) / behind.total + behind.rest * shorter
    }
}

/// The summary of a context, with the discounts of its order.
#[derive(Debug, Clone, Copy)]
struct Weighed {
    discounts: Discounts,
    total: f64,
    /// γ(h).
    rest: f64,
    first: u64,
}

impl Behind {
    /// `None` for a context that does not occur in train.
    fn weigh(&self, discounts: Discounts) -> Option<Weighed> {
        let [_, one, two, more @ ..] = self.types;
        let more: u64 = more.iter().sum();
        let taken = discounts[1] * one as f64 + discounts[2] * two as f64 + discounts[3] * more as f64;
        let total = self.total as f64;
        (self.total > 0).then_some(Weighed { discounts, total, rest: taken / total, first: self.first })
    }
}

/// Groups the windows of a sorted bucket by their contexts of `depth` tokens. Each group comes with what its counts
/// measure in a model of `layout`'s order, or `None` if the context reaches beyond the start of the stream.
fn contexts<K: PackedWindow>(
    bucket: &[K],
    depth: u32,
    layout: WindowPacking,
) -> impl Iterator<Item = (&[K], Option<Counted>)> {
    let whole = depth == 1;
    let shift = if whole { 0 } else { layout.shift(depth) };
    let groups = bucket.chunk_by(move |a, b| whole || a.above(shift) == b.above(shift));
    groups.map(move |group| {
        let counted = match depth + 1 {
            order if order == layout.order => Counted::Tokens,
            longer => Counted::Before(layout.shift(longer)),
        };
        let there = whole || layout.context(group[0], depth) != ABSENT;
        (group, there.then_some(counted))
    })
}
