//! The innermost loops of matrix products, in explicit vector instructions: compilers keep the sums of nested loops in
//! registers only sometimes.
#![expect(unsafe_code, reason = "vector instructions and unchecked reads; each block says why it is sound")]

#[cfg(target_arch = "x86_64")]
use crate::cpu::{self, Capability};
use crate::factor::{Lanes, Lines, ROWS, WIDTH};
use crate::pair::Bf16Pair;

/// Defines a function that fills `sums`, which has at most [`ROWS`] rows, with the product of lines and lanes over the
/// depth, if this CPU has the instructions for that; it returns whether it has. If `half` is set, only the first half
/// of each row is computed.
///
/// For each kind of CPU, the arguments are its instruction sets, the number of lanes of its vectors, how many rows of
/// sums its registers hold, and its instructions.
macro_rules! tile {
    ($name:ident: $factor:ty => $sum:ty $(, $capability:ident if $has:expr =>
        ($features:literal, $lanes:literal, $most:literal [$($rows:literal)+],
        $zero:ident, $load:ident, $one:ident, $fused:ident, $store:ident))+) => {
        pub(crate) fn $name(
            lines: Lines<'_, $factor>,
            lanes: Lanes<'_, $factor>,
            depth: usize,
            half: bool,
            sums: &mut [[$sum; WIDTH]],
        ) -> bool {
            check(&lines, &lanes, depth, half, sums.len());
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::*;

                match cpu::capability() {
                    $(Capability::$capability if $has => {
                        const VECTORS: usize = WIDTH / $lanes;

                        #[target_feature(enable = $features)]
                        fn tile<const R: usize, const V: usize>(
                            lines: Lines<'_, $factor>,
                            lanes: Lanes<'_, $factor>,
                            depth: usize,
                            sums: &mut [[$sum; WIDTH]],
                        ) {
                            let mut held = [[$zero(); V]; R];
                            let (mut line, mut lane) = (lines.data.as_ptr(), lanes.data.as_ptr());
                            for _ in 0..depth {
                                // SAFETY: `check` has verified that the last element of the last line and the last lane
                                // of the last row are in their slices; all others come before them.
                                let across: [_; V] =
                                    std::array::from_fn(|v| unsafe { $load(lane.add(v * $lanes).cast()) });
                                for r in 0..R {
                                    // SAFETY: as above.
                                    let x = unsafe { *line.add(r * lines.row) };
                                    let x = $one(x);
                                    for v in 0..V {
                                        held[r][v] = $fused(x, across[v], held[r][v]);
                                    }
                                }
                                (line, lane) = (line.wrapping_add(lines.step), lane.wrapping_add(lanes.step));
                            }
                            for (sums, held) in sums.iter_mut().zip(&held) {
                                for (v, held) in held.iter().enumerate() {
                                    // SAFETY: V vectors are no longer than a row, which is borrowed exclusively.
                                    unsafe { $store(sums.as_mut_ptr().add(v * $lanes), *held) };
                                }
                            }
                        }

                        for (at, sums) in (0..).step_by($most).zip(sums.chunks_mut($most)) {
                            let lines = Lines { data: &lines.data[(at * lines.row).min(lines.data.len())..], ..lines };
                            match (sums.len(), half) {
                                $(
                                    // SAFETY: the capability says that these instructions exist.
                                    ($rows, false) => unsafe { tile::<$rows, VECTORS>(lines, lanes, depth, sums) },
                                    // SAFETY: as above.
                                    ($rows, true) => unsafe { tile::<$rows, { VECTORS / 2 }>(lines, lanes, depth, sums) },
                                )+
                                _ => {}
                            }
                        }
                        return true;
                    })+
                    _ => {}
                }
            }
            false
        }
    };
}

/// Panics if a tile would read past the end.
fn check<F>(lines: &Lines<'_, F>, lanes: &Lanes<'_, F>, depth: usize, half: bool, rows: usize) {
    assert!(rows <= ROWS && rows > 0, "a tile has 1 to {ROWS} rows, not {rows}");
    if let Some(before) = depth.checked_sub(1) {
        let width = if half { WIDTH / 2 } else { WIDTH };
        assert!((rows - 1) * lines.row + before * lines.step < lines.data.len(), "the lines are too short");
        assert!(before * lanes.step + width <= lanes.data.len(), "the lanes are too short");
    }
}

tile!(singles: f32 => f32,
    Avx512 if true => ("avx512f", 16, 12 [1 2 3 4 5 6 7 8 9 10 11 12],
        _mm512_setzero_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_storeu_ps),
    Avx2 if true => ("avx2,fma", 8, 2 [1 2],
        _mm256_setzero_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_storeu_ps));

tile!(doubles: f64 => f64,
    Avx512 if true => ("avx512f", 8, 4 [1 2 3 4],
        _mm512_setzero_pd, _mm512_loadu_pd, _mm512_set1_pd, _mm512_fmadd_pd, _mm512_storeu_pd),
    Avx2 if true => ("avx2,fma", 4, 1 [1],
        _mm256_setzero_pd, _mm256_loadu_pd, _mm256_set1_pd, _mm256_fmadd_pd, _mm256_storeu_pd));

tile!(pairs: Bf16Pair => f32,
    Avx512 if cpu::has_bf16() => ("avx512f,avx512bf16", 16, 12 [1 2 3 4 5 6 7 8 9 10 11 12],
        _mm512_setzero_ps, _mm512_loadu_epi32, spread, dot, _mm512_storeu_ps));

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_set1_epi32};

/// Copies a pair to every lane.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn spread(pair: Bf16Pair) -> __m512i {
    _mm512_set1_epi32(pair.0.cast_signed())
}

/// x₀ y₀ + x₁ y₁ + sum, lane by lane.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn dot(x: __m512i, y: __m512i, sum: __m512) -> __m512 {
    // SAFETY: both types are 512 bits, and any bits are bf16 numbers.
    let (x, y) = unsafe { (std::mem::transmute::<__m512i, __m512bh>(x), std::mem::transmute::<__m512i, __m512bh>(y)) };
    _mm512_dpbf16_ps(sum, x, y)
}
