//! Update rules on the GPU: the formulas of [`crate::optimizer`], over all weights at once.

use crate::failure::Result;
use tch::{TchError, Tensor, no_grad};

use super::loaded::Loaded;
use crate::optimizer::Update;
use crate::real::Real;

impl Loaded {
    /// Updates every weight, and the `moments` [P], by the gradients `g` [P] times the clipping `coefficient`.
    pub(super) fn update<T: Real>(
        &mut self,
        moments: &mut [Tensor],
        update: Update<T>,
        decay: T,
        coefficient: T,
        g: &Tensor,
    ) -> Result<()> {
        no_grad(|| self.update_all(moments, update, decay, coefficient, g))
    }

    fn update_all<T: Real>(
        &mut self,
        moments: &mut [Tensor],
        update: Update<T>,
        decay: T,
        coefficient: T,
        g: &Tensor,
    ) -> Result<()> {
        if let (Update::Sgd { rate }, true) = (update, decay == T::ZERO) {
            let times = g.f_new_full([0i64; 0], -(rate * coefficient).wide(), (g.kind(), g.device()))?;
            return self.each_block(g, |block, g| block.f_addcmul_(g, &times));
        }
        let scaled = if coefficient == T::ONE { None } else { Some(g.f_mul_scalar(coefficient.wide())?) };
        let g = scaled.as_ref().unwrap_or(g);
        // Like PyTorch, add nothing for a decay of 0: for an infinite weight, 0 · θ would be NaN.
        let decayed = match decay.wide() {
            0.0 => None,
            decay => Some(g.f_add(&self.flat()?.f_mul_scalar(decay)?)?),
        };
        let g = decayed.as_ref().unwrap_or(g);
        let mut moments = moments.iter_mut();
        let (m, v) = (moments.next(), moments.next());
        let mut shrunk = T::ONE;
        let change = match (update, m, v) {
            (Update::Sgd { rate }, ..) => g.f_mul_scalar(rate.wide())?,
            (Update::Momentum { rate, momentum }, Some(m), _) => {
                m.f_mul_scalar_(momentum.wide())?.f_add_(g)?.f_mul_scalar(rate.wide())?
            }
            (Update::Adagrad { rate, epsilon }, Some(m), _) => {
                let root = m.f_addcmul_(g, g)?.f_sqrt()?.f_add_scalar(epsilon.wide())?;
                g.f_mul_scalar(rate.wide())?.f_div(&root)?
            }
            (Update::Rmsprop { rate, alpha, fresh, epsilon }, Some(m), _) => {
                let fresh = g.f_mul_scalar(fresh.wide())?;
                let root = m.f_mul_scalar_(alpha.wide())?.f_addcmul_(&fresh, g)?.f_sqrt()?;
                g.f_mul_scalar(rate.wide())?.f_div(&root.f_add_scalar(epsilon.wide())?)?
            }
            (Update::Adam { shrink, beta2, fresh1, fresh2, size, root, epsilon }, Some(m), Some(v)) => {
                shrunk = shrink;
                let _same = m.f_lerp_(g, fresh1.wide())?;
                let fresh = g.f_mul_scalar(fresh2.wide())?;
                let second = v.f_mul_scalar_(beta2.wide())?.f_addcmul_(&fresh, g)?.f_sqrt()?;
                let below = second.f_div_scalar(root.wide())?.f_add_scalar(epsilon.wide())?;
                m.f_mul_scalar(size.wide())?.f_div(&below)?
            }
            _ => return Err("BUG: an update rule without its moments".into()),
        };
        self.each_block(&change, |block, change| {
            if shrunk != T::ONE {
                let _same = block.f_mul_scalar_(shrunk.wide())?;
            }
            block.f_sub_(change)
        })
    }

    /// Applies `change` to each block with its part of `flat` [P].
    fn each_block(
        &mut self,
        flat: &Tensor,
        change: impl Fn(&mut Tensor, &Tensor) -> Result<Tensor, TchError>,
    ) -> Result<()> {
        let mut begin = 0;
        for block in &mut self.blocks {
            let length = i64::try_from(block.numel())?;
            let _same = change(block, &flat.f_narrow(0, begin, length)?)?;
            begin += length;
        }
        Ok(())
    }
}
