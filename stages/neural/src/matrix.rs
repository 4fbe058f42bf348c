//! Products of a few rows with a matrix that is used again and again: those of the recurrence.
//!
//! At twenty rows a library's product spends its time on packing the matrix and on waking threads, at each token anew.
//! Here the matrix is packed once a window, and each thread goes through the whole window with rows of its own.

use crate::real::Real;

/// Columns of a panel: the width of two vectors of 16 floats.
pub(crate) const WIDTH: usize = 32;

/// Rows whose sums over a panel stay in registers together.
pub(crate) const ROWS: usize = 6;

/// A matrix [K, N] in panels of `WIDTH` columns, the last one filled up with zeros; each panel row after row.
#[derive(Debug)]
pub(crate) struct Packed<T> {
    panels: Vec<T>,
    depth: usize,
    columns: usize,
}

impl<T: Real> Packed<T> {
    /// The matrix [depth, columns] whose rows are given.
    pub(crate) fn new(rows: &[T], depth: usize, columns: usize) -> Self {
        let mut this = Self::empty(depth, columns);
        if depth > 0 {
            for (panel, first) in this.panels.chunks_mut(depth * WIDTH).zip((0..).step_by(WIDTH)) {
                let width = WIDTH.min(columns - first);
                for (packed, row) in panel.chunks_mut(WIDTH).zip(rows.chunks(columns)) {
                    packed[..width].copy_from_slice(&row[first..][..width]);
                }
            }
        }
        this
    }

    /// The matrix [depth, columns] whose columns are given.
    pub(crate) fn transposed(columns_of: &[T], depth: usize, columns: usize) -> Self {
        let mut this = Self::empty(depth, columns);
        if depth > 0 {
            let panels = this.panels.chunks_mut(depth * WIDTH).zip(columns_of.chunks(depth * WIDTH));
            for (panel, given) in panels {
                for (lane, column) in given.chunks(depth).enumerate() {
                    for (packed, x) in panel[lane..].iter_mut().step_by(WIDTH).zip(column) {
                        *packed = *x;
                    }
                }
            }
        }
        this
    }

    fn empty(depth: usize, columns: usize) -> Self {
        Self { panels: vec![T::ZERO; columns.div_ceil(WIDTH) * WIDTH * depth], depth, columns }
    }

    /// Adds rows [m, depth] · matrix to `out` [m, columns]. Each sum runs along the depth in one chain of fused
    /// multiply-adds, so that neither the rows beside it nor the width of vectors changes a bit.
    pub(crate) fn add_product(&self, rows: &[T], out: &mut [T]) {
        let (k, n) = (self.depth, self.columns);
        if k == 0 {
            return;
        }
        for (panel, first) in self.panels.chunks(k * WIDTH).zip((0..).step_by(WIDTH)) {
            let (panel, _) = panel.as_chunks::<WIDTH>();
            let columns = first..n.min(first + WIDTH);
            for (rows, out) in rows.chunks(ROWS * k).zip(out.chunks_mut(ROWS * n)) {
                let mut sums = [[T::ZERO; WIDTH]; ROWS];
                match rows.len() / k {
                    6 => tile::<T, 6>(panel, rows, &mut sums),
                    5 => tile::<T, 5>(panel, rows, &mut sums),
                    4 => tile::<T, 4>(panel, rows, &mut sums),
                    3 => tile::<T, 3>(panel, rows, &mut sums),
                    2 => tile::<T, 2>(panel, rows, &mut sums),
                    _ => tile::<T, 1>(panel, rows, &mut sums),
                }
                for (row, sums) in out.chunks_mut(n).zip(&sums) {
                    for (x, sum) in row[columns.clone()].iter_mut().zip(sums) {
                        *x += *sum;
                    }
                }
            }
        }
    }
}

/// The sums of `R` rows over one panel.
fn tile<T: Real, const R: usize>(panel: &[[T; WIDTH]], rows: &[T], sums: &mut [[T; WIDTH]; ROWS]) {
    let rows: [&[T]; R] = std::array::from_fn(|r| &rows[r * panel.len()..][..panel.len()]);
    if let Some(sums) = sums.first_chunk_mut::<R>() {
        T::tile(panel, rows, sums);
    }
}

#[cfg(test)]
mod tests {
    use stages::random::Stream;

    use super::*;

    #[test]
    fn products_are_those_of_the_naive_twin() {
        let draws = Stream::new(3, "test products");
        let mut next = 0;
        let mut some = |n: usize| -> Vec<f32> {
            next += 1;
            (0..n as u64).map(|i| draws.normal((next << 32) + i) as f32).collect()
        };
        for (m, k, n) in [(1, 1, 1), (4, 7, 32), (13, 50, 200), (6, 3, 33), (20, 64, 95)] {
            let (rows, matrix, before) = (some(m * k), some(k * n), some(m * n));
            let transposed: Vec<f32> = (0..k * n).map(|i| matrix[(i % k) * n + i / k]).collect();
            for packed in [Packed::new(&matrix, k, n), Packed::transposed(&transposed, k, n)] {
                let mut out = before.clone();
                packed.add_product(&rows, &mut out);
                for (at, found) in out.iter().enumerate() {
                    let (r, c) = (at / n, at % n);
                    let sum: f64 = (0..k).map(|i| f64::from(rows[r * k + i]) * f64::from(matrix[i * n + c])).sum();
                    let expected = f64::from(before[at]) + sum;
                    assert!((f64::from(*found) - expected).abs() < 1e-4, "{m} {k} {n}, element {at}");
                }
                // Alone, a row has the same bits.
                let last = (m - 1) * n;
                let mut alone = before[last..].to_vec();
                packed.add_product(&rows[(m - 1) * k..], &mut alone);
                assert_eq!(alone, out[last..]);
            }
        }
    }
}
