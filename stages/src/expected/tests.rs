//! Possible and impossible replies to an order.

use serde_json::{Value, json};

use super::*;
use crate::protocol::Segment;
use crate::testing::train_params;

/// A folder with a plan of 19 steps per epoch, and a valid split of 6 tokens.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plan = json!({"version": 1, "layout": "streams", "size": 4, "unroll": 5, "tokens": 400, "seed": 0});
    std::fs::write(folder.path().join("plan"), plan.to_string()).unwrap();
    std::fs::write(folder.path().join("valid"), [0; 24]).unwrap();
    folder
}

fn order(folder: &Path, changes: Value, from: u64, state: Option<&str>) -> Order {
    let mut params = train_params();
    changes.as_object().unwrap().iter().for_each(|(key, value)| params[key] = value.clone());
    let segment = Segment {
        from,
        to: 100,
        length: 100,
        weights: None,
        state: state.map(|name| folder.join(name)),
        checkpoints: Vec::new(),
        looks: Vec::new(),
        checkpoint_seconds: 30,
        inspect: None,
    };
    let inputs = ["plan", "valid"].map(|name| (name.to_owned(), folder.join(name))).into();
    let (stage, folder) = ("train".to_owned(), folder.to_owned());
    Order { id: 1, stage, params, inputs, folder, threads: 1, segment: Some(segment) }
}

fn step(step: u64, learning_rate: f64) -> Step {
    Step {
        step,
        epoch: step / 19,
        loss: Measured(2.0),
        learning_rate,
        grad_norm: Measured(1.0),
        clipped: false,
        update_ratio: None,
        overshoot: Some(Measured(-1.0)),
        logit_max: None,
        entropy: None,
        sharpness: None,
        tokens: 20,
        seconds: 0.0,
    }
}

fn score(step: u64, loss: f64) -> Evaluation {
    Evaluation { split: "valid".into(), step: Some(step), loss: Measured(loss), tokens: 5, seconds: 0.1 }
}

#[test]
fn impossible_numbers_are_refused_and_odd_ones_accepted() {
    let folder = folder();
    let order = order(folder.path(), json!({"learning_rate": 0.5}), 0, None);
    let check = |change: &dyn Fn(&mut Step)| {
        let mut step = step(20, 0.5);
        change(&mut step);
        Expected::of(&order).unwrap().step(&step)
    };
    check(&|_| ()).unwrap();
    for odd in [f64::NAN, f64::INFINITY, 0.0, 1e300] {
        check(&|step| (step.loss, step.grad_norm) = (Measured(odd), Measured(odd))).unwrap();
    }
    let refused = |words: &str, change: &dyn Fn(&mut Step)| {
        let said = check(change).unwrap_err();
        assert!(said.starts_with("step 20 reports ") && said.contains(words), "{said}");
    };
    refused("loss -1e-9", &|step| step.loss = Measured(-1e-9));
    refused("loss -inf", &|step| step.loss = Measured(f64::NEG_INFINITY));
    refused("gradient norm -1", &|step| step.grad_norm = Measured(-1.0));
    refused("update ratio -1", &|step| step.update_ratio = Some(Measured(-1.0)));
    refused("the impossible duration -1.0 s", &|step| step.seconds = -1.0);
    refused("the impossible duration NaN s", &|step| step.seconds = f64::NAN);
    refused("0 tokens, but the batch plan says 20", &|step| step.tokens = 0);
    refused("18446744073709551615 tokens", &|step| step.tokens = u64::MAX);
    refused("epoch 0, but the batch plan says 1", &|step| step.epoch = 0);
    refused("learning rate 0.4, but the schedule says 0.5", &|step| step.learning_rate = 0.4);
    refused("learning rate NaN", &|step| step.learning_rate = f64::NAN);
}

#[test]
fn accumulated_windows_are_counted() {
    let folder = folder();
    let order = order(folder.path(), json!({"learning_rate": 0.5, "accumulate": 3}), 0, None);
    let step = Step { epoch: 3, tokens: 60, ..step(20, 0.5) };
    Expected::of(&order).unwrap().step(&step).unwrap();
}

#[test]
fn a_plateau_is_followed_across_evaluations_and_from_a_checkpoint() {
    let folder = folder();
    let schedule = json!({"kind": "plateau", "rate": 0.5, "every": 10, "patience": 0});
    let changes = json!({"learning_rate": 1.0, "schedule": schedule});
    let mut expected = Expected::of(&order(folder.path(), changes.clone(), 0, None)).unwrap();
    expected.step(&step(9, 1.0)).unwrap();
    assert!(expected.step(&step(10, 1.0)).unwrap_err().contains("before the validation loss"));
    for (at, loss, rate) in [(10, 3.0, 1.0), (20, 3.0, 0.5), (30, 2.0, 0.5), (40, f64::NAN, 0.25)] {
        expected.evaluation(&score(at, loss)).unwrap();
        expected.step(&step(at, rate)).unwrap();
        assert!(expected.step(&step(at + 1, 2.0 * rate)).is_err());
    }
    let state: Vec<u8> = [0.25, 2.0, 0.0f64].into_iter().flat_map(f64::to_le_bytes).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F64, vec![3], &state).unwrap();
    let file = safetensors::serialize([("other", view.clone()), ("plateau", view)], None).unwrap();
    std::fs::write(folder.path().join("state"), file).unwrap();
    let mut resumed = Expected::of(&order(folder.path(), changes, 45, Some("state"))).unwrap();
    resumed.step(&step(45, 0.25)).unwrap();
    resumed.evaluation(&score(50, 4.0)).unwrap();
    resumed.step(&step(50, 0.125)).unwrap();
}

#[test]
fn a_score_counts_every_token_but_the_first() {
    let folder = folder();
    let rule = json!({"early_stopping": {"every": 10, "patience": 0}});
    let mut expected = Expected::of(&order(folder.path(), rule, 0, None)).unwrap();
    expected.evaluation(&score(10, 1.0)).unwrap();
    for wrong in [
        Evaluation { tokens: 6, ..score(10, 1.0) },
        Evaluation { tokens: 0, ..score(10, 1.0) },
        Evaluation { seconds: -0.5, ..score(10, 1.0) },
        score(10, -0.5),
    ] {
        assert!(expected.evaluation(&wrong).is_err(), "{wrong:?}");
    }
    let mut order = order(folder.path(), json!({}), 0, None);
    (order.stage, order.segment) = ("evaluate".to_owned(), None);
    assert!(Expected::of(&order).is_err(), "the order has no input `ids`");
    order.inputs.insert("ids".to_owned(), folder.path().join("valid"));
    let of_split = Evaluation { step: None, ..score(0, 1.0) };
    Expected::of(&order).unwrap().evaluation(&of_split).unwrap();
    assert!(Expected::of(&order).unwrap().evaluation(&Evaluation { tokens: 4, ..of_split }).is_err());
}
