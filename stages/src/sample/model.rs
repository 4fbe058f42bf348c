//! The forward pass of an LSTM language model, one token at a time, from a safetensors file with PyTorch's names.
//!
//! `encoder.weight [V, E]`; for each layer k `lstm.weight_ih_lk [4H, E or H]`, `lstm.weight_hh_lk [4H, H]`,
//! `lstm.bias_ih_lk [4H]`, `lstm.bias_hh_lk [4H]`, gates in the order i, f, g, o; `decoder.weight [V, H]`, absent if it
//! is tied to the encoder's; `decoder.bias [V]`. All f32.

use std::path::Path;

use super::coarse::Coarse;
use super::kernels::Kernels;
use super::panels::Matrix;
use super::team::{Affine, PanelProduct, Team};
use super::tensors::Tensors;
use crate::StageError;

/// The weights, laid out for the kernels.
#[derive(Debug)]
pub(super) struct InferenceModel {
    kernels: Kernels,
    /// `[V, E]`, row-major.
    encoder: Vec<f32>,
    types: usize,
    layers: Vec<LstmLayer>,
    decoder: Affine,
    /// Set if long greedy samples are expected.
    coarse: Option<Coarse>,
}

/// A layer whose two products are computed as one: `[W_ih | W_hh] · [x; h]`, plus the sum of both biases.
#[derive(Debug)]
struct LstmLayer {
    product: Affine,
    inputs: usize,
    hidden: usize,
}

/// The state of the model while it draws a sample: that of every layer, and the logits of the next token.
#[derive(Debug, Clone)]
pub(super) struct InferenceState {
    layers: Vec<LayerState>,
    logits: Vec<f32>,
    near: Vec<f32>,
    likeliest: Option<u32>,
    types: usize,
}

/// What to compute about the token after the one being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Nothing,
    /// [`InferenceState::likeliest`], or the logits if it can't be determined.
    Likeliest,
    /// [`InferenceState::logits`].
    Logits,
}

#[derive(Debug, Clone)]
struct LayerState {
    /// The layer's input, followed by its hidden state.
    input_and_hidden: Vec<f32>,
    cell: Vec<f32>,
    gates: Vec<f32>,
}

impl InferenceState {
    /// The most likely token, if [`InferenceModel::read`] was asked only for that and all logits are known to be
    /// finite.
    pub(super) fn likeliest(&self) -> Option<u32> {
        self.likeliest
    }

    /// The logits `[V]` from the last time that [`InferenceModel::read`] computed them.
    pub(super) fn logits(&self) -> &[f32] {
        &self.logits[..self.types]
    }
}

impl InferenceModel {
    /// Reads the weights for a vocabulary of `types` types; a missing tensor or a wrong shape is an error.
    pub(super) fn load(path: &Path, types: usize, kernels: Kernels) -> Result<Self, StageError> {
        let bytes = std::fs::read(path).map_err(StageError::io(path))?;
        let file = Tensors::new(path, &bytes)?;
        let encoder = file.matrix("encoder.weight", Some(types), None)?;
        let mut layers: Vec<LstmLayer> = Vec::new();
        let mut inputs = encoder.columns;
        while layers.is_empty() || file.has(&format!("lstm.weight_ih_l{}", layers.len())) {
            let layer = LstmLayer::load(&file, layers.len(), inputs)?;
            inputs = layer.hidden;
            layers.push(layer);
        }
        let name = if file.has("decoder.weight") { "decoder.weight" } else { "encoder.weight" };
        let decoder = file.matrix(name, Some(types), Some(inputs))?;
        let bias = file.vector("decoder.bias", types)?;
        let decoder = affine(Matrix::new(types, inputs, |r, out| out.copy_from_slice(decoder.row(r))), bias);
        Ok(Self { kernels, encoder: encoder.values, types, layers, decoder, coarse: None })
    }

    /// Prepares for long greedy samples, which then read half as many bytes of the softmax layer per token. This takes
    /// as long as drawing some hundred tokens.
    pub(super) fn expect_greedy(&mut self) {
        self.coarse = Coarse::new(&self.decoder);
    }

    /// Runs `work` with a team of threads that share the products of [`InferenceModel::read`].
    pub(super) fn with_team<T>(&self, threads: usize, work: impl FnOnce(&Team<'_>) -> T) -> T {
        let mut products: Vec<&dyn PanelProduct> = self.layers.iter().map(|layer| &layer.product as _).collect();
        products.push(&self.decoder);
        products.extend(self.coarse.iter().map(|coarse| coarse as &dyn PanelProduct));
        Team::gather(self.kernels, products, threads, work)
    }

    /// The kernels in use.
    pub(super) fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// The state before the first token: all zero.
    pub(super) fn start(&self) -> InferenceState {
        let layer = |layer: &LstmLayer| LayerState {
            input_and_hidden: vec![0.0; layer.inputs + layer.hidden],
            cell: vec![0.0; layer.hidden],
            gates: vec![0.0; layer.product.padded_rows()],
        };
        let layers = self.layers.iter().map(layer).collect();
        let near = vec![0.0; self.coarse.as_ref().map_or(0, |coarse| coarse.padded_rows())];
        InferenceState {
            layers,
            logits: vec![0.0; self.decoder.padded_rows()],
            near,
            likeliest: None,
            types: self.types,
        }
    }

    /// Reads one token; `team` must be from [`Self::with_team`].
    pub(super) fn read(&self, team: &Team<'_>, state: &mut InferenceState, token: u32, want: Want) {
        let width = self.layers[0].inputs;
        let mut input = &self.encoder[token as usize * width..][..width];
        for (k, (layer, state)) in self.layers.iter().zip(&mut state.layers).enumerate() {
            state.input_and_hidden[..layer.inputs].copy_from_slice(input);
            team.multiply(k, &state.input_and_hidden, &mut state.gates);
            let hidden = &mut state.input_and_hidden[layer.inputs..];
            self.kernels.cell(&state.gates, &mut state.cell, hidden);
            input = &state.input_and_hidden[layer.inputs..];
        }
        state.likeliest = None;
        if let (Want::Likeliest, Some(coarse)) = (want, &self.coarse) {
            let place = (team, self.layers.len() + 1);
            state.likeliest = coarse.likeliest(place, &self.decoder, input, &mut state.near, &mut state.logits);
        }
        if want != Want::Nothing && state.likeliest.is_none() {
            team.multiply(self.layers.len(), input, &mut state.logits);
        }
    }
}

impl LstmLayer {
    /// Reads layer `k`, which has `inputs` inputs.
    fn load(file: &Tensors<'_>, k: usize, inputs: usize) -> Result<Self, StageError> {
        let recurrent = file.matrix(&format!("lstm.weight_hh_l{k}"), None, None)?;
        let hidden = recurrent.columns;
        let recurrent = file.matrix(&format!("lstm.weight_hh_l{k}"), Some(4 * hidden), Some(hidden))?;
        let input = file.matrix(&format!("lstm.weight_ih_l{k}"), Some(4 * hidden), Some(inputs))?;
        let mut bias = file.vector(&format!("lstm.bias_ih_l{k}"), 4 * hidden)?;
        for (sum, x) in bias.iter_mut().zip(file.vector(&format!("lstm.bias_hh_l{k}"), 4 * hidden)?) {
            *sum += x;
        }
        let weights = Matrix::new(4 * hidden, inputs + hidden, |r, out| {
            out[..inputs].copy_from_slice(input.row(r));
            out[inputs..].copy_from_slice(recurrent.row(r));
        });
        Ok(Self { product: affine(weights, bias), inputs, hidden })
    }
}

fn affine(weights: Matrix, bias: Vec<f32>) -> Affine {
    let mut product = Affine { weights, bias };
    product.bias.resize(product.padded_rows(), 0.0);
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Space, TestWeights};

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + libm::exp(-x))
    }

    /// W · x in f64.
    fn product(w: &[f32], x: &[f64]) -> Vec<f64> {
        w.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum()).collect()
    }

    /// PyTorch's formulas, written out in f64.
    fn naive(weights: &TestWeights, tokens: &[u32]) -> Vec<f64> {
        let get = |name: &str| weights.get(name);
        let hidden = weights.hidden;
        let mut state = vec![(vec![0.0; hidden], vec![0.0; hidden]); weights.layers];
        let mut top = Vec::new();
        for token in tokens {
            let row = &get("encoder.weight")[*token as usize * weights.embedding..][..weights.embedding];
            let mut x: Vec<f64> = row.iter().copied().map(f64::from).collect();
            for (k, (h, c)) in state.iter_mut().enumerate() {
                let of_x = product(get(&format!("lstm.weight_ih_l{k}")), &x);
                let of_h = product(get(&format!("lstm.weight_hh_l{k}")), h);
                let (b, d) = (get(&format!("lstm.bias_ih_l{k}")), get(&format!("lstm.bias_hh_l{k}")));
                let sum = |r: usize| of_x[r] + of_h[r] + f64::from(b[r]) + f64::from(d[r]);
                for n in 0..hidden {
                    let (i, f) = (sigmoid(sum(n)), sigmoid(sum(hidden + n)));
                    let (g, o) = (libm::tanh(sum(2 * hidden + n)), sigmoid(sum(3 * hidden + n)));
                    c[n] = f * c[n] + i * g;
                    h[n] = o * libm::tanh(c[n]);
                }
                x.clone_from(h);
            }
            top = x;
        }
        let decoder = if weights.tied { "encoder.weight" } else { "decoder.weight" };
        let logits = product(get(decoder), &top);
        logits.iter().zip(get("decoder.bias")).map(|(x, bias)| x + f64::from(*bias)).collect()
    }

    #[test]
    fn logits_agree_with_the_formulas() {
        for (embedding, hidden, layers, tied) in [(5, 7, 1, false), (33, 20, 2, false), (12, 12, 3, true)] {
            let weights = TestWeights::new(41, embedding, hidden, layers, tied);
            let space = Space::new().with("weights", weights.bytes());
            let model = InferenceModel::load(&space.context.inputs["weights"], 41, Kernels::detect()).unwrap();
            let mut state = model.start();
            let tokens: Vec<u32> = (0..20).map(|i| i * 7 % 41).collect();
            model.with_team(2, |team| {
                tokens.iter().for_each(|token| model.read(team, &mut state, *token, Want::Logits))
            });
            for (found, expected) in state.logits().iter().zip(naive(&weights, &tokens)) {
                assert!((f64::from(*found) - expected).abs() < 2e-6, "{found}, expected {expected}");
            }
        }
    }

    #[test]
    fn a_file_with_wrong_shapes_is_refused() {
        let load = |weights: &TestWeights, types: usize| {
            let space = Space::new().with("weights", weights.bytes());
            let path = &space.context.inputs["weights"];
            InferenceModel::load(path, types, Kernels::detect()).unwrap_err().to_string()
        };
        let weights = TestWeights::new(9, 4, 4, 1, false);
        assert!(load(&weights, 10).ends_with("encoder.weight has the shape [9, 4] instead of [10, any]"));
        let mut missing = weights.clone();
        missing.tensors.remove("decoder.bias");
        assert!(load(&missing, 9).contains("decoder.bias"));
        let untied = TestWeights::new(9, 4, 6, 1, true);
        assert!(load(&untied, 9).contains("encoder.weight has the shape [9, 4] instead of [9, 6]"));
    }
}
