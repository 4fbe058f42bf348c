//! The n-gram windows of a corpus, sorted so that all windows of one context are adjacent.
//!
//! A window is a token w with the tokens before it, c₁ (immediately before), c₂, …; tokens before the start of the
//! stream are *absent*. Windows with the same c₁ form a *bucket*, sorted by c₂, c₃, …, then w, then split. The windows
//! of a context of any length are therefore adjacent, and within them those of each longer context.

use crate::files::Ids;
use crate::{Cancelled, Context, StageError};

/// Bits of a window that encode its split.
const SPLIT: u32 = 2;

/// The symbol of an absent token; that of a token is its id + 1.
pub(super) const ABSENT: u32 = 0;

/// A window packed into one integer, from the high bits: c₂, c₃, …, w, split.
pub(super) trait PackedWindow: Copy + Ord + Default {
    /// Width of the integer.
    const BITS: u32;
    /// Appends `symbol` as the lowest `bits` bits.
    fn with(self, bits: u32, symbol: u32) -> Self;
    /// The bits above `shift`.
    fn above(self, shift: u32) -> Self;
    /// The lowest `bits` bits of those above `shift`.
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
    /// Packing for windows of `order` tokens (at least two) over `types` types.
    pub(super) fn new(order: u32, types: u32) -> Self {
        Self { order, bits: u32::BITS - types.leading_zeros() }
    }

    /// Whether a window fits into `K`.
    pub(super) fn fits<K: PackedWindow>(self) -> bool {
        (self.order - 1) * self.bits + SPLIT <= K::BITS
    }

    /// The shift above which a window holds the context tokens c₂ to c_`depth`; `depth` is at least two.
    pub(super) fn shift(self, depth: u32) -> u32 {
        SPLIT + self.bits * (self.order - depth)
    }

    /// The symbol of the context token c_`depth`; `depth` is at least two.
    pub(super) fn context<K: PackedWindow>(self, window: K, depth: u32) -> u32 {
        window.symbol(self.shift(depth), self.bits)
    }

    /// The id of w.
    pub(super) fn word<K: PackedWindow>(self, window: K) -> usize {
        window.symbol(SPLIT, self.bits) as usize - 1
    }

    /// The split of a window; train is 0.
    pub(super) fn split<K: PackedWindow>(window: K) -> usize {
        window.symbol(0, SPLIT) as usize
    }
}

/// Progress of the stage, in tokens processed.
pub(super) struct TokenProgress<'a> {
    pub(super) context: &'a Context,
    pub(super) done: u64,
    pub(super) whole: u64,
}

impl TokenProgress<'_> {
    /// Adds `tokens` to the progress; fails if the user has asked to stop.
    pub(super) fn advance(&mut self, tokens: u64) -> Result<(), Cancelled> {
        self.done += tokens;
        self.context.advance(self.done, self.whole);
        self.context.check()
    }
}

/// One split, with the number of its tokens to read.
#[derive(Debug)]
pub(super) struct SplitStream {
    pub(super) ids: Ids,
    pub(super) tokens: u64,
}

impl SplitStream {
    /// Calls `visit` for each token, with the symbol of the token before it and the token's id.
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

/// How often each type occurs, and how many windows each c₁ has.
#[derive(Debug)]
pub(super) struct TokenCounts {
    /// By split and id: how often it is scored, which every token is except the first of a split.
    pub(super) scored: [Vec<u64>; 3],
    /// By id: how often it occurs in the part of train that is read.
    pub(super) train: Vec<u64>,
    /// By symbol of c₁: the number of windows in all splits.
    buckets: Vec<usize>,
}

/// Counts tokens; refuses an id outside the vocabulary.
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

/// The windows of all splits, grouped by the symbol of c₁. Until a bucket is sorted, its windows are in the order in
/// which they were read.
#[derive(Debug)]
pub(super) struct Windows<K> {
    all: Vec<K>,
    /// Where the bucket of each symbol ends.
    ends: Vec<usize>,
}

impl<K: PackedWindow> Windows<K> {
    /// Reads the windows of all splits.
    pub(super) fn read(
        splits: &[SplitStream; 3],
        counts: &TokenCounts,
        layout: WindowPacking,
        progress: &mut TokenProgress<'_>,
    ) -> Result<Self, StageError> {
        // Position of the next window of each bucket; after the loop, the end of each bucket.
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
                // Besides c₁ and w, a window of n tokens contains n − 2 others.
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

    /// The buckets in the order of their symbols; the first one holds the windows without c₁.
    pub(super) fn buckets(&self) -> impl Iterator<Item = &[K]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| &self.all[*start..*end])
    }

    /// The same buckets, mutable for sorting.
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
