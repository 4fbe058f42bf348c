//! The windows of a few tokens that a corpus consists of, sorted, so that all that follows one context lies together.
//!
//! A window is a token w with the tokens before it, c₁ (the one just before), c₂, …; where the stream begins sooner,
//! those are *absent*. Windows with one c₁ are a *bucket*; in it they are sorted by c₂, c₃, …, then w, then split. So the
//! windows of a context of any length are neighbours, and in it those of each longer context are.

use crate::files::Ids;
use crate::{Cancelled, Context, StageError};

/// The bits of a window that say which split it belongs to.
const SPLIT: u32 = 2;

/// The symbol of a token that is not there; a token's own is its id + 1.
pub(super) const ABSENT: u32 = 0;

/// A window in one integer: from the top c₂, c₃, …, w, split.
pub(super) trait PackedWindow: Copy + Ord + Default {
    /// How much it holds.
    const BITS: u32;
    /// The same with some lower bits more.
    fn with(self, bits: u32, symbol: u32) -> Self;
    /// The bits above `shift`.
    fn above(self, shift: u32) -> Self;
    /// The `bits` above `shift`.
    fn symbol(self, shift: u32, bits: u32) -> u32;
}

macro_rules! packed {
    ($($integer:ty),*) => {$(
        impl PackedWindow for $integer {
            const BITS: u32 = <$integer>::BITS;
            fn with(self, bits: u32, symbol: u32) -> Self {
                self << bits | <$integer>::from(symbol)
            }
            fn above(self, shift: u32) -> Self {
                self >> shift
            }
            fn symbol(self, shift: u32, bits: u32) -> u32 {
                ((self >> shift) as u32) & ((1 << bits) - 1)
            }
        }
    )*};
}
packed!(u64, u128);

/// How a window is packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowPacking {
    /// Tokens of a window.
    pub(super) order: u32,
    /// Bits of a symbol.
    bits: u32,
}

impl WindowPacking {
    /// For windows of `order` tokens, two or more, of `types` types.
    pub(super) fn new(order: u32, types: u32) -> Self {
        Self { order, bits: u32::BITS - types.leading_zeros() }
    }

    /// Whether a window fits.
    pub(super) fn fits<K: PackedWindow>(self) -> bool {
        (self.order - 1) * self.bits + SPLIT <= K::BITS
    }

    /// What lies above this is c₂, …, c of `depth`; `depth` is two or more.
    pub(super) fn shift(self, depth: u32) -> u32 {
        SPLIT + self.bits * (self.order - depth)
    }

    /// c of `depth`, two or more.
    pub(super) fn context<K: PackedWindow>(self, window: K, depth: u32) -> u32 {
        window.symbol(self.shift(depth), self.bits)
    }

    /// The id of w.
    pub(super) fn word<K: PackedWindow>(self, window: K) -> usize {
        window.symbol(SPLIT, self.bits) as usize - 1
    }

    /// Which split it belongs to: train is 0.
    pub(super) fn split<K: PackedWindow>(window: K) -> usize {
        window.symbol(0, SPLIT) as usize
    }
}

/// How far the stage is, in tokens that were gone through.
pub(super) struct TokenProgress<'a> {
    pub(super) context: &'a Context,
    pub(super) done: u64,
    pub(super) whole: u64,
}

impl TokenProgress<'_> {
    /// So much further.
    ///
    /// # Errors
    /// [`Cancelled`] after a request to stop.
    pub(super) fn advance(&mut self, tokens: u64) -> Result<(), Cancelled> {
        self.done += tokens;
        self.context.advance(self.done, self.whole);
        self.context.check()
    }
}

/// One split, as far as it is read.
#[derive(Debug)]
pub(super) struct SplitStream {
    pub(super) ids: Ids,
    pub(super) tokens: u64,
}

impl SplitStream {
    /// Hands each token to `visit`, with the symbol of the one before.
    fn pairs(&self, progress: &mut TokenProgress<'_>, mut visit: impl FnMut(u32, u32)) -> Result<(), StageError> {
        let mut before = ABSENT;
        self.ids.first_blocks(self.tokens, |block| {
            for id in block {
                visit(before, *id);
                before = id + 1;
            }
            Ok(progress.advance(block.len() as u64)?)
        })
    }
}

/// How often each type occurs, and after how many tokens of all splits.
#[derive(Debug)]
pub(super) struct TokenCounts {
    /// By split and id: those that are scored, which is all but the first of the split.
    pub(super) scored: [Vec<u64>; 3],
    /// By id: all of train that is read.
    pub(super) train: Vec<u64>,
    /// By symbol of c₁: windows of all splits.
    buckets: Vec<usize>,
}

/// Counts tokens.
///
/// # Errors
/// When a file can't be read or holds an id that is no type; [`StageError::Cancelled`].
pub(super) fn count(
    splits: &[SplitStream; 3],
    types: u32,
    progress: &mut TokenProgress<'_>,
) -> Result<TokenCounts, StageError> {
    let types = types as usize;
    let zero = || vec![0u64; types];
    let mut counts = TokenCounts { scored: [zero(), zero(), zero()], train: zero(), buckets: vec![0; types + 1] };
    for (split, stream) in splits.iter().enumerate() {
        let (mut wrong, mut first) = (None, None);
        stream.pairs(progress, |before, id| match counts.scored[split].get_mut(id as usize) {
            Some(count) => {
                *count += u64::from(before != ABSENT);
                if before == ABSENT {
                    first = Some(id);
                }
                counts.buckets[before as usize] += 1;
            }
            None => wrong = Some(id),
        })?;
        if let Some(id) = wrong {
            return Err(StageError::format(stream.ids.path(), format!("token {id} is not in the vocabulary")));
        }
        if split == 0 {
            counts.train.clone_from(&counts.scored[0]);
            first.into_iter().for_each(|id| counts.train[id as usize] += 1);
        }
    }
    Ok(counts)
}

/// The windows of all splits by the symbol of c₁, each bucket in the order of the splits and not sorted yet.
#[derive(Debug)]
pub(super) struct Windows<K> {
    all: Vec<K>,
    /// Where the bucket of each symbol ends.
    ends: Vec<usize>,
}

impl<K: PackedWindow> Windows<K> {
    /// Reads them.
    ///
    /// # Errors
    /// When a file can't be read; [`StageError::Cancelled`].
    pub(super) fn read(
        splits: &[SplitStream; 3],
        counts: &TokenCounts,
        layout: WindowPacking,
        progress: &mut TokenProgress<'_>,
    ) -> Result<Self, StageError> {
        // Where the next window of each bucket goes; at the end, where each bucket ends.
        let mut ends = Vec::with_capacity(counts.buckets.len());
        let mut whole = 0;
        for size in &counts.buckets {
            ends.push(whole);
            whole += size;
        }
        let mut all = vec![K::default(); whole];
        for (split, stream) in (0..).zip(splits) {
            let mut older = [ABSENT; 4];
            stream.pairs(progress, |before, id| {
                let mut window = K::default();
                // A window of n tokens has n − 2 beside c₁ and w.
                for symbol in &older[1..layout.order as usize - 1] {
                    window = window.with(layout.bits, *symbol);
                }
                debug_assert!(older[0] == before);
                let end = &mut ends[before as usize];
                all[*end] = window.with(layout.bits, id + 1).with(SPLIT, split);
                *end += 1;
                older = [id + 1, older[0], older[1], older[2]];
            })?;
        }
        Ok(Self { all, ends })
    }

    /// The bucket of each symbol, in their order, the first of those without c₁.
    pub(super) fn buckets(&self) -> impl Iterator<Item = &[K]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| &self.all[*start..*end])
    }

    /// The same, to be sorted.
    pub(super) fn buckets_mut(&mut self) -> impl Iterator<Item = &mut [K]> {
        let mut rest = &mut self.all[..];
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let (bucket, others) = std::mem::take(&mut rest).split_at_mut(end - start);
            (rest, start) = (others, *end);
            bucket
        })
    }
}
