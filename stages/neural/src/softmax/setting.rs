//! Sizes that all passes over a window go by, and the weights that they read.

use anyhow::Result;

use crate::factor::{ROWS, WIDTH};
use crate::model::Model;
use crate::raw;
use crate::real::Real;

/// Types of a block, whose logits and weights fit the second-level cache together. Even, for pairs.
pub(super) const BLOCK: usize = 10 * ROWS;

/// A layer's sizes and weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a, T> {
    pub(super) weight: &'a [T],
    pub(super) bias: &'a [T],
    pub(super) types: usize,
    pub(super) hidden: usize,
    /// From one row of logits to the next.
    pub(super) stride: usize,
}

impl<'a, T: Real> Setting<'a, T> {
    /// Those of a window of so many tokens.
    ///
    /// # Errors
    /// When a weight is not plain memory.
    pub(super) fn new(model: &'a Model, tokens: usize) -> Result<Self> {
        let lines = tokens.div_ceil(WIDTH / 2);
        // An odd number of lines of the cache: else a column's elements would meet in few of its places.
        let stride = (lines + usize::from(lines.is_multiple_of(2))) * (WIDTH / 2);
        let (weight, bias) = (raw::floats::<T>(model.decoder())?, raw::floats::<T>(model.decoder_bias())?);
        Ok(Self { weight, bias, types: model.shape.vocab, hidden: model.shape.hidden, stride })
    }
}
