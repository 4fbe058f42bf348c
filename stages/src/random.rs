//! Random numbers as a function of (seed, purpose, counter), without hidden generator state.
//!
//! A resumed run, a replayed step and a run with probes therefore draw the same numbers as an undisturbed run. The
//! generator is SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators") with random
//! access; purpose and seed choose its start.

use sha2::{Digest as _, Sha256};

/// The random numbers of one purpose under one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    start: u64,
}

impl Stream {
    /// The stream of `purpose` (such as `"init encoder.weight"`) under `seed`.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"pipeline random 1\0");
        hash.update(seed.to_le_bytes());
        hash.update(purpose.as_bytes());
        let digest = hash.finalize();
        let mut start = [0; 8];
        start.copy_from_slice(&digest[..8]);
        Self { start: u64::from_le_bytes(start) }
    }

    /// Sixty-four random bits at `counter`.
    pub fn bits(&self, counter: u64) -> u64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.start.wrapping_add(counter.wrapping_add(1).wrapping_mul(GOLDEN));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), with 53 random bits.
    pub fn uniform(&self, counter: u64) -> f64 {
        (self.bits(counter) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Standard normal (Box and Muller 1958), from two numbers of the stream.
    pub fn normal(&self, counter: u64) -> f64 {
        // 1 − u lies in (0, 1], so that the logarithm is finite.
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform(2 * counter)));
        radius * libm::cos(std::f64::consts::TAU * self.uniform(2 * counter + 1))
    }

    /// Uniform in 0..n, with negligible bias for n far below 2⁶⁴.
    pub fn below(&self, counter: u64, n: u64) -> u64 {
        ((u128::from(self.bits(counter)) * u128::from(n)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_only_on_seed_purpose_and_counter() {
        let a = Stream::new(1, "init");
        assert_eq!(a.bits(7), Stream::new(1, "init").bits(7));
        assert_ne!(a.bits(7), a.bits(8));
        assert_ne!(a.bits(7), Stream::new(2, "init").bits(7));
        assert_ne!(a.bits(7), Stream::new(1, "dropout").bits(7));
    }

    #[test]
    fn moments_are_right() {
        let stream = Stream::new(3, "test");
        let n = 100_000;
        let (mut sum, mut square, mut uniform) = (0.0, 0.0, 0.0);
        for i in 0..n {
            let x = stream.normal(i);
            sum += x;
            square += x * x;
            uniform += stream.uniform(i);
        }
        let n = n as f64;
        assert!((sum / n).abs() < 0.02, "mean of the normal");
        assert!((square / n - 1.0).abs() < 0.03, "variance of the normal");
        assert!((uniform / n - 0.5).abs() < 0.005, "mean of the uniform");
    }
}
