//! Each update rule, compared with a naive twin in double precision that was written from PyTorch's documentation.

use serde_json::{Value, json};
use stages::params::{Optimizer, Train, read};
use stages::random::Stream;

use super::{TinyCorpus, params};
use crate::layers::Slopes;
use crate::model::tensor;
use crate::norms::{clip_coefficient, global_norm};
use crate::optimizer::OptimizerState;
use crate::raw;

/// One weight's update in double precision: (θ, first moment, second moment) after update number t.
fn twin(train: &Train, (w, m, v): (f64, f64, f64), g: f64, t: i32) -> (f64, f64, f64) {
    let (rate, epsilon, decay) = (train.learning_rate, train.epsilon, train.weight_decay);
    let g = if train.optimizer == Optimizer::Adamw { g } else { g + decay * w };
    match train.optimizer {
        Optimizer::Sgd => (w - rate * g, m, v),
        Optimizer::Momentum => {
            let m = if t == 1 { g } else { train.momentum * m + g };
            (w - rate * m, m, v)
        }
        Optimizer::Adagrad => (w - rate * g / ((m + g * g).sqrt() + epsilon), m + g * g, v),
        Optimizer::Rmsprop => {
            let m = train.alpha * m + (1.0 - train.alpha) * g * g;
            (w - rate * g / (m.sqrt() + epsilon), m, v)
        }
        Optimizer::Adam | Optimizer::Adamw => {
            let w = if train.optimizer == Optimizer::Adamw { w - rate * decay * w } else { w };
            let (m, v) = (train.beta1 * m + (1.0 - train.beta1) * g, train.beta2 * v + (1.0 - train.beta2) * g * g);
            let (m_hat, v_hat) = (m / (1.0 - train.beta1.powi(t)), v / (1.0 - train.beta2.powi(t)));
            (w - rate * m_hat / (v_hat.sqrt() + epsilon), m, v)
        }
    }
}

#[test]
fn every_update_rule_agrees_with_its_twin() {
    // The tensor has more elements than a block, and not a multiple of any vector's width.
    let sizes = [3, 12_345];
    let n = 3 * 12_345;
    let shapes = [("w".to_owned(), sizes.to_vec())];
    let draws = Stream::new(1, "test updates");
    for rule in ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"] {
        // If 1 − alpha is small, it must not be computed in single precision.
        for (decay, alpha) in [(0.0, 0.99), (0.1, 0.9999)] {
            let changes = json!({"optimizer": rule, "weight_decay": decay, "alpha": alpha, "learning_rate": 0.01});
            let train: Train = read("train", &params(changes)).unwrap();
            let mut optimizer = OptimizerState::<f32>::new(&train, &shapes, 2);
            let start: Vec<f32> = (0..n).map(|i| draws.normal(i) as f32).collect();
            let mut weights = [tensor(&start, &sizes).unwrap()];
            let mut twins: Vec<_> = start.iter().map(|&w| (f64::from(w), 0.0, 0.0)).collect();
            for t in 1..=5u64 {
                let gradient: Vec<f32> = (0..n).map(|i| draws.normal(t * n + i) as f32).collect();
                let gradients = [tensor(&gradient, &sizes).unwrap()];
                let gradients = Slopes { tensors: gradients.into(), rows: None };
                optimizer.update(&mut weights, &gradients, 0.5, train.learning_rate, t).unwrap();
                for (twin_of, g) in twins.iter_mut().zip(&gradient) {
                    *twin_of = twin(&train, *twin_of, 0.5 * f64::from(*g), t as i32);
                }
            }
            for (found, (expected, ..)) in raw::floats::<f32>(&weights[0]).unwrap().iter().zip(&twins) {
                let error = (f64::from(*found) - expected).abs();
                assert!(error < 2e-6 * expected.abs().max(1.0), "{rule}, decay {decay}: {found} for {expected}");
            }
        }
    }
}

#[test]
fn clipping_matches_clip_grad_norm() {
    let gradients = [tensor(&[3.0f32; 4], &[4]).unwrap(), tensor(&[4.0f32; 4], &[2, 2]).unwrap()];
    let gradients = Slopes { tensors: gradients.into(), rows: None };
    let norm = global_norm::<f32>(&gradients, 2).unwrap();
    assert_eq!(norm, 10.0);
    assert_eq!(clip_coefficient(norm, 0.0), 1.0);
    assert_eq!(clip_coefficient(norm, 20.0), 1.0);
    assert_eq!(clip_coefficient(norm, 5.0), 5.0 / 10.000_001);
    assert_eq!(clip_coefficient(f64::INFINITY, 5.0), 0.0);
    assert!(clip_coefficient(f64::NAN, 5.0).is_nan());
    // The sum of squares is finite in double precision, but would overflow in single precision.
    let large = Slopes { tensors: vec![tensor(&[1e30f32; 2], &[2]).unwrap()], rows: None };
    assert!(global_norm::<f32>(&large, 1).unwrap().is_finite());
}

#[test]
fn a_recipe_for_summed_losses_equals_one_for_mean_losses_with_scaled_numbers() {
    // Windows have 5 columns, so a rate of 0.4 and a limit of 1.25 for the sum equal 2 and 0.25 for the mean.
    let space = super::TinyCorpus::new();
    let of = |name: &str, scale: &str, rate: f64, limit: f64| {
        let changes = json!({"optimizer": "sgd", "loss_scale": scale, "learning_rate": rate, "clip_norm": limit});
        space.train(name, changes, 0, 24, None)
    };
    let (sum, mean) = (of("sum", "sum", 0.4, 1.25), of("mean", "mean", 2.0, 0.25));
    let clipped = |told: &super::Transcript| told.steps().iter().filter(|step| step.clipped).count();
    assert!((1..24).contains(&clipped(&sum)), "{} of 24 are clipped", clipped(&sum));
    assert_eq!(clipped(&sum), clipped(&mean));
    for (a, b) in sum.steps().iter().zip(mean.steps()) {
        assert!((a.loss.0 - b.loss.0).abs() < 1e-5 && (a.grad_norm.0 - b.grad_norm.0).abs() < 1e-5, "{a:?} {b:?}");
    }
    let other = of("other", "mean", 0.4, 1.25);
    assert!((sum.steps()[23].loss.0 - other.steps()[23].loss.0).abs() > 1e-3);
}

#[test]
fn moments_are_never_denormal() {
    raw::flush_denormals();
    let shapes = [("w".to_owned(), vec![2, 2])];
    for rule in ["momentum", "rmsprop", "adam"] {
        let train: Train = read("train", &params(json!({"optimizer": rule, "alpha": 0.5, "beta2": 0.5}))).unwrap();
        let mut optimizer = OptimizerState::<f32>::new(&train, &shapes, 1);
        let mut weights = [tensor(&[1.0f32; 4], &[2, 2]).unwrap()];
        // After the first gradient all others are zero, so that the moments decay.
        for t in 1..=1200 {
            let gradient = [tensor(&[if t == 1 { 1.0f32 } else { 0.0 }; 4], &[2, 2]).unwrap()];
            let gradient = Slopes { tensors: gradient.into(), rows: None };
            optimizer.update(&mut weights, &gradient, 1.0, 0.01, t).unwrap();
            let mut arrays = Vec::new();
            optimizer.save(&shapes, &mut arrays);
            for (name, array) in arrays {
                assert!(array.floats().iter().all(|x| *x == 0.0 || x.is_normal()), "{name} at {t}");
            }
        }
    }
}

#[test]
fn accumulated_windows_make_one_update_with_their_mean_gradient() {
    // At a rate so small that the weights don't change, steps of one window show the parts of a step of three.
    let space = super::TinyCorpus::new();
    let of = |name: &str, accumulate: u64, to: u64| {
        let changes = json!({"optimizer": "sgd", "learning_rate": 1e-30, "accumulate": accumulate, "probes": 1,
            "precision": "f64"});
        space.train(name, changes, 0, to, None)
    };
    let (one, three) = (of("one", 1, 12), of("three", 3, 4));
    for (step, windows) in three.steps().iter().zip(one.steps().chunks(3)) {
        let mean =
            |value: &dyn Fn(&identity::observations::Step) -> f64| windows.iter().map(|w| value(w)).sum::<f64>() / 3.0;
        assert!((step.loss.0 - mean(&|w| w.loss.0)).abs() < 1e-12);
        assert!((step.entropy.unwrap().0 - mean(&|w| w.entropy.unwrap().0)).abs() < 1e-12);
        let largest = windows.iter().map(|w| w.logit_max.unwrap().0).fold(0.0, f64::max);
        assert_eq!(step.logit_max.unwrap().0, largest);
        assert_eq!(step.tokens, 60);
        // A mean of gradients is no longer than the longest of them.
        assert!(step.grad_norm.0 < windows.iter().map(|w| w.grad_norm.0).fold(0.0, f64::max));
    }
    assert_eq!(three.steps()[3].epoch, one.steps()[9].epoch);
    // At an ordinary rate it learns, and resumes from a checkpoint to the bit.
    let changes = json!({"accumulate": 2, "dropout": 0.3, "clip_norm": 0.5});
    let whole = space.train("whole", changes.clone(), 0, 12, None);
    let rest = space.train("rest", changes, 7, 12, Some(&whole.folder));
    assert_eq!(whole.bits()[7..], rest.bits()[..]);
    assert_eq!(whole.file("weights", 12), rest.file("weights", 12));
}

#[test]
fn skipping_rows_without_a_gradient_changes_no_bit() {
    let shapes = [("w".to_owned(), vec![5, 3])];
    let slope: Vec<f32> = (0..15).map(|i| if [3, 4, 5, 12, 13, 14].contains(&i) { i as f32 } else { 0.0 }).collect();
    let start: Vec<f32> = (0..15).map(|i| i as f32 * 0.1).collect();
    for rule in ["sgd", "momentum", "adam"] {
        let train: Train = read("train", &params(json!({"optimizer": rule}))).unwrap();
        let of = |rows: Option<Vec<u32>>, coefficient: f32| {
            let mut optimizer = OptimizerState::<f32>::new(&train, &shapes, 2);
            let mut weights = [tensor(&start, &[5, 3]).unwrap()];
            let slopes = Slopes { tensors: vec![tensor(&slope, &[5, 3]).unwrap()], rows };
            let norm = global_norm::<f32>(&slopes, 2).unwrap();
            optimizer.update(&mut weights, &slopes, coefficient, 0.5, 1).unwrap();
            let bits: Vec<u32> = raw::floats::<f32>(&weights[0]).unwrap().iter().map(|x| x.to_bits()).collect();
            let zeros = slopes.recycle::<f32>().unwrap();
            assert!(zeros.is_none_or(|zeros| raw::floats::<f32>(&zeros).unwrap() == [0.0; 15]));
            (bits, norm)
        };
        for coefficient in [0.5, f32::NAN] {
            let ((sparse, norm), (dense, same)) = (of(Some(vec![1, 4]), coefficient), of(None, coefficient));
            assert_eq!(sparse, dense, "{rule}, {coefficient}");
            assert!((norm - same).abs() < 1e-12);
        }
    }
}

#[test]
fn an_update_does_what_its_gradient_promises_less_what_the_curvature_takes() {
    let space = TinyCorpus::new();
    let ratio = |rule: &str, rate: f64, more: Value| {
        let name = format!("{rule} {rate} {more}");
        let mut changes =
            json!({"optimizer": rule, "learning_rate": rate, "precision": "f64", "probes": 1, "layers": 2});
        changes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let told = space.train(&name, changes, 0, 3, None);
        told.steps().iter().map(|step| step.overshoot.unwrap().0).collect::<Vec<f64>>()
    };
    // ρ = 1 − ηκ/2 for gradient descent: at twice the rate it is twice as far from 1.
    for more in [json!({}), json!({"dropout": 0.4}), json!({"accumulate": 3, "clip_norm": 0.01})] {
        let (short, long) = (ratio("sgd", 0.001, more.clone())[0], ratio("sgd", 0.002, more)[0]);
        assert!(short < 1.0 && (short - 1.0).abs() < 1e-2, "{short}");
        assert!(((1.0 - long) / (1.0 - short) - 2.0).abs() < 0.01, "{long} and {short}");
    }
    // At a tiny rate, the first update of any rule does what its gradient promises.
    for rule in ["momentum", "adagrad", "rmsprop", "adam", "adamw"] {
        let short = ratio(rule, 1e-6, json!({}))[0];
        assert!((short - 1.0).abs() < 1e-2, "{rule}: {short}");
    }
    // Far above the largest stable rate, an update raises its own loss.
    assert!(ratio("sgd", 1000.0, json!({}))[0] < 0.0);
    assert!(
        space.train("unprobed", json!({"probes": 0}), 0, 2, None).steps().iter().all(|step| step.overshoot.is_none())
    );
}
