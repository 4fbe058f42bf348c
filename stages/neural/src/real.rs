//! The floats that training computes in: single precision by default, double with `precision = "f64"`.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Sub, SubAssign};

use tch::kind::Element;

use crate::factor::Factor;
use crate::pair::Bf16Pair;

/// A float of one precision. Sums over many of them are still taken in double precision.
pub(crate) trait Real:
    Element
    + Copy
    + Debug
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
    + Factor<Self>
    + 'static
{
    /// The factor to use where products may round their factors to bf16.
    type Rounded: Factor<Self>;

    /// 1.
    const ONE: Self;
    /// −∞.
    const LOWEST: Self;
    /// Below this, eˣ counts as 0.
    const VANISHES: Self;

    /// The nearest number to a double.
    fn of(x: f64) -> Self;
    /// The same number as a double.
    fn wide(self) -> f64;
    /// The square root.
    fn root(self) -> Self;
    /// `self · by + and`, rounded once.
    fn fused(self, by: Self, and: Self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// |x|.
    fn magnitude(self) -> Self;

    /// σ(x) = 1 / (1 + e⁻ˣ).
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let z = (Self::ZERO - self.magnitude()).exp();
        let above = if self < Self::ZERO { z } else { Self::ONE };
        above / (Self::ONE + z)
    }

    /// eˣ for x ≤ 0: 0 where x is below [`Self::VANISHES`], and NaN for NaN.
    fn exp(self) -> Self;
}

impl Real for f32 {
    type Rounded = Bf16Pair;

    const ONE: Self = 1.0;
    const LOWEST: Self = Self::NEG_INFINITY;
    /// Below this, eˣ is subnormal.
    const VANISHES: Self = -87.0;

    #[inline(always)]
    fn of(x: f64) -> Self {
        x as Self
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    /// Exact to within 2 units in the last place. The reduction and the polynomial are those of Cephes' `expf` (Moshier
    /// 1992): x = n·ln 2 + r with |r| ≤ ½ ln 2.
    #[inline(always)]
    fn exp(self) -> Self {
        // Adding 1.5 · 2²³ rounds to an integer, which is then in the low bits.
        const ROUND: f32 = 12_582_912.0;
        const LN2_HIGH: f32 = 0.693_359_4;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        // `f32::max` would turn NaN into a number.
        let within = if self < Self::VANISHES { Self::VANISHES } else { self };
        let shifted = within.mul_add(std::f32::consts::LOG2_E, ROUND);
        let n = shifted - ROUND;
        let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, within));
        let mut p = 1.987_569_1e-4f32;
        p = p.mul_add(r, 1.398_199_9e-3);
        p = p.mul_add(r, 8.333_452e-3);
        p = p.mul_add(r, 4.166_579_6e-2);
        p = p.mul_add(r, 1.666_666_5e-1);
        p = p.mul_add(r, 0.5);
        p = p.mul_add(r * r, r) + 1.0;
        let power = p * Self::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
        if self < Self::VANISHES { 0.0 } else { power }
    }

    #[inline(always)]
    fn fused(self, by: Self, and: Self) -> Self {
        self.mul_add(by, and)
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    /// Exact to within 2 units in the last place. This is Cephes' `tanhf` (Moshier 1992): a polynomial near 0, and a
    /// formula with e^(−2|x|) elsewhere.
    #[inline(always)]
    fn tanh(self) -> Self {
        let size = self.abs();
        let z = Real::exp(-2.0 * size);
        let far = (1.0 - z) / (1.0 + z);
        let square = self * self;
        let mut p = -5.704_988_7e-3f32;
        p = p.mul_add(square, 2.063_909e-2);
        p = p.mul_add(square, -5.373_971_5e-2);
        p = p.mul_add(square, 1.333_144_2e-1);
        p = p.mul_add(square, -3.333_328e-1);
        let near = (p * square).mul_add(size, size);
        let found = if size < 0.625 { near } else { far };
        found.copysign(self)
    }
}

impl Real for f64 {
    /// Factors are not rounded: rounding is for speed, and double precision is for checking.
    type Rounded = Self;

    const ONE: Self = 1.0;
    const LOWEST: Self = Self::NEG_INFINITY;
    const VANISHES: Self = -708.0;

    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    /// This is libm's function, whose bits don't depend on the host: double precision is for checking, not for speed.
    #[inline(always)]
    fn exp(self) -> Self {
        if self < Self::VANISHES { 0.0 } else { libm::exp(self) }
    }

    #[inline(always)]
    fn fused(self, by: Self, and: Self) -> Self {
        self.mul_add(by, and)
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn tanh(self) -> Self {
        libm::tanh(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn squashing_functions_agree_with_the_exact_ones() {
        for i in -1_200_000..1_200_000 {
            let x = i as f32 * 1e-5;
            let (tanh, sigmoid) = (f64::from(x).tanh(), 1.0 / (1.0 + (-f64::from(x)).exp()));
            assert!((f64::from(Real::tanh(x)) - tanh).abs() <= 2.5e-7 * tanh.abs(), "tanh({x})");
            assert!((f64::from(x.sigmoid()) / sigmoid - 1.0).abs() < 3e-7, "sigmoid({x})");
        }
        for (x, tanh, sigmoid) in [(f32::INFINITY, 1.0, 1.0), (f32::NEG_INFINITY, -1.0, 0.0), (1e30, 1.0, 1.0)] {
            assert!(Real::tanh(x) == tanh && x.sigmoid() == sigmoid);
            assert!(Real::tanh(f64::from(x)) == f64::from(tanh) && f64::from(x).sigmoid() == f64::from(sigmoid));
        }
        assert!(Real::tanh(f32::NAN).is_nan() && f32::NAN.sigmoid().is_nan() && f64::NAN.sigmoid().is_nan());
    }

    #[test]
    fn exp_agrees_with_the_exact_one() {
        for i in 0..870_000 {
            let x = -(i as f32) * 1e-4;
            let exact = f64::from(x).exp();
            assert!((f64::from(Real::exp(x)) / exact - 1.0).abs() < 2.5e-7, "exp({x})");
        }
        assert!(Real::exp(f32::NEG_INFINITY) == 0.0 && Real::exp(-1e30f32) == 0.0);
        assert!(Real::exp(f32::NAN).is_nan() && Real::exp(f64::NAN).is_nan());
        assert!(Real::exp(0.0f32) == 1.0 && Real::exp(0.0f64) == 1.0);
        assert!(Real::exp(f64::NEG_INFINITY) == 0.0);
    }
}
