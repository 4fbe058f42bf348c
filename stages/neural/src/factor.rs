//! What matrix products multiply: factors of two kinds, and how a tile reads them.

use std::fmt::Debug;

/// Columns of a panel: the width of two vectors of 16 floats.
pub(crate) const WIDTH: usize = 32;

/// Rows whose sums over a panel stay in registers together.
pub(crate) const ROWS: usize = 12;

/// What is multiplied: a float, or a pair of neighbours along the depth, rounded to bf16. Sums are of type `T`.
pub(crate) trait Factor<T>: Copy + Debug + Send + Sync + 'static {
    /// Elements of the depth that it holds.
    const GROUP: usize;

    /// One that holds the first, and the second where it holds two.
    fn join(first: T, second: T) -> Self;

    /// What it holds; 0 for the second where it holds one.
    fn apart(self) -> [T; 2];

    /// The same elements as factors, where both are one type.
    fn plain(elements: &[T]) -> Option<&[Self]>;

    /// Fills the sums, as many rows of them as there are lines.
    fn tile(lines: Lines<'_, Self>, lanes: Lanes<'_, Self>, depth: usize, half: bool, sums: &mut [[T; WIDTH]]);
}

/// The factor read element by element: element k of line r is `data[r * row + k * step]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines<'a, F> {
    pub(crate) data: &'a [F],
    pub(crate) row: usize,
    pub(crate) step: usize,
}

/// The factor read a row of lanes at a time: lane j of row k is `data[k * step + j]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes<'a, F> {
    pub(crate) data: &'a [F],
    pub(crate) step: usize,
}
