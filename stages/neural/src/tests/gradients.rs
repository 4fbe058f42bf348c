//! Gradients computed by hand, compared with autograd from end to end.

use stages::params::Init;
use stages::random::Stream;
use tch::{Device, Reduction, Tensor};

use super::{TinyCorpus, VOCAB, train_defaults};
use crate::batches::BatchReader;
use crate::dropout::Dropout;
use crate::layers;
use crate::model::{Carry, Model, Shape, tensor};
use crate::norms::{global_norm, update_ratio};
use crate::raw;
use crate::real::Real;
use crate::softmax::{PredictionProbes, Softmax};
use crate::state::TrainingState;
use crate::stopwatch::Stopwatch;

#[test]
fn gradients_by_hand_match_those_of_autograd() {
    by_hand_and_by_autograd::<f32>(1e-6);
    by_hand_and_by_autograd::<f64>(1e-15);
}

fn by_hand_and_by_autograd<T: Real>(tolerance: f64) {
    let space = TinyCorpus::new();
    for tied in [false, true] {
        let mut train = train_defaults();
        (train.tied, train.embedding, train.layers) = (tied, 8, 2);
        let shape = Shape::new(&train, VOCAB).unwrap();
        let batches = BatchReader::open(&space.path("plan"), &space.path("train"), shape.vocab).unwrap();
        let (inputs, targets) = batches.read(3).unwrap();
        let x: Vec<i64> = inputs.iter().map(|&id| i64::from(id)).collect();
        let x = Tensor::from_slice(&x).reshape([5, 4]);
        let mut state = TrainingState::<T>::new(&train, shape, 4, 1).unwrap();

        // The window starts from a state that is not zero, and some activations are dropped.
        let dropout = Dropout { share: 0.3, seed: 5 };
        let mask = |layer: usize, a: &Tensor| dropout.mask::<T>(3, layer, &a.size());
        let start = || -> Vec<Carry> {
            let some = |seed: i64| {
                Tensor::arange(4 * 8, (T::KIND, Device::Cpu)).f_add_scalar(seed).unwrap().sin().reshape([1, 4, 8])
            };
            vec![(some(1), some(2)), (some(3), some(4))]
        };
        let mut carry = start();
        let (y, below) = layers::forward::<T>(&state.model, inputs, &mut carry, mask, 3).unwrap();
        let (loss, upper) =
            Softmax::<T>::new(2).learn(&state.model, &y, &targets, true, &mut Stopwatch::start()).unwrap();
        let slopes = layers::backward(&state.model, below, upper, None, 3).unwrap();
        let found = &slopes.tensors;
        assert_eq!(slopes.rows.is_some(), !tied);

        for tensor in &mut state.model.tensors {
            *tensor = tensor.set_requires_grad(true);
        }
        let mut twins = start();
        let dropped = |layer: usize, a: Tensor| {
            let mask = dropout.mask::<T>(3, layer, &a.size()).unwrap().unwrap();
            a * mask
        };
        let mut y = dropped(0, Tensor::embedding(state.model.encoder(), &x, -1, false, false));
        for (l, (h, c)) in twins.iter_mut().enumerate() {
            let weights: [&Tensor; 4] = std::array::from_fn(|i| &state.model.tensors[1 + 4 * l + i]);
            let (out, last_h, last_c) = y.lstm(&[&*h, &*c], &weights, true, 1, 0.0, true, false, false);
            (*h, *c) = (last_h, last_c);
            y = dropped(l + 1, out);
        }
        let y = y.reshape([-1, 8]);
        for ((h, c), (twin_h, twin_c)) in carry.iter().zip(&twins) {
            let apart = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
            assert!(apart(h, twin_h) < tolerance && apart(c, twin_c) < tolerance, "the state at the window's end");
        }
        let logits = y.linear(state.model.decoder(), Some(state.model.decoder_bias()));
        let ids: Vec<i64> = targets.iter().map(|&id| i64::from(id)).collect();
        let target = Tensor::from_slice(&ids);
        let mean = logits.cross_entropy_loss::<Tensor>(&target, None, Reduction::Mean, -100, 0.0);
        let expected = Tensor::run_backward(&[&mean], &state.model.tensors, true, false);

        assert!((loss.mean - mean.double_value(&[])).abs() < 4.0 * tolerance);
        assert_eq!(found.len(), expected.len());
        for ((name, _), (found, expected)) in shape.tensors().iter().zip(found.iter().zip(&expected)) {
            let difference = (found - expected).abs().max().double_value(&[]);
            assert!(difference < tolerance, "{name} differs by {difference}, tied = {tied}");
        }
        let PredictionProbes { logit_max: largest, entropy, .. } = loss.probes.unwrap();
        let log_p = logits.log_softmax(-1, tch::Kind::Double);
        let exact = -(log_p.exp() * log_p).sum(tch::Kind::Double).double_value(&[]) / targets.len() as f64;
        assert!((entropy - exact).abs() < 4.0 * tolerance);
        assert!((largest - logits.abs().max().double_value(&[])).abs() < tolerance);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let space = TinyCorpus::new();
    let mut train = train_defaults();
    (train.embedding, train.hidden, train.layers) = (70, 130, 2);
    let shape = Shape::new(&train, VOCAB).unwrap();
    let batches = BatchReader::open(&space.path("plan"), &space.path("train"), shape.vocab).unwrap();
    let (inputs, targets) = batches.read(3).unwrap();
    let computed = |threads: usize| {
        let mut state = TrainingState::<f32>::new(&train, shape, 4, threads).unwrap();
        let whole = |_: usize, _: &Tensor| Ok(None);
        let (y, below) =
            layers::forward::<f32>(&state.model, inputs.clone(), &mut state.carry, whole, threads).unwrap();
        let (loss, upper) =
            Softmax::<f32>::new(threads).learn(&state.model, &y, &targets, true, &mut Stopwatch::start()).unwrap();
        let slopes = layers::backward(&state.model, below, upper, None, threads).unwrap();
        let norm = global_norm::<f32>(&slopes, threads).unwrap();
        let before: Vec<Vec<f32>> =
            state.model.tensors.iter().map(|tensor| raw::floats::<f32>(tensor).unwrap().to_vec()).collect();
        state.optimizer.update(&mut state.model.tensors, &slopes, 0.5, 0.1, 1).unwrap();
        let ratio = update_ratio(&state.model.tensors, &before, threads).unwrap();
        let bits =
            |tensor: &Tensor| raw::floats::<f32>(tensor).unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let weights: Vec<_> = state.model.tensors.iter().map(bits).collect();
        let PredictionProbes { logit_max: largest, entropy, .. } = loss.probes.unwrap();
        (weights, [loss.mean, norm, ratio, largest, entropy].map(f64::to_bits))
    };
    let one = computed(1);
    for threads in [2, 3, 16] {
        assert_eq!(computed(threads), one, "{threads} threads");
    }
}

#[test]
fn factors_rounded_to_bf16_keep_the_gradients_close() {
    // Odd numbers of types, tokens and hidden units, so that pairs are padded.
    let shape = Shape { vocab: 257, embedding: 3, hidden: 75, layers: 1, tied: false };
    let model = Model::new::<f32>(shape, Init::Uniform(0.1), 0.0, 2).unwrap();
    let draws = Stream::new(5, "test rounding");
    let y: Vec<f32> = (0..37 * 75).map(|i| draws.normal(i) as f32).collect();
    let y = tensor(&y, &[37, 75]).unwrap();
    let targets: Vec<u32> = (0..37).map(|t| t * t % 257).collect();
    let learn = |rounds: bool, threads: usize| {
        let mut softmax = Softmax::<f32>::new(threads).rounding(rounds);
        let (loss, slopes) = softmax.learn(&model, &y, &targets, false, &mut Stopwatch::start()).unwrap();
        let slopes = [slopes.weight, slopes.bias, slopes.y];
        (loss.mean, slopes.map(|tensor| raw::floats::<f32>(&tensor).unwrap().to_vec()))
    };
    let (exact, rounded) = (learn(false, 2), learn(true, 1));
    assert!((exact.0 - rounded.0).abs() < 1e-3 * exact.0, "{} for {}", rounded.0, exact.0);
    for (exact, rounded) in exact.1.iter().zip(&rounded.1) {
        let square = |x: f32| f64::from(x) * f64::from(x);
        let apart: f64 = exact.iter().zip(rounded).map(|(x, y)| square(x - y)).sum();
        let apart = (apart / exact.iter().map(|x| square(*x)).sum::<f64>()).sqrt();
        // The relative error of each factor is at most 2⁻⁹.
        assert!(apart > 1e-5 && apart < 4e-3, "{apart}");
    }
    assert_eq!(learn(true, 3), rounded);
}
