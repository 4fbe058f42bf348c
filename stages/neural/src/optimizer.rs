//! Update rules, with PyTorch's formulas, on plain slices.
//!
//! `tch::nn::Optimizer` can neither save nor restore its moments, and its Adam takes nine times as long.

use crate::failure::Result;
use stages::params::{Optimizer, Train};
use tch::Tensor;

use crate::layers::Slopes;
use crate::parallel;
use crate::raw::{self, Kernel};
use crate::real::Real;
use crate::weights::{Array, Arrays, Stored};

/// Elements per block. The slices of a block fit into the second-level cache together.
pub(crate) const BLOCK: usize = 1 << 15;

/// An update rule and its moments.
#[derive(Debug)]
pub(crate) struct OptimizerState<T> {
    rule: Optimizer,
    momentum: f64,
    alpha: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
    /// For each name in [`moments`], the moments of every tensor.
    moments: [Vec<Vec<T>>; 2],
    threads: usize,
}

/// PyTorch's names for a rule's moments.
fn moments(rule: Optimizer) -> &'static [&'static str] {
    match rule {
        Optimizer::Sgd => &[],
        Optimizer::Momentum => &["momentum_buffer"],
        Optimizer::Adagrad => &["sum"],
        Optimizer::Rmsprop => &["square_avg"],
        Optimizer::Adam | Optimizer::Adamw => &["exp_avg", "exp_avg_sq"],
    }
}

impl<T: Real> OptimizerState<T> {
    /// A rule that has seen no gradient, for tensors of these sizes.
    pub(crate) fn new(train: &Train, tensors: &[(String, Vec<usize>)], threads: usize) -> Self {
        let zeros = |_: &&str| tensors.iter().map(|(_, sizes)| vec![T::ZERO; sizes.iter().product()]).collect();
        let mut kept = moments(train.optimizer).iter().map(zeros);
        Self {
            rule: train.optimizer,
            momentum: train.momentum,
            alpha: train.alpha,
            beta1: train.beta1,
            beta2: train.beta2,
            epsilon: train.epsilon,
            weight_decay: train.weight_decay,
            moments: [kept.next().unwrap_or_default(), kept.next().unwrap_or_default()],
            threads,
        }
    }

    /// Sets the number of threads. No bit of the results depends on it.
    pub(crate) fn use_threads(&mut self, threads: usize) {
        self.threads = threads;
    }

    /// Makes update `t`, counted from 1: changes `weights` according to their gradients times the clipping
    /// `coefficient`.
    pub(crate) fn update(
        &mut self,
        weights: &mut [Tensor],
        slopes: &Slopes,
        coefficient: T,
        rate: f64,
        t: u64,
    ) -> Result<()> {
        let (update, decay) = self.numbers(rate, t);
        let [first, second] = &mut self.moments;
        let (mut first, mut second) = (first.iter_mut(), second.iter_mut());
        let mut blocks = Vec::new();
        // Without momentum or decay, rows without a gradient don't change. But a coefficient that is not finite changes
        // all of them, because 0 times it is NaN.
        let still = self.rule == Optimizer::Sgd && self.weight_decay == 0.0 && coefficient.wide().is_finite();
        let mut weights = weights.iter_mut().zip(&slopes.tensors);
        if let Some(rows) = slopes.rows.as_ref().filter(|_| still)
            && let Some((w, g)) = weights.next()
        {
            let width = w.size2()?.1 as usize;
            let (mut w, g) = (raw::floats_mut(w)?, raw::floats(g)?);
            let mut begin = 0;
            for row in rows.iter().map(|row| *row as usize) {
                let (of_row, rest) = w.split_at_mut((row + 1) * width - begin);
                let (w_row, g) = (&mut of_row[row * width - begin..], &g[row * width..][..width]);
                blocks.push(BlockUpdate { update, coefficient, decay, w: w_row, g, m: &mut [], v: &mut [] });
                (w, begin) = (rest, (row + 1) * width);
            }
        }
        for (w, g) in weights {
            let (mut w, mut g) = (raw::floats_mut(w)?, raw::floats(g)?);
            let mut m = first.next().map_or(&mut [][..], Vec::as_mut_slice);
            let mut v = second.next().map_or(&mut [][..], Vec::as_mut_slice);
            while !w.is_empty() {
                let (block, rest) = g.split_at(BLOCK.min(g.len()));
                let (w, m, v) = (cut(&mut w), cut(&mut m), cut(&mut v));
                blocks.push(BlockUpdate { update, coefficient, decay, w, g: block, m, v });
                g = rest;
            }
        }
        parallel::each(self.threads, blocks, raw::widest);
        Ok(())
    }

    /// The rule's coefficients at update `t`, computed in double precision as PyTorch does.
    fn rule_at(&self, rate: f64, t: u64) -> Update<T> {
        let epsilon = T::of(self.epsilon);
        match self.rule {
            Optimizer::Sgd => Update::Sgd { rate: T::of(rate) },
            Optimizer::Momentum => Update::Momentum { rate: T::of(rate), momentum: T::of(self.momentum) },
            Optimizer::Adagrad => Update::Adagrad { rate: T::of(rate), epsilon },
            Optimizer::Rmsprop => {
                let fresh = T::of(1.0 - self.alpha);
                Update::Rmsprop { rate: T::of(rate), alpha: T::of(self.alpha), fresh, epsilon }
            }
            Optimizer::Adam | Optimizer::Adamw => {
                let shrink = if self.rule == Optimizer::Adamw { 1.0 - rate * self.weight_decay } else { 1.0 };
                Update::Adam {
                    shrink: T::of(shrink),
                    beta2: T::of(self.beta2),
                    fresh1: T::of(1.0 - self.beta1),
                    fresh2: T::of(1.0 - self.beta2),
                    size: T::of(rate / (1.0 - libm::pow(self.beta1, t as f64))),
                    root: T::of((1.0 - libm::pow(self.beta2, t as f64)).sqrt()),
                    epsilon,
                }
            }
        }
    }

    /// The rule's moments, each as a list with one entry per tensor.
    pub(crate) fn moments(&self) -> impl Iterator<Item = &[Vec<T>]> {
        self.moments.iter().take(moments(self.rule).len()).map(Vec::as_slice)
    }

    /// The rule's moments, mutable.
    pub(crate) fn moments_mut(&mut self) -> impl Iterator<Item = &mut [Vec<T>]> {
        self.moments.iter_mut().take(moments(self.rule).len()).map(Vec::as_mut_slice)
    }

    /// The coefficients of update `t`, counted from 1, and the decay that is added to the gradient.
    pub(crate) fn numbers(&self, rate: f64, t: u64) -> (Update<T>, T) {
        (self.rule_at(rate, t), T::of(if self.rule == Optimizer::Adamw { 0.0 } else { self.weight_decay }))
    }
}

impl<T: Stored> OptimizerState<T> {
    /// The moments, for a state file.
    pub(crate) fn save<'a>(&'a self, tensors: &[(String, Vec<usize>)], out: &mut Vec<(String, Array<'a>)>) {
        for (moment, slices) in moments(self.rule).iter().zip(&self.moments) {
            for ((name, sizes), slice) in tensors.iter().zip(slices) {
                out.push((format!("{moment}.{name}"), T::array(sizes, slice)));
            }
        }
    }

    /// Takes the moments from a state file.
    ///
    /// # Errors
    /// If the file lacks these moments, as the file of another rule or model does.
    pub(crate) fn load(&mut self, tensors: &[(String, Vec<usize>)], arrays: &mut Arrays) -> Result<()> {
        for (moment, slices) in moments(self.rule).iter().zip(&mut self.moments) {
            for ((name, sizes), slice) in tensors.iter().zip(slices) {
                *slice = T::take(arrays, &format!("{moment}.{name}"), sizes)?;
            }
        }
        Ok(())
    }
}

/// Cuts a block off the front of a slice.
fn cut<'a, T>(slice: &mut &'a mut [T]) -> &'a mut [T] {
    let length = BLOCK.min(slice.len());
    let (block, rest) = std::mem::take(slice).split_at_mut(length);
    *slice = rest;
    block
}

/// The coefficients of one update. θ: weights, g: gradient, m and v: moments, η: learning rate.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Update<T> {
    /// θ ← θ − η g
    Sgd { rate: T },
    /// m ← μ m + g; θ ← θ − η m
    Momentum { rate: T, momentum: T },
    /// m ← m + g²; θ ← θ − η g / (√m + ε) (Duchi et al. 2011)
    Adagrad { rate: T, epsilon: T },
    /// m ← α m + (1 − α) g²; θ ← θ − η g / (√m + ε) (Tieleman and Hinton 2012)
    Rmsprop { rate: T, alpha: T, fresh: T, epsilon: T },
    /// m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²; θ ← shrink θ − size · m / (√v / root + ε) (Kingma and Ba 2015;
    /// with decoupled decay, Loshchilov and Hutter 2019)
    Adam { shrink: T, beta2: T, fresh1: T, fresh2: T, size: T, root: T, epsilon: T },
}

/// A block of weights with the gradients and moments that belong to it.
struct BlockUpdate<'a, T> {
    update: Update<T>,
    coefficient: T,
    decay: T,
    w: &'a mut [T],
    g: &'a [T],
    m: &'a mut [T],
    v: &'a mut [T],
}

impl<T: Real> Kernel for BlockUpdate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { update, coefficient, decay, w, g, m, v } = self;
        // Like PyTorch, add nothing for a decay of 0: for an infinite weight, 0 · θ would be NaN.
        let gradient = |g: T, w: T| if decay == T::ZERO { g * coefficient } else { g * coefficient + decay * w };
        match update {
            Update::Sgd { rate } => {
                for (w, &g) in w.iter_mut().zip(g) {
                    *w -= rate * gradient(g, *w);
                }
            }
            Update::Momentum { rate, momentum } => {
                for ((w, &g), m) in w.iter_mut().zip(g).zip(m) {
                    *m = momentum * *m + gradient(g, *w);
                    *w -= rate * *m;
                }
            }
            Update::Adagrad { rate, epsilon } => {
                for ((w, &g), m) in w.iter_mut().zip(g).zip(m) {
                    let g = gradient(g, *w);
                    *m += g * g;
                    *w -= rate * g / (m.root() + epsilon);
                }
            }
            Update::Rmsprop { rate, alpha, fresh, epsilon } => {
                for ((w, &g), m) in w.iter_mut().zip(g).zip(m) {
                    let g = gradient(g, *w);
                    *m = alpha * *m + fresh * g * g;
                    *w -= rate * g / (m.root() + epsilon);
                }
            }
            Update::Adam { shrink, beta2, fresh1, fresh2, size, root, epsilon } => {
                for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                    let g = gradient(g, *w);
                    *m += fresh1 * (g - *m);
                    *v = beta2 * *v + fresh2 * g * g;
                    *w = shrink * *w - size * *m / (v.root() / root + epsilon);
                }
            }
        }
    }
}
