//! Runs the operations meant for a GPU on the CPU, and compares them with the CPU's own loops.

use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use stages::files::Ids;
use stages::params::{Precision, read};
use tch::Device;

use super::{TinyCorpus, VOCAB, params};
use crate::batches::BatchReader;
use crate::card::Card;
use crate::evaluate::score;
use crate::model::Shape;
use crate::raw;
use crate::softmax::Softmax;
use crate::state::TrainingState;
use crate::step::{Recipe, StepOutcome, StepRequest, Steps};
use crate::stopwatch::Stopwatch;

fn close(a: f64, b: f64, what: &str) {
    assert!((a - b).abs() <= 1e-12 * a.abs().max(1.0), "{what}: {a} and {b}");
}

/// Makes ten updates in both ways, in double precision, and compares them.
fn both_ways(changes: Value, layout: &str) {
    let space = TinyCorpus::new();
    space.plan(layout);
    let train: stages::params::Train = read("train", &params(changes.clone())).unwrap();
    let shape = Shape::new(&train, VOCAB).unwrap();
    let batches = BatchReader::open(&space.path("plan"), &space.path("train"), shape.vocab).unwrap();
    let recipe = Recipe::new(&train, &batches.plan, 9);
    let mut here = TrainingState::<f64>::new(&train, shape, 4, 1).unwrap();
    let mut there = TrainingState::<f64>::new(&train, shape, 4, 1).unwrap();
    let mut steps = Steps { softmax: Softmax::new(1), threads: 1 };
    let mut card = Card::new(&there, recipe.dropout, Precision::F64, Device::Cpu).unwrap();
    let mut watch = Stopwatch::start();
    let mut clipped = 0;
    for n in 0..10 {
        if n == 6 {
            // Resume from a checkpoint.
            card.store(&mut there).unwrap();
            card = Card::new(&there, recipe.dropout, Precision::F64, Device::Cpu).unwrap();
        }
        let (eta, probed) = (train.learning_rate, n % 3 == 0);
        let request = StepRequest { n, eta, probed, stop: &AtomicBool::new(false) };
        if n == 5 && recipe.accumulate > 1 {
            // A step that is interrupted changes nothing.
            let stopped = StepRequest { stop: &AtomicBool::new(true), ..request };
            assert!(card.step(&batches, &recipe, &there.optimizer, stopped).unwrap().is_none());
            assert!(steps.step(&mut here, &batches, &recipe, stopped, &mut watch).unwrap().is_none());
        }
        if n == 4 {
            card.note_predictions();
            steps.softmax.note_predictions();
        }
        let found = card.step(&batches, &recipe, &there.optimizer, request).unwrap().unwrap();
        let expected = steps.step(&mut here, &batches, &recipe, request, &mut watch).unwrap().unwrap();
        let (noted, same) = (steps.softmax.take_predictions(), card.take_predictions());
        assert_eq!(
            (noted.len(), same.len()),
            if n == 4 { (20 * train.accumulate as usize, noted.len()) } else { (0, 0) }
        );
        for (noted, same) in noted.iter().zip(&same) {
            close(noted.loss.0, same.loss.0, "a token's loss");
            assert_eq!((noted.rank, noted.likeliest.len()), (same.rank, same.likeliest.len()));
            for ((id, p), (other, q)) in noted.likeliest.iter().zip(&same.likeliest) {
                assert_eq!(id, other, "a likely type");
                close(*p, *q, "a probability");
            }
        }
        let StepOutcome { loss, norm, clip, update_ratio, overshoot, probes, tokens } = expected;
        close(loss, found.loss, &format!("{changes}: loss of step {n}"));
        close(norm, found.norm, "norm");
        close(clip, found.clip, "clip");
        clipped += u64::from(clip < 1.0);
        assert_eq!((probed, tokens), (found.probes.is_some(), found.tokens));
        assert_eq!(probes.is_some(), probed);
        if let (Some(probes), Some(found)) = (probes, found.probes) {
            close(probes.logit_max, found.logit_max, "largest logit");
            close(probes.entropy, found.entropy, "entropy");
            assert!((probes.sharpness / found.sharpness - 1.0).abs() < 1e-9, "sharpness");
        }
        assert_eq!((update_ratio.is_some(), overshoot.is_some()), (found.update_ratio.is_some(), probed));
        // A quotient of small differences of losses has fewer digits.
        assert!((overshoot.unwrap_or(0.0) - found.overshoot.unwrap_or(0.0)).abs() < 1e-7, "overshoot");
        close(update_ratio.unwrap_or(0.0), found.update_ratio.unwrap_or(0.0), "update ratio");
    }
    assert_eq!(clipped > 0, train.clip_norm > 0.0);
    card.store(&mut there).unwrap();
    for (a, b) in here.model.tensors.iter().zip(&there.model.tensors) {
        let (a, b) = (raw::floats::<f64>(a).unwrap(), raw::floats::<f64>(b).unwrap());
        a.iter().zip(b).for_each(|(a, b)| close(*a, *b, "weight"));
    }
    for ((h, c), (other_h, other_c)) in here.carry.iter().zip(&there.carry) {
        assert_eq!((h.size(), c.size()), (other_h.size(), other_c.size()));
        assert!(h.allclose(other_h, 1e-12, 1e-12, false) && c.allclose(other_c, 1e-12, 1e-12, false));
    }
    let (ids, go_on) = (Ids::open(&space.path("valid")).unwrap(), AtomicBool::new(false));
    let scored = score(&here.model, &ids, &mut || 1, &go_on, |_, _| Ok(())).unwrap().unwrap();
    let found = card.score(&ids, &go_on).unwrap().unwrap();
    close(scored.loss, found.loss, "valid loss");
    assert_eq!(scored.tokens, found.tokens);
}

#[test]
fn every_update_rule_is_the_same_both_ways() {
    for rule in ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"] {
        both_ways(json!({"optimizer": rule}), "streams");
        both_ways(json!({"optimizer": rule, "weight_decay": 0.01, "layers": 2, "dropout": 0.3}), "streams");
    }
}

#[test]
fn every_model_trains_the_same_both_ways() {
    both_ways(json!({"layers": 3, "clip_norm": 0.05}), "streams");
    both_ways(json!({"layers": 2, "tied": true, "embedding": 8, "loss_scale": "sum", "clip_norm": 0.5}), "sliding");
    both_ways(json!({"accumulate": 3, "dropout": 0.5, "optimizer": "momentum"}), "shuffled");
    both_ways(json!({"accumulate": 2, "tied": true, "embedding": 8, "clip_norm": 0.01}), "streams");
}
