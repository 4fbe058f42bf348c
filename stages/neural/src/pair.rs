//! Two bf16 numbers in one word, the operand of the CPU's bf16 products.

/// Two bf16 numbers, the first in the low half and the second in the high half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Bf16Pair(pub(crate) u32);

impl Bf16Pair {
    /// Rounds each to the nearest bf16 number, ties to even.
    #[inline(always)]
    pub(crate) fn of(first: f32, second: f32) -> Self {
        Self(rounded(first) >> 16 | rounded(second) & HIGH)
    }

    /// Both numbers in single precision.
    #[inline(always)]
    pub(crate) fn apart(self) -> [f32; 2] {
        [f32::from_bits(self.0 << 16), f32::from_bits(self.0 & HIGH)]
    }
}

const HIGH: u32 = 0xffff_0000;

/// The bits of the nearest bf16 number in the high half; the low half is meaningless. NaN stays NaN.
#[inline(always)]
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    if x.is_nan() { bits | 0x40_0000 } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::Bf16Pair;

    #[test]
    fn pairs_hold_the_nearest_bf16_numbers() {
        let near = |x: f32| Bf16Pair::of(x, 0.0).apart()[0];
        for (x, expected) in [
            (1.0, 1.0),
            (-0.0, -0.0),
            (1.0 + 1.0 / 256.0, 1.0),                // halfway: to even
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),  // halfway: to even
            (1.0 + 1.01 / 256.0, 1.0 + 2.0 / 256.0), // above
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            assert_eq!(near(x).to_bits(), f32::to_bits(expected), "{x}");
        }
        assert!(near(f32::NAN).is_nan() && near(f32::from_bits(0x7f80_0001)).is_nan());
        assert_eq!(Bf16Pair::of(3.0, -0.375).apart(), [3.0, -0.375]);
    }
}
