//! The numbers that matrix products multiply, of two kinds, and how a tile reads them from memory.

use std::fmt::Debug;

/// Columns of a panel: the width of two vectors of 16 floats.
pub(crate) const WIDTH: usize = 32;

/// Rows whose sums over a panel stay in registers together.
pub(crate) const ROWS: usize = 12;

/// One factor of a product: a float, or a pair of floats that are neighbours along the depth, rounded to bf16. Sums are
/// of type `T`.
pub(crate) trait Factor<T>: Copy + Debug + Send + Sync + 'static {
    /// How many elements of the depth one factor holds.
    const GROUP: usize;

    /// A factor that holds `first` and, if it holds two elements, `second`.
    fn join(first: T, second: T) -> Self;

    /// The elements of this factor; the second is 0 if it holds one.
    fn apart(self) -> [T; 2];

    /// The same elements as factors, if a factor is simply an element; `None` for pairs.
    fn plain(elements: &[T]) -> Option<&[Self]>;

    /// Fills `sums` with the products of lines and lanes, one row per line; see [`crate::tiles`].
    fn tile(lines: Lines<'_, Self>, lanes: Lanes<'_, Self>, depth: usize, half: bool, sums: &mut [[T; WIDTH]]);
}

/// The first matrix of a product, which is read element by element: element k of line r is `data[r * row + k * step]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines<'a, F> {
    pub(crate) data: &'a [F],
    pub(crate) row: usize,
    pub(crate) step: usize,
}

/// The second matrix of a product, which is read a row of lanes at a time: lane j of row k is `data[k * step + j]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes<'a, F> {
    pub(crate) data: &'a [F],
    pub(crate) step: usize,
}
