//! What both ways through a layer share.

use tch::Tensor;

/// W_ih [4H, I], W_hh [4H, H], b_ih [4H], b_hh [4H]; gates in the order i, f, g, o.
pub(crate) type LayerWeights<'a> = [&'a Tensor; 4];

/// What the way back reads of the way forward.
#[derive(Debug)]
pub(crate) struct Tape<T> {
    /// The inputs [T·B, I].
    pub(super) x: Tensor,
    /// The outputs [T·B, H].
    pub(super) y: Tensor,
    /// The gates [T·B, 4H], after their squashing functions.
    pub(super) gates: Tensor,
    /// c_t [T·B, H].
    pub(super) cells: Vec<T>,
    /// tanh c_t [T·B, H].
    pub(super) squashed: Vec<T>,
    /// h and c before the window, [B, H].
    pub(super) before: (Tensor, Tensor),
}
