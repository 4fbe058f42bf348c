//! The sizes and weights that all passes over a window share.

use crate::failure::Result;

use crate::factor::{ROWS, WIDTH};
use crate::model::Model;
use crate::raw;
use crate::real::Real;

/// Types per block. The logits and weights of a block fit into the second-level cache together. The number is even, so
/// that no pair straddles two blocks.
pub(super) const BLOCK: usize = 10 * ROWS;

/// A layer's sizes and weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a, T> {
    pub(super) weight: &'a [T],
    pub(super) bias: &'a [T],
    pub(super) types: usize,
    pub(super) hidden: usize,
    /// Elements from one row of logits to the next.
    pub(super) stride: usize,
}

impl<'a, T: Real> Setting<'a, T> {
    /// The setting for a window of `tokens` tokens.
    pub(super) fn new(model: &'a Model, tokens: usize) -> Result<Self> {
        let lines = tokens.div_ceil(WIDTH / 2);
        // A row takes an odd number of cache lines. With an even number, the elements of a column would compete for a
        // few cache sets.
        let stride = (lines + usize::from(lines.is_multiple_of(2))) * (WIDTH / 2);
        let (weight, bias) = (raw::floats::<T>(model.decoder())?, raw::floats::<T>(model.decoder_bias())?);
        Ok(Self { weight, bias, types: model.shape.vocab, hidden: model.shape.hidden, stride })
    }
}
