//! Matrix products, computed tile by tile; the sums of a tile stay in registers over the depth.
//!
//! A library's product starts by copying both matrices into its own layout. Here the first matrix is read in place, by
//! rows or by columns, and the second in panels of [`WIDTH`] columns, which can be rows in place too. On a Zen 4 this
//! reaches nine tenths of the vector units' peak (measured). An element is always summed in the same order, whatever
//! its neighbours, the width of vectors and the number of threads. A CPU without fused multiply-add rounds once more at
//! each product.

use crate::factor::{Factor, Lanes, Lines, ROWS, WIDTH};
use crate::pair::Bf16Pair;
use crate::real::Real;
use crate::tiles;

/// The part of the depth over which a panel is used at a time, so that it stays in the first-level cache from one tile
/// to the next.
const DEPTH: usize = 224;

/// Panels of lanes, one every `panel` elements, with `columns` columns in all. The last is padded to at least half a
/// panel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panels<'a, F> {
    pub(crate) data: &'a [F],
    pub(crate) panel: usize,
    pub(crate) step: usize,
    pub(crate) columns: usize,
}

/// A product of `rows` lines with panels, over `depth` groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TiledProduct<'a, F> {
    pub(crate) lines: Lines<'a, F>,
    pub(crate) rows: usize,
    pub(crate) panels: Panels<'a, F>,
    pub(crate) depth: usize,
}

impl<F> TiledProduct<'_, F> {
    /// Writes the product to `out`, whose rows start every `stride` elements. Call it from within a
    /// [`crate::raw::Kernel`].
    #[inline(always)]
    pub(crate) fn put<T: Real>(self, out: &mut [T], stride: usize)
    where
        F: Factor<T>,
    {
        self.make(out, stride, false);
    }

    /// Adds the product to `out`.
    #[inline(always)]
    pub(crate) fn add<T: Real>(self, out: &mut [T], stride: usize)
    where
        F: Factor<T>,
    {
        self.make(out, stride, true);
    }

    #[inline(always)]
    fn make<T: Real>(self, out: &mut [T], stride: usize, mut adds: bool)
    where
        F: Factor<T>,
    {
        let Self { lines, rows, panels, depth } = self;
        // The depth is cut into as few parts as possible, of equal size except for the last.
        let most = depth.div_ceil(depth.div_ceil(DEPTH).max(1)).max(1);
        let mut done = 0;
        let mut sums = [[T::ZERO; WIDTH]; ROWS];
        while done < depth || !adds {
            let part = most.min(depth - done);
            for (at, column) in (0..).step_by(panels.panel).zip((0..panels.columns).step_by(WIDTH)) {
                let width = WIDTH.min(panels.columns - column);
                let lanes = Lanes { data: tail(panels.data, at + done * panels.step), step: panels.step };
                for row in (0..rows).step_by(ROWS) {
                    let sums = &mut sums[..ROWS.min(rows - row)];
                    let lines = Lines { data: tail(lines.data, row * lines.row + done * lines.step), ..lines };
                    F::tile(lines, lanes, part, width <= WIDTH / 2, sums);
                    for (sums, out) in sums.iter().zip(out[row * stride..].chunks_mut(stride)) {
                        let out = &mut out[column..][..width];
                        if adds {
                            for (x, sum) in out.iter_mut().zip(sums) {
                                *x += *sum;
                            }
                        } else {
                            out.copy_from_slice(&sums[..width]);
                        }
                    }
                }
            }
            (done, adds) = (done + part, true);
        }
    }
}

/// The elements from `at` on.
fn tail<T>(slice: &[T], at: usize) -> &[T] {
    slice.get(at..).unwrap_or_default()
}

impl Factor<Self> for f32 {
    const GROUP: usize = 1;

    #[inline(always)]
    fn join(first: Self, _: Self) -> Self {
        first
    }

    #[inline(always)]
    fn apart(self) -> [Self; 2] {
        [self, 0.0]
    }

    fn plain(elements: &[Self]) -> Option<&[Self]> {
        Some(elements)
    }

    fn tile(lines: Lines<'_, Self>, lanes: Lanes<'_, Self>, depth: usize, half: bool, sums: &mut [[Self; WIDTH]]) {
        if !tiles::singles(lines, lanes, depth, half, sums) {
            tile(lines, lanes, depth, half, sums);
        }
    }
}

impl Factor<Self> for f64 {
    const GROUP: usize = 1;

    #[inline(always)]
    fn join(first: Self, _: Self) -> Self {
        first
    }

    #[inline(always)]
    fn apart(self) -> [Self; 2] {
        [self, 0.0]
    }

    fn plain(elements: &[Self]) -> Option<&[Self]> {
        Some(elements)
    }

    fn tile(lines: Lines<'_, Self>, lanes: Lanes<'_, Self>, depth: usize, half: bool, sums: &mut [[Self; WIDTH]]) {
        if !tiles::doubles(lines, lanes, depth, half, sums) {
            tile(lines, lanes, depth, half, sums);
        }
    }
}

impl Factor<f32> for Bf16Pair {
    const GROUP: usize = 2;

    #[inline(always)]
    fn join(first: f32, second: f32) -> Self {
        Self::of(first, second)
    }

    #[inline(always)]
    fn apart(self) -> [f32; 2] {
        Self::apart(self)
    }

    fn plain(_: &[f32]) -> Option<&[Self]> {
        None
    }

    fn tile(lines: Lines<'_, Self>, lanes: Lanes<'_, Self>, depth: usize, half: bool, sums: &mut [[f32; WIDTH]]) {
        if !tiles::pairs(lines, lanes, depth, half, sums) {
            tile(lines, lanes, depth, half, sums);
        }
    }
}

/// A tile for CPUs without the vector instructions of [`tiles`]. An x86-64 CPU that lacks them also lacks fused
/// multiply-add, for which Rust would call a library function of a hundred instructions; so here products are rounded
/// before they are added.
fn tile<T: Real, F: Factor<T>>(
    lines: Lines<'_, F>,
    lanes: Lanes<'_, F>,
    depth: usize,
    half: bool,
    sums: &mut [[T; WIDTH]],
) {
    let width = if half { WIDTH / 2 } else { WIDTH };
    for (r, sums) in sums.iter_mut().enumerate() {
        sums.fill(T::ZERO);
        for k in 0..depth {
            let [x, x_next] = lines.data[r * lines.row + k * lines.step].apart();
            for (sum, y) in sums.iter_mut().zip(&lanes.data[k * lanes.step..][..width]) {
                let [y, y_next] = y.apart();
                for (x, y) in [(x, y), (x_next, y_next)].into_iter().take(F::GROUP) {
                    *sum = if cfg!(target_arch = "x86_64") { x * y + *sum } else { x.fused(y, *sum) };
                }
            }
        }
    }
}
