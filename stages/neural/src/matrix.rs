//! Matrices packed once for repeated use in products.

use crate::factor::{Factor, Lines, WIDTH};
use crate::product::{Panels, TiledProduct};
use crate::real::Real;

/// A matrix [depth, columns] in panels of `WIDTH` columns, the last one padded with zeros. Each panel is stored row by
/// row.
#[derive(Debug)]
pub(crate) struct PackedMatrix<F> {
    panels: Vec<F>,
    /// The depth in groups of [`Factor::GROUP`] elements.
    depth: usize,
    columns: usize,
}

impl<F> PackedMatrix<F> {
    /// Packs a matrix [depth, columns] that is given row by row.
    pub(crate) fn new<T: Real>(rows: &[T], depth: usize, columns: usize) -> Self
    where
        F: Factor<T>,
    {
        let mut this = Self::empty::<T>(depth, columns);
        if this.depth > 0 {
            for (panel, first) in this.panels.chunks_mut(this.depth * WIDTH).zip((0..).step_by(WIDTH)) {
                let here = first..columns.min(first + WIDTH);
                for (packed, rows) in panel.chunks_mut(WIDTH).zip(rows.chunks(F::GROUP * columns)) {
                    let (row, next) = rows.split_at(columns);
                    let (packed, row) = (&mut packed[..here.len()], &row[here.clone()]);
                    match (F::plain(row), next.get(here.clone())) {
                        (Some(row), _) => packed.copy_from_slice(row),
                        (None, Some(next)) => {
                            let pairs = packed.iter_mut().zip(row.iter().zip(next));
                            pairs.for_each(|(packed, (x, next))| *packed = F::join(*x, *next));
                        }
                        (None, None) => {
                            packed.iter_mut().zip(row).for_each(|(packed, x)| *packed = F::join(*x, T::ZERO));
                        }
                    }
                }
            }
        }
        this
    }

    /// Packs a matrix [depth, columns] that is given column by column.
    pub(crate) fn transposed<T: Real>(columns_of: &[T], depth: usize, columns: usize) -> Self
    where
        F: Factor<T>,
    {
        let mut this = Self::empty::<T>(depth, columns);
        if depth > 0 {
            let panels = this.panels.chunks_mut(this.depth * WIDTH).zip(columns_of.chunks(depth * WIDTH));
            for (panel, given) in panels {
                for (lane, column) in given.chunks(depth).enumerate() {
                    for (packed, group) in panel[lane..].iter_mut().step_by(WIDTH).zip(column.chunks(F::GROUP)) {
                        *packed = F::join(group[0], group.get(1).copied().unwrap_or(T::ZERO));
                    }
                }
            }
        }
        this
    }

    fn empty<T: Real>(depth: usize, columns: usize) -> Self
    where
        F: Factor<T>,
    {
        let depth = depth.div_ceil(F::GROUP);
        Self { panels: vec![F::join(T::ZERO, T::ZERO); columns.div_ceil(WIDTH) * WIDTH * depth], depth, columns }
    }

    /// The product of `rows` lines with this matrix.
    pub(crate) fn times<'a>(&'a self, lines: Lines<'a, F>, rows: usize) -> TiledProduct<'a, F> {
        let panels = Panels { data: &self.panels, panel: self.depth * WIDTH, step: WIDTH, columns: self.columns };
        TiledProduct { lines, rows, panels, depth: self.depth }
    }
}

impl<F> PackedMatrix<F> {
    /// Adds the product of `rows` [m, depth] with this matrix to `out` [m, columns]. Call it from within a
    /// [`crate::raw::Kernel`], so that it is compiled for wide vectors.
    #[inline(always)]
    pub(crate) fn add_product<T: Real>(&self, rows: &[F], out: &mut [T])
    where
        F: Factor<T>,
    {
        if self.depth > 0 && self.columns > 0 {
            let lines = Lines { data: rows, row: self.depth, step: 1 };
            self.times(lines, rows.len() / self.depth).add(out, self.columns);
        }
    }
}

#[cfg(test)]
mod tests {
    use stages::random::Stream;

    use super::*;
    use crate::pair::Bf16Pair;

    /// A naive product in double precision, whose factors are first rounded to `F`.
    fn exact<T: Real, F: Factor<T>>(rows: &[T], matrix: &[T], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
        let near = |x: T| F::join(x, T::ZERO).apart()[0].wide();
        let element = |r: usize, c: usize| (0..k).map(|i| near(rows[r * k + i]) * near(matrix[i * n + c])).sum();
        (0..m * n).map(|at| element(at / n, at % n)).collect()
    }

    /// Joins the elements of rows of length `k` into factors.
    fn factors<T: Real, F: Factor<T>>(rows: &[T], k: usize) -> Vec<F> {
        let group = |group: &[T]| F::join(group[0], group.get(1).copied().unwrap_or(T::ZERO));
        rows.chunks(k).flat_map(|row| row.chunks(F::GROUP).map(group)).collect()
    }

    fn products_match_the_naive_one<T: Real, F: Factor<T> + PartialEq>(tolerance: f64) {
        let draws = Stream::new(3, "test products");
        let mut next = 0;
        let mut some = |n: usize| -> Vec<T> {
            next += 1;
            (0..n as u64).map(|i| T::of(draws.normal((next << 32) + i) * 0.1)).collect()
        };
        let sizes = [(1, 1, 1), (4, 7, 32), (13, 50, 200), (12, 3, 33), (25, 64, 95), (8, 449, 16), (3, 500, 17)];
        for (m, k, n) in sizes {
            let (rows, matrix, before) = (some(m * k), some(k * n), some(m * n));
            let transposed: Vec<T> = (0..k * n).map(|i| matrix[(i % k) * n + i / k]).collect();
            let sums = exact::<T, F>(&rows, &matrix, (m, k, n));
            let of_rows = factors::<T, F>(&rows, k);
            for packed in [PackedMatrix::<F>::new(&matrix, k, n), PackedMatrix::<F>::transposed(&transposed, k, n)] {
                let mut out = before.clone();
                packed.add_product(&of_rows, &mut out);
                for (at, found) in out.iter().enumerate() {
                    let apart = (found.wide() - before[at].wide() - sums[at]).abs();
                    assert!(apart < tolerance, "{m} {k} {n}, element {at}: {apart}");
                }
                // A row computed alone has the same bits.
                let last = (m - 1) * n;
                let mut alone = before[last..].to_vec();
                packed.add_product(&of_rows[(m - 1) * k.div_ceil(F::GROUP)..], &mut alone);
                assert!(alone == out[last..]);
                // Here the product is written instead of added, and the lines are read column by column.
                let deep = k.div_ceil(F::GROUP);
                let columns: Vec<F> = (0..m * deep).map(|i| of_rows[(i % m) * deep + i / m]).collect();
                let mut put = before.clone();
                packed.times(Lines { data: &columns, row: 1, step: m }, m).put(&mut put, n);
                for (at, found) in put.iter().enumerate() {
                    assert!((found.wide() - sums[at]).abs() < tolerance, "{m} {k} {n}, element {at} put");
                }
            }
        }
    }

    #[test]
    fn products_of_every_kind_match_the_naive_one() {
        products_match_the_naive_one::<f32, f32>(1e-5);
        products_match_the_naive_one::<f64, f64>(1e-14);
        products_match_the_naive_one::<f32, Bf16Pair>(1e-5);
    }
}
