//! Vector kernels of the forward pass, with the same bits on every processor.
//!
//! Each kernel is written once, in plain Rust, and compiled three times: for AVX-512, for AVX2 with FMA, and for any
//! processor. The source fixes the order of every sum, every product is fused (`f32::mul_add`, rounded once), and the
//! compiler must not reorder floats, so the copies differ only in speed and samples are the same everywhere. exp and
//! tanh are polynomials for the same reason: the C library's last bit varies between versions, and its functions don't
//! vectorise.
//!
//! Without FMA instructions, `mul_add` is a function call and sampling is fifty times slower: the price of equal bits
//! on processors from before 2013.
#![expect(unsafe_code, reason = "code compiled for an instruction set can only be called on processors that have it")]

use super::panels::{ColumnPair, LANES, Matrix, multiply_any, multiply_coarse_any};

/// An instruction set that the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// The fastest copies of the kernels that this processor can run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels {
    /// The instruction set. Only detection sets it, which makes the calls below sound.
    level: Level,
}

macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident, $body:ident($($arg:ident: $kind:ty),*) $(-> $out:ty)?) => {
        $(#[$doc])*
        pub(super) fn $name(self, $($arg: $kind),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            fn avx512($($arg: $kind),*) $(-> $out)? {
                $body($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $kind),*) $(-> $out)? {
                $body($($arg),*)
            }
            match self.level {
                // SAFETY: the level is Avx512 only if the processor has avx512f.
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: the level is Avx2 only if the processor has avx2 and fma.
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => unsafe { avx2($($arg),*) },
                Level::Portable => $body($($arg),*),
            }
        }
    };
}

impl Kernels {
    /// Detects the instruction set.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self { level: Level::Avx512 };
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self { level: Level::Avx2 };
            }
        }
        Self { level: Level::Portable }
    }

    /// The name of the instruction set, for the report.
    pub(super) fn name(self) -> &'static str {
        match self.level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            Level::Portable => "portable",
        }
    }

    kernel! {
        /// `y = bias + matrix · x`, for as many rows from `first` on as `y` has room for, in whole panels. `x` has one
        /// entry per column of the matrix, and `bias` one per padded row.
        multiply, multiply_any(matrix: &Matrix, first: usize, bias: &[f32], x: &[f32], y: &mut [f32])
    }
    kernel! {
        /// The same for a matrix in bf16 with `pairs` pairs of columns.
        multiply_coarse, multiply_coarse_any(
            panels: &[ColumnPair], pairs: usize, first: usize, bias: &[f32], x: &[f32], y: &mut [f32]
        )
    }
    kernel! {
        /// One step of an LSTM: from the gates' sums `[4H]` in PyTorch's order i, f, g, o, the cell `c` and the hidden
        /// state `h`, both `[H]` (`c` in place): c = σ(f)·c + σ(i)·tanh(g), h = σ(o)·tanh(c).
        cell, cell_any(gates: &[f32], c: &mut [f32], h: &mut [f32])
    }
    kernel! {
        /// The greatest of finite floats.
        greatest, greatest_any(x: &[f32]) -> f32
    }
    kernel! {
        /// `out = exp((logits − max) · scale) · 2³⁸`, rounded down; `max` is the greatest logit, `scale` is above 0.
        weigh, weigh_any(logits: &[f32], max: f32, scale: f32, out: &mut [u64])
    }
    kernel! {
        /// The sum of integers.
        sum, sum_any(x: &[u64]) -> u64
    }
}

#[inline(always)]
fn cell_any(gates: &[f32], c: &mut [f32], h: &mut [f32]) {
    let n = c.len();
    let (i, f, g, o) = (&gates[..n], &gates[n..2 * n], &gates[2 * n..3 * n], &gates[3 * n..4 * n]);
    let h = &mut h[..n];
    for k in 0..n {
        c[k] = sigmoid(f[k]).mul_add(c[k], sigmoid(i[k]) * tanh(g[k]));
        h[k] = sigmoid(o[k]) * tanh(c[k]);
    }
}

#[inline(always)]
fn greatest_any(x: &[f32]) -> f32 {
    let mut greatest = [f32::MIN; 4 * LANES];
    let (whole, rest) = x.as_chunks::<{ 4 * LANES }>();
    for x in whole {
        for (greatest, x) in greatest.iter_mut().zip(x) {
            *greatest = at_least(*greatest, *x);
        }
    }
    let mut all = f32::MIN;
    for x in greatest.iter().chain(rest) {
        all = at_least(all, *x);
    }
    all
}

#[inline(always)]
fn weigh_any(logits: &[f32], max: f32, scale: f32, out: &mut [u64]) {
    for (out, logit) in out.iter_mut().zip(logits) {
        // The difference is kept finite, so that no scale turns it into NaN.
        let bits = exponential(at_least(logit - max, f32::MIN) * scale).to_bits();
        // The exponential is m · 2ⁿ with m < 2²⁴ and n ≤ −23. It is converted by shifts, since not every instruction
        // set converts floats to 64-bit integers.
        let (mantissa, below_one) = (bits & 0x7f_ffff | 0x80_0000, 127u32.wrapping_sub(bits >> 23));
        let below_one = if below_one < 63 { below_one } else { 63 };
        *out = u64::from(mantissa) << 15 >> below_one;
    }
}

#[inline(always)]
fn sum_any(x: &[u64]) -> u64 {
    let mut sums = [0u64; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum = sum.wrapping_add(*x);
        }
    }
    let mut all = 0u64;
    for x in sums.iter().chain(rest) {
        all = all.wrapping_add(*x);
    }
    all
}

/// exp(x) for x up to 0, in 0..=1.
#[inline(always)]
fn exponential(x: f32) -> f32 {
    let (below, factor) = parts(at_least(x, LEAST));
    if x < LEAST { 0.0 } else { factor.mul_add(below, factor) }
}

/// Below this, exp(x) counts as 0, since 2ⁿ would become subnormal.
const LEAST: f32 = -87.0;

/// The greater of the two. Unlike `f32::max`, it returns NaN if `x` is NaN.
#[inline(always)]
fn at_least(x: f32, least: f32) -> f32 {
    if x < least { least } else { x }
}

/// (exp(r) − 1, 2ⁿ) with x = n·ln 2 + r and |r| ≤ ln 2 / 2, for x in −87..=0: exp(x) = 2ⁿ + 2ⁿ·(exp(r) − 1).
///
/// ln 2 is subtracted in two parts (Cody and Waite 1980); the series of exp up to r⁷ is accurate to 5·10⁻⁹, a tenth of
/// the last bit.
#[inline(always)]
fn parts(x: f32) -> (f32, f32) {
    /// 1.5 · 2²³. Adding it rounds a number to an integer, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut series = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0] {
        series = r.mul_add(series, coefficient);
    }
    (r * series, f32::from_bits(shifted.to_bits().wrapping_add(127) << 23))
}

/// 1 / (1 + exp(−x)).
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let (below, factor) = parts(at_least(-x.abs(), LEAST));
    let e = factor.mul_add(below, factor);
    let upper = 1.0 / (1.0 + e);
    if x < 0.0 { e * upper } else { upper }
}

/// tanh(|x|) = −m / (2 + m) with m = exp(−2|x|) − 1, computed without cancellation for small x.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let (below, factor) = parts(at_least(-2.0 * x.abs(), LEAST));
    let m = factor.mul_add(below, factor - 1.0);
    (-m / (2.0 + m)).copysign(x)
}

#[cfg(test)]
mod tests;
