//! The softmax layer by hand against autograd from end to end.

use tch::{Reduction, Tensor};

use super::{Space, VOCAB, train_defaults};
use crate::batches::Batches;
use crate::model::Shape;
use crate::optimizer::{global_norm, update_ratio};
use crate::raw;
use crate::real::Real;
use crate::softmax::Softmax;
use crate::state::State;

#[test]
fn gradients_by_hand_are_those_of_autograd() {
    by_hand_and_by_autograd::<f32>(1e-6);
    by_hand_and_by_autograd::<f64>(1e-15);
}

fn by_hand_and_by_autograd<T: Real>(tolerance: f64) {
    let space = Space::new();
    for tied in [false, true] {
        let mut train = train_defaults();
        (train.tied, train.embedding, train.layers) = (tied, 8, 2);
        let shape = Shape::new(&train, VOCAB).unwrap();
        let batches = Batches::open(&space.path("plan"), &space.path("train"), shape.vocab).unwrap();
        let (x, targets) = batches.read(3).unwrap();
        assert_eq!(x.size(), [5, 4]);
        let mut state = State::<T>::new(&train, shape, 4, 1).unwrap();

        let mut carry = state.model.zero_carry(4).unwrap();
        let y = state.model.run(&x, &mut carry, |_, a| Ok(a)).unwrap();
        let (loss, upper) = Softmax::<T>::new(2).learn(&state.model, &y, &targets, true).unwrap();
        let found = state.backward(&y, upper).unwrap();

        for tensor in &mut state.model.tensors {
            *tensor = tensor.set_requires_grad(true);
        }
        let mut carry = state.model.zero_carry(4).unwrap();
        let y = state.model.run(&x, &mut carry, |_, a| Ok(a)).unwrap();
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
        let (largest, entropy) = loss.probes.unwrap();
        let log_p = logits.log_softmax(-1, tch::Kind::Double);
        let exact = -(log_p.exp() * log_p).sum(tch::Kind::Double).double_value(&[]) / targets.len() as f64;
        assert!((entropy - exact).abs() < 4.0 * tolerance);
        assert_eq!(largest, logits.abs().max().double_value(&[]));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let space = Space::new();
    let mut train = train_defaults();
    (train.embedding, train.hidden, train.layers) = (70, 130, 2);
    let shape = Shape::new(&train, VOCAB).unwrap();
    let batches = Batches::open(&space.path("plan"), &space.path("train"), shape.vocab).unwrap();
    let (x, targets) = batches.read(3).unwrap();
    let computed = |threads: usize| {
        let mut state = State::<f32>::new(&train, shape, 4, threads).unwrap();
        let y = state.model.run(&x, &mut state.carry, |_, a| Ok(a)).unwrap();
        let (loss, upper) = Softmax::<f32>::new(threads).learn(&state.model, &y, &targets, true).unwrap();
        let gradients = state.backward(&y, upper).unwrap();
        let norm = global_norm::<f32>(&gradients, threads).unwrap();
        let before: Vec<Vec<f32>> =
            state.model.tensors.iter().map(|tensor| raw::floats::<f32>(tensor).unwrap().to_vec()).collect();
        state.optimizer.update(&mut state.model.tensors, &gradients, 0.5, 0.1, 1).unwrap();
        let ratio = update_ratio(&state.model.tensors, &before, threads).unwrap();
        let bits =
            |tensor: &Tensor| raw::floats::<f32>(tensor).unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let weights: Vec<_> = state.model.tensors.iter().map(bits).collect();
        let (largest, entropy) = loss.probes.unwrap();
        (weights, [loss.mean, norm, ratio, largest, entropy].map(f64::to_bits))
    };
    let one = computed(1);
    for threads in [2, 3, 16] {
        assert_eq!(computed(threads), one, "{threads} threads");
    }
}
