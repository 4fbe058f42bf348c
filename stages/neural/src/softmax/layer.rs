//! The layer's passes over a window, in order. In each pass, threads share the work by blocks of types.

use std::time::Duration;

use crate::failure::Result;
use stages::protocol::Predicted;
use tch::{Device, Tensor};

use super::candidates::Candidates;
use super::loss::{Gradients, PredictionProbes, WindowLoss};
use super::passes::{Collect, Exponentiate, Learn, PartialSums, Predict, Targets};
use super::setting::{BLOCK, Setting};
use crate::factor::{Factor, WIDTH};
use crate::matrix::PackedMatrix;
use crate::model::Model;
use crate::real::Real;
use crate::rows::{Exponentials, LaneExponentials, MeasureLogits};
use crate::sharpness::{self, TOKENS};
use crate::stopwatch::{Phase, Stopwatch};
use crate::{parallel, raw};

/// The maximum number of parts, each with its own partial sums, that the blocks are divided into. It does not depend on
/// the number of threads, so that sums are always added in the same order.
const PARTS: usize = 16;

/// The layer's buffers, reused at every step. `F` is the kind of factor that its products multiply.
#[derive(Debug)]
pub(super) struct SoftmaxLayer<T, F> {
    /// Logits [V, N], and later e^(l − m), each row padded to `stride`.
    logits: Vec<T>,
    /// The same values as factors, joined along the row; empty if a factor is simply a `T`.
    rounded: Vec<F>,
    parts: Vec<PartialSums<T>>,
    pub(super) threads: usize,
}

/// What is known of each token after the first pass.
#[derive(Debug)]
struct Tokens<T> {
    maxima: Vec<T>,
    /// The target's logit.
    logits: Vec<T>,
}

impl<T: Real, F: Factor<T>> SoftmaxLayer<T, F> {
    pub(super) fn new(threads: usize) -> Self {
        Self { logits: Vec::new(), rounded: Vec::new(), parts: Vec::new(), threads }
    }

    pub(super) fn learn(
        &mut self,
        model: &Model,
        y: &Tensor,
        targets: &[u32],
        probe: bool,
        mut noted: Option<&mut Vec<Predicted>>,
        watch: &mut Stopwatch,
    ) -> Result<(WindowLoss, Gradients)> {
        let (n, threads) = (targets.len(), self.threads);
        let of = Setting::new(model, n)?;
        let y = raw::floats::<T>(y)?;
        let tokens = self.predict(of, y, targets);
        watch.lap(Phase::Products);
        let probes = probe.then(|| {
            let (logit_max, entropy) = self.probe(of, &tokens.maxima, n);
            let predictions = sharpness::of_predictions(&self.last_predictions(of, &tokens.maxima, n), n.min(TOKENS));
            PredictionProbes { logit_max, entropy, sharpness: predictions * sharpness::of_inputs(y, of.hidden) }
        });
        watch.lap(Phase::Probes);
        let candidates = noted.as_ref().map(|_| Candidates::of(&self.logits, of.stride, &tokens.logits));
        let sorted = Targets::new(targets);
        self.exponentiate(of, &tokens.maxima, &sorted);
        let multiplied: Duration = self.parts.iter().map(|part| part.multiplied).sum();
        let whole: Duration = self.parts.iter().map(|part| part.whole).sum();
        watch.split(Phase::Products, Phase::Softmax, multiplied.as_secs_f64() / whole.as_secs_f64());

        // For each token: 1 / (N Z), and (p − 1) / N for its target.
        let (mut shares, mut slopes, mut loss) = (Vec::with_capacity(n), Vec::with_capacity(n), 0.0);
        for (t, (&max, &logit)) in tokens.maxima.iter().zip(&tokens.logits).enumerate() {
            let z: f64 = self.parts.iter().map(|part| part.sums[t]).sum();
            let share = T::of(1.0 / (n as f64 * z));
            let nats = max.wide() - logit.wide() + z.ln();
            loss += nats;
            if let (Some(noted), Some(candidates)) = (&mut noted, &candidates) {
                noted.push(candidates.predicted(t, max, z, nats));
            }
            slopes.push(share * (logit - max).exp() - T::of(1.0 / n as f64));
            shares.push(share);
        }
        let floats = (T::KIND, Device::Cpu);
        let mut by_y = Tensor::f_empty([n as i64, of.hidden as i64], floats)?;
        let mut weight = Tensor::f_empty([of.types as i64, of.hidden as i64], floats)?;
        let mut bias = Tensor::f_empty([of.types as i64], floats)?;
        let (parts, shares, slopes) = (&self.parts, &shares, &slopes);
        let rows = raw::floats_mut::<T>(&mut by_y)?.chunks_mut(WIDTH * of.hidden).zip((0..).step_by(WIDTH));
        parallel::each(threads, rows.collect(), |(out, first)| {
            raw::widest(Collect { of, parts, shares, slopes, targets, first, out });
        });
        watch.lap(Phase::Softmax);

        let mut scaled = y.to_vec();
        for (row, share) in scaled.chunks_mut(of.hidden).zip(shares) {
            row.iter_mut().for_each(|x| *x *= *share);
        }
        let (scaled, targets, hidden) = (&PackedMatrix::<F>::new(&scaled, n, of.hidden), &sorted, of.hidden);
        let (errors, stride) = match F::plain(&self.logits) {
            Some(errors) => (errors, of.stride),
            None => (self.rounded.as_slice(), of.stride / F::GROUP),
        };
        let out = raw::floats_mut::<T>(&mut weight)?.chunks_mut(BLOCK * hidden);
        let out = out.zip(raw::floats_mut::<T>(&mut bias)?.chunks_mut(BLOCK)).zip((0..).step_by(BLOCK));
        parallel::each(
            threads,
            errors.chunks(BLOCK * stride).zip(out).collect(),
            |(errors, ((weight, bias), first))| {
                raw::widest(Learn { errors, stride, scaled, y, shares, slopes, targets, first, hidden, weight, bias });
            },
        );
        watch.lap(Phase::Products);
        Ok((WindowLoss { mean: loss / n as f64, probes }, Gradients { weight, bias, y: by_y }))
    }

    pub(super) fn score(&mut self, model: &Model, y: &Tensor, targets: &[u32]) -> Result<f64> {
        let of = Setting::new(model, targets.len())?;
        let Tokens { maxima, logits } = self.predict(of, raw::floats::<T>(y)?, targets);
        let blocks = self.logits.chunks_mut(BLOCK * of.stride);
        let mut sums = vec![0.0; blocks.len() * of.stride];
        let blocks = blocks.zip(sums.chunks_mut(of.stride)).collect();
        parallel::each(self.threads, blocks, |(block, sums)| {
            raw::widest(Exponentials { block, maxima: &maxima, sums });
        });
        let z = |t: usize| sums[t..].iter().step_by(of.stride).sum::<f64>();
        let losses = maxima.iter().zip(&logits).enumerate();
        Ok(losses.map(|(t, (max, logit))| max.wide() - logit.wide() + z(t).ln()).sum())
    }

    /// The first pass: logits, and each token's maximum and target logit.
    fn predict(&mut self, of: Setting<'_, T>, y: &[T], targets: &[u32]) -> Tokens<T> {
        let (stride, tokens) = (of.stride, targets.len());
        self.logits.resize(of.types * stride, T::ZERO);
        let y = &PackedMatrix::<F>::transposed(y, of.hidden, tokens);
        let blocks = self.logits.chunks_mut(BLOCK * stride);
        let mut maxima = vec![T::LOWEST; blocks.len() * stride];
        let items = blocks.zip(maxima.chunks_mut(stride)).zip((0..).step_by(BLOCK)).collect();
        parallel::each(self.threads, items, |((block, maxima), first)| {
            raw::widest(Predict { of, y, tokens, block, maxima, first });
        });
        let (whole, others) = maxima.split_at_mut(stride);
        for part in others.chunks(stride) {
            for (max, x) in whole.iter_mut().zip(part) {
                *max = if *x > *max { *x } else { *max };
            }
        }
        maxima.truncate(stride);
        let logit = |(t, target): (usize, &u32)| self.logits[*target as usize * stride + t];
        Tokens { maxima, logits: targets.iter().enumerate().map(logit).collect() }
    }

    /// The second pass: exponentials, their sums, and Wᵀ e without the targets' part.
    fn exponentiate(&mut self, of: Setting<'_, T>, maxima: &[T], targets: &Targets) {
        let deep = if F::plain(&[]).is_some() { 0 } else { of.stride / F::GROUP };
        self.rounded.resize(of.types * deep, F::join(T::ZERO, T::ZERO));
        let most = of.types.div_ceil(BLOCK).div_ceil(PARTS) * BLOCK;
        self.parts.resize_with(of.types.div_ceil(most), PartialSums::new);
        let mut rounded = self.rounded.as_mut_slice();
        let mut items = Vec::new();
        let blocks = self.logits.chunks_mut(most * of.stride).zip(&mut self.parts);
        for ((blocks, part), first) in blocks.zip((0..).step_by(most)) {
            let (here, rest) = std::mem::take(&mut rounded).split_at_mut(blocks.len() / of.stride * deep);
            rounded = rest;
            items.push(Exponentiate { of, maxima, targets, blocks, rounded: here, deep, first, part });
        }
        parallel::each(self.threads, items, raw::widest);
    }

    /// The largest absolute logit, and the mean entropy of the predictions in nats.
    fn probe(&self, of: Setting<'_, T>, maxima: &[T], tokens: usize) -> (f64, f64) {
        let blocks = self.logits.chunks(BLOCK * of.stride);
        let mut statistics: Vec<_> = blocks.clone().map(|_| None).collect();
        parallel::each(self.threads, blocks.zip(&mut statistics).collect(), |(block, statistics)| {
            *statistics = Some(raw::widest(MeasureLogits { block, maxima }));
        });
        let all = statistics.into_iter().flatten().reduce(|mut all, statistics| {
            all.add(&statistics);
            all
        });
        all.map_or((0.0, 0.0), |all| all.mean(tokens))
    }

    /// The predictions for the last tokens, type by type.
    fn last_predictions(&self, of: Setting<'_, T>, maxima: &[T], tokens: usize) -> Vec<[T; TOKENS]> {
        let first = tokens.saturating_sub(TOKENS);
        let mut rows = vec![[T::ZERO; TOKENS]; of.types];
        let (lanes, maxima) = (first..tokens, &maxima[first..tokens]);
        let blocks = self.logits.chunks(BLOCK * of.stride).zip(rows.chunks_mut(BLOCK)).collect();
        parallel::each(self.threads, blocks, |(block, rows)| {
            raw::widest(LaneExponentials { block, stride: of.stride, lanes: lanes.clone(), maxima, rows });
        });
        let mut shares = [0.0f64; TOKENS];
        for row in &rows {
            shares.iter_mut().zip(row).for_each(|(sum, e)| *sum += e.wide());
        }
        let shares = shares.map(|sum| T::of(if sum == 0.0 { 0.0 } else { 1.0 / sum }));
        for row in &mut rows {
            row.iter_mut().zip(&shares).for_each(|(e, share)| *e *= *share);
        }
        rows
    }
}
