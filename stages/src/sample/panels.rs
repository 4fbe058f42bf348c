//! The memory layout of weights in products (panels of rows, in f32 or bf16), and the loops over it.
//!
//! In a matrix–vector product each row has its own lane, so no sum crosses lanes. The loops are plain Rust;
//! [`super::kernels`] compiles them for each instruction set.

/// Rows per panel: two AVX-512 vectors, or four AVX2 vectors.
pub(super) const LANES: usize = 32;

/// A matrix `[rows, columns]` laid out for [`multiply_any`].
#[derive(Debug, Clone)]
pub(super) struct Matrix {
    rows: usize,
    columns: usize,
    /// Panels of 32 rows, each stored column by column; the rows that pad the last panel are 0.
    panels: Vec<PanelColumn>,
}

/// One column of a panel. Aligned, since a load that crosses a cache line takes twice as long.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct PanelColumn([f32; LANES]);

impl Matrix {
    /// Lays out a matrix; `row(r, out)` writes row `r` into `out`, a slice of `columns` floats.
    pub(super) fn new(rows: usize, columns: usize, mut row: impl FnMut(usize, &mut [f32])) -> Self {
        let mut panels = vec![PanelColumn([0.0; LANES]); rows.div_ceil(LANES) * columns];
        let mut buffer = vec![0.0; columns];
        for r in 0..rows {
            row(r, &mut buffer);
            let panel = &mut panels[r / LANES * columns..][..columns];
            for (lanes, x) in panel.iter_mut().zip(&buffer) {
                lanes.0[r % LANES] = *x;
            }
        }
        Self { rows, columns, panels }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Copies row `r` to `out`.
    pub(super) fn row(&self, r: usize, out: &mut [f32]) {
        let panel = &self.panels[r / LANES * self.columns..][..self.columns];
        for (x, lanes) in out.iter_mut().zip(panel) {
            *x = lanes.0[r % LANES];
        }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes per panel.
    pub(super) fn panel_bytes(&self) -> usize {
        self.columns * size_of::<PanelColumn>()
    }
}

/// Two columns of a panel in bf16: for each row, the even column in the low half and the odd column in the high half.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct ColumnPair(pub(super) [u32; LANES]);

/// Multiplies a matrix by a vector. Each row is summed in two chains, over its even and its odd columns, which halves
/// the latency and reduces the rounding error.
///
/// The loops contain no closures: a closure is a separate function, for which the instruction set is not enabled.
#[inline(always)]
pub(super) fn multiply_any(matrix: &Matrix, first: usize, bias: &[f32], x: &[f32], y: &mut [f32]) {
    let panels = matrix.panels.chunks_exact(matrix.columns).skip(first / LANES);
    let (bias, y) = (bias[first..].as_chunks().0, y.as_chunks_mut().0);
    let (pairs, last) = x.as_chunks::<2>();
    for ((panel, bias), y) in panels.zip(bias).zip(y) {
        let bias: &[f32; LANES] = bias;
        let y: &mut [f32; LANES] = y;
        let (columns, last_column) = panel.as_chunks::<2>();
        let (mut even, mut odd) = ([0.0; LANES], [0.0; LANES]);
        for (column, x) in columns.iter().zip(pairs) {
            add_product(&mut even, &column[0], x[0]);
            add_product(&mut odd, &column[1], x[1]);
        }
        for (column, x) in last_column.iter().zip(last) {
            add_product(&mut even, column, *x);
        }
        for lane in 0..LANES {
            y[lane] = even[lane] + odd[lane] + bias[lane];
        }
    }
}

#[inline(always)]
fn add_product(sums: &mut [f32; LANES], column: &PanelColumn, x: f32) {
    for (sum, weight) in sums.iter_mut().zip(&column.0) {
        *sum = weight.mul_add(x, *sum);
    }
}

/// Like [`multiply_any`], also in two chains per row, for weights in bf16, which are widened as they are read.
#[inline(always)]
pub(super) fn multiply_coarse_any(
    panels: &[ColumnPair],
    pairs: usize,
    first: usize,
    bias: &[f32],
    x: &[f32],
    y: &mut [f32],
) {
    let (bias, y) = (bias[first..].as_chunks::<LANES>().0, y.as_chunks_mut::<LANES>().0);
    for ((panel, bias), y) in panels.chunks_exact(pairs).skip(first / LANES).zip(bias).zip(y) {
        let (mut even, mut odd) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (pair, x) in panel.iter().zip(x.chunks(2)) {
            let (x0, x1) = (x[0], if x.len() > 1 { x[1] } else { 0.0 });
            for (sum, both) in even.iter_mut().zip(&pair.0) {
                *sum = f32::from_bits(*both << 16).mul_add(x0, *sum);
            }
            for (sum, both) in odd.iter_mut().zip(&pair.0) {
                *sum = f32::from_bits(*both & 0xffff_0000).mul_add(x1, *sum);
            }
        }
        for lane in 0..LANES {
            y[lane] = even[lane] + odd[lane] + bias[lane];
        }
    }
}
