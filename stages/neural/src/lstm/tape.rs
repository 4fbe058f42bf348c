//! What the forward and backward passes of a layer share.

use tch::Tensor;

/// The weights of a layer: W_ih [4H, I], W_hh [4H, H], b_ih [4H], b_hh [4H], with the gates in the order i, f, g, o.
pub(crate) type LayerWeights<'a> = [&'a Tensor; 4];

/// What the backward pass needs from the forward pass.
#[derive(Debug)]
pub(crate) struct Tape<T> {
    /// The inputs [T·B, I].
    pub(super) x: Tensor,
    /// The outputs [T·B, H].
    pub(super) y: Tensor,
    /// The gates [T·B, 4H], after their squashing functions.
    pub(super) gates: Tensor,
    /// The cells c_t [T·B, H].
    pub(super) cells: Vec<T>,
    /// tanh c_t [T·B, H].
    pub(super) squashed: Vec<T>,
    /// The hidden state h and the cell c before the window, each [B, H].
    pub(super) before: (Tensor, Tensor),
}
