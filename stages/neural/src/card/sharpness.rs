//! The sharpness of [`crate::sharpness`], computed with libtorch operations.

use crate::failure::Result;
use tch::{Kind, Tensor};

use crate::sharpness::{ROUNDS, TOKENS, sign};

/// λmax(E[h hᵀ]) · λmax(diag p̄ − E[p pᵀ]) of predictions p [N, V] for inputs h [N, H], in double precision.
pub(super) fn of(p: &Tensor, h: &Tensor) -> Result<Tensor> {
    let (n, kind) = (p.size()[0], p.kind());
    let last = n.min(TOKENS as i64);
    let (p, h) = (p.f_narrow(0, n - last, last)?, h.f_to_kind(kind)?);
    let mean = p.f_mean_dim(&[0i64][..], false, kind)?;
    let signs = |length: i64| -> Result<Tensor> {
        let all: Vec<f64> = (0..length as usize).map(sign).collect();
        Ok(Tensor::f_from_slice(&all)?.f_to_device(p.device())?.f_to_kind(kind)?)
    };
    let inputs = largest(signs(h.size()[1])?, |v| Ok(h.f_tr()?.f_mv(&h.f_mv(v)?)?.f_div_scalar(n)?))?;
    let start = mean.f_mul(&signs(mean.size()[0])?)?;
    let predictions = largest(start, |v| {
        let along = p.f_tr()?.f_mv(&p.f_mv(v)?)?.f_div_scalar(last)?;
        Ok(mean.f_mul(v)?.f_sub(&along)?)
    })?;
    Ok(inputs.f_mul(&predictions)?)
}

/// The largest eigenvalue of the matrix that `multiply` multiplies by, by power iteration from the vector `v`.
fn largest(mut v: Tensor, multiply: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let dot = |a: &Tensor, b: &Tensor| -> Result<Tensor> { Ok(a.f_mul(b)?.f_sum(Kind::Double)?) };
    let mut found = Tensor::new();
    for _ in 0..ROUNDS {
        let made = multiply(&v)?;
        found = dot(&v, &made)?.f_div(&dot(&v, &v)?)?;
        v = made.f_div(&made.f_norm()?)?;
    }
    Ok(found)
}
