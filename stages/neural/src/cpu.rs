//! Which vector instructions this CPU has, and which of them may be used.

use std::sync::LazyLock;

/// The vector extensions that ATen chooses its kernels by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capability {
    /// Only the extensions that every CPU of the architecture has.
    Default,
    /// AVX2, with fused multiply-add.
    Avx2,
    /// AVX-512: F, VL, BW and DQ, and all of AVX2.
    Avx512,
}

impl Capability {
    /// Its name in ATen.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX512",
        }
    }
}

/// The extensions that kernels use. tch does not expose which ones ATen has chosen.
///
/// The rule is that of `compute_cpu_capability` in `aten/src/ATen/native/DispatchStub.cpp`, including its
/// environment variable. As in ATen, the variable can only choose fewer extensions than the CPU has;
/// [`crate::raw::widest`] relies on that.
pub(crate) fn capability() -> Capability {
    static CAPABILITY: LazyLock<Capability> = LazyLock::new(|| {
        let wished = std::env::var("ATEN_CPU_CAPABILITY").unwrap_or_default();
        let (avx2, avx512) = vector_extensions();
        match wished.as_str() {
            "default" => Capability::Default,
            "avx2" if avx2 => Capability::Avx2,
            _ if avx512 => Capability::Avx512,
            _ if avx2 => Capability::Avx2,
            _ => Capability::Default,
        }
    });
    *CAPABILITY
}

#[cfg(target_arch = "x86_64")]
fn vector_extensions() -> (bool, bool) {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq");
    (avx2, avx512)
}

#[cfg(not(target_arch = "x86_64"))]
fn vector_extensions() -> (bool, bool) {
    (false, false)
}

/// Whether the CPU has instructions for products of bf16 numbers.
pub(crate) fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        // Every CPU with AMX has these instructions too.
        is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}
