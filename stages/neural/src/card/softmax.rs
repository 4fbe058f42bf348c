//! The softmax layer on the GPU, with its gradient, and scoring.

use std::sync::atomic::AtomicBool;

use crate::failure::Result;
use identity::observations::Measured;
use stages::files::Ids;
use stages::protocol::Predicted;
use tch::{Device, Kind, Tensor, no_grad};

use super::loaded::Loaded;
use super::sharpness;
use crate::evaluate::{CHUNK, Score, in_chunks};
use crate::model::Carry;

/// The softmax layer's results for a window of N tokens; L is the mean loss.
pub(super) struct Upper {
    /// −L, in double precision.
    pub(super) likelihood: Tensor,
    /// ∂L/∂W [V, H].
    pub(super) weight: Tensor,
    /// ∂L/∂b [V].
    pub(super) bias: Tensor,
    /// ∂L/∂y [N, H].
    pub(super) y: Tensor,
    /// The largest logit, the mean entropy and the sharpness, in double precision.
    pub(super) probes: Option<[Tensor; 3]>,
}

impl Loaded {
    /// The logits [N, V] of y [N, H], given the layer's matrix [V, H] in the precision in which products are computed.
    fn logits(&self, weight: &Tensor, y: &Tensor) -> Result<Tensor> {
        let (bias, across) = (self.decoder_bias(), weight.f_tr()?);
        Ok(if y.kind() == bias.kind() { bias.f_addmm(y, &across)? } else { product(y, &across)?.f_add(bias)? })
    }

    /// The softmax layer over y [N, H] with its gradient: ∂L/∂logits = (softmax − onehot) / N. `targets` are [N, 1].
    /// The predictions for each token are appended to `noted`, if given.
    pub(super) fn softmax(
        &self,
        y: &Tensor,
        targets: &Tensor,
        probed: bool,
        rounds: bool,
        noted: Option<&mut Vec<Predicted>>,
    ) -> Result<Upper> {
        let (weight, y) = (narrow(self.decoder(), rounds)?, narrow(y, rounds)?);
        let logits = self.logits(&weight, &y)?;
        let n = targets.numel() as f64;
        let mut turned = logits.f_log_softmax(-1, None::<Kind>)?;
        let picked = turned.f_gather(1, targets, false)?;
        let likelihood = picked.f_mean(Kind::Double)?;
        if let Some(noted) = noted {
            predicted(&turned, &picked, noted)?;
        }
        let _same = turned.f_exp_()?;
        let probes = match probed {
            true => {
                let largest = logits.f_abs()?.f_max()?.f_to_kind(Kind::Double)?;
                let entropy = turned.f_special_entr()?.f_sum(Kind::Double)?.f_div_scalar(n)?;
                Some([largest, entropy, sharpness::of(&turned, &y)?])
            }
            false => None,
        };
        drop(logits);
        let _same = turned.f_scatter_(1, targets, &picked.f_exp()?.f_sub_scalar(1.0)?)?;
        let _same = turned.f_mul_scalar_(1.0 / n)?;
        let bias = turned.f_sum_dim_intlist(&[0i64][..], false, turned.kind())?;
        let turned = narrow(&turned, rounds)?;
        Ok(Upper { likelihood, weight: product(&turned.f_tr()?, &y)?, bias, y: product(&turned, &weight)?, probes })
    }

    /// The sum of the log-likelihoods of `targets` [T·B, 1] after `inputs` [T, B], in nats.
    pub(super) fn likelihood(
        &self,
        inputs: &Tensor,
        targets: &Tensor,
        carry: &mut [Carry],
        masks: &[Option<Tensor>],
        rounds: bool,
    ) -> Result<f64> {
        let y = self.layers(&self.embed(inputs)?, carry, masks, false)?.f_flatten(0, 1)?;
        let logits = self.logits(&narrow(self.decoder(), rounds)?, &narrow(&y, rounds)?)?;
        let picked = logits.f_log_softmax(-1, None::<Kind>)?.f_gather(1, targets, false)?;
        Ok(f64::try_from(picked.f_sum(Kind::Double)?)?)
    }

    /// Scores a split; see [`crate::evaluate::score`].
    pub(crate) fn score(
        &self,
        ids: &Ids,
        stop: &AtomicBool,
        progress: impl FnMut(u64, u64) -> Result<()>,
    ) -> Result<Option<Score>> {
        let mut carry = self.zero_carry(1)?;
        let send = |ids: &[u32]| -> Result<Tensor> {
            let wide: Vec<i64> = ids.iter().copied().map(i64::from).collect();
            Ok(Tensor::f_from_slice(&wide)?.f_to_device(self.device)?.f_unsqueeze(1)?)
        };
        in_chunks((ids, self.shape.vocab), CHUNK, stop, progress, |inputs, targets| {
            Ok(-no_grad(|| self.likelihood(&send(inputs)?, &send(targets)?, &mut carry, &[], false))?)
        })
    }
}

/// Appends the predictions for each token, given all log-probabilities `all` [N, V] and those of the targets [N, 1].
fn predicted(all: &Tensor, targets: &Tensor, noted: &mut Vec<Predicted>) -> Result<()> {
    let named = all.size()[1].min(Predicted::NAMED as i64);
    let (highest, types) = all.f_topk(named, 1, true, true)?;
    let above = all.f_gt_tensor(targets)?.f_sum_dim_intlist(&[1i64][..], false, Kind::Int64)?;
    let doubles = |tensor: &Tensor| -> Result<Vec<f64>> {
        Ok(Vec::try_from(&tensor.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?.f_flatten(0, -1)?)?)
    };
    let integers = |tensor: &Tensor| -> Result<Vec<i64>> {
        Ok(Vec::try_from(&tensor.f_to_device(Device::Cpu)?.f_flatten(0, -1)?)?)
    };
    let (highest, types, above, targets) =
        (doubles(&highest)?, integers(&types)?, integers(&above)?, doubles(targets)?);
    let named = usize::try_from(named)?;
    let rows = highest.chunks(named).zip(types.chunks(named)).zip(above).zip(targets);
    for (((highest, types), above), target) in rows {
        // A NaN or infinite logit leaves no probabilities.
        let sound = highest.iter().all(|x| !x.is_nan());
        let likeliest = types.iter().zip(highest).filter(|_| sound);
        noted.push(Predicted {
            loss: Measured(-target),
            rank: if sound { Some(u64::try_from(above)? + 1) } else { None },
            likeliest: likeliest.map(|(id, x)| Ok((u32::try_from(*id)?, x.exp()))).collect::<Result<_>>()?,
        });
    }
    Ok(())
}

/// A factor of a product, rounded to bf16 if `rounds` is set.
fn narrow(tensor: &Tensor, rounds: bool) -> Result<Tensor> {
    Ok(if rounds { tensor.f_to_kind(Kind::BFloat16)? } else { tensor.shallow_clone() })
}

/// A product that is summed in the precision of the weights.
fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(if a.kind() == Kind::BFloat16 { a.f_mm_dtype(b, Kind::Float)? } else { a.f_mm(b)? })
}
