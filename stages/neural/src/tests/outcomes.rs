//! Tests of losses: pinned values, losses that are not finite, and the scores of splits.

use std::sync::atomic::AtomicBool;

use serde_json::json;
use stages::files::Ids;
use stages::protocol::Reply;
use tch::{Kind, Reduction, Tensor};

use super::{TinyCorpus, VOCAB};
use crate::evaluate::score_in_chunks;
use crate::model::Model;
use crate::train::TrainingEnd;

/// The losses of steps 0, 1, 11 and 23 of a training run on the test corpus, in nats.
const GOLDEN: [f64; 4] = [3.129426, 3.106746, 3.130122, 3.031136];

/// The validation loss after that run, in nats.
const GOLDEN_VALID: f64 = 3.069_086;

#[test]
fn losses_match_those_pinned_for_this_version_of_the_stages() {
    let space = TinyCorpus::new();
    let changes = json!({"layers": 2, "dropout": 0.25, "clip_norm": 0.5, "warmup": 3, "forget_bias": 1.0});
    let told = space.train("golden", changes, 0, 24, None);
    let steps = told.steps();
    let losses = [0, 1, 11, 23].map(|n: usize| steps[n].loss.0);
    for (found, pinned) in losses.iter().zip(GOLDEN) {
        assert!(
            (found - pinned).abs() < 1e-5,
            "train computes {losses:?}, but {GOLDEN:?} is pinned: if the change is intended, raise the stage's version \
             in stages/src/params.rs, so that no older result is taken for a new one, and pin the new losses"
        );
    }
    let model = Model::load(&told.folder.join("weights-24.safetensors")).unwrap();
    let valid = Ids::open(&space.path("valid")).unwrap();
    let found =
        score_in_chunks(&model, &valid, 512, &mut || 1, &AtomicBool::new(false), |_, _| Ok(())).unwrap().unwrap();
    assert!(
        (found.loss - GOLDEN_VALID).abs() < 1e-5,
        "evaluate computes {}, but {GOLDEN_VALID} is pinned: if the change is intended, raise the stage's version in \
         stages/src/params.rs and pin the new loss",
        found.loss
    );
}

#[test]
fn a_loss_that_is_not_finite_is_an_outcome_and_not_an_error() {
    let space = TinyCorpus::new();
    // The gradient of a softmax is bounded, so even a rate of 10^38 keeps the loss finite, at 10^37 nats. Weight decay
    // at such a rate multiplies the weights instead.
    let wild = |after| json!({"optimizer": "sgd", "learning_rate": 1e9, "weight_decay": 1.0, "on_nonfinite": after});
    let told = space.train("wild", wild(json!({"stop_after": 4})), 0, 24, None);
    let first = told.steps().iter().find(|step| !step.loss.0.is_finite()).unwrap().step;
    assert_eq!(told.end, TrainingEnd { reached: first + 4, stopped: false });
    assert_eq!(told.events(), [("nonfinite", first)]);
    assert!(matches!(told.replies.last(), Some(Reply::Checkpoint(last)) if last.step == first + 4));

    let on = space.train("on", wild(json!("continue")), 0, 24, None);
    assert_eq!((on.end.reached, on.events()), (24, vec![("nonfinite", first)]));
    // The event marks the first such loss of the trajectory, not of a segment, and a resumed run ends in the same state
    // as an uninterrupted one.
    assert!(first < 7, "the checkpoint at step 7 must come after the first loss that is not finite");
    let rest = space.train("rest", wild(json!("continue")), 7, 24, Some(&on.folder));
    assert_eq!(rest.events(), []);
    assert_eq!(on.file("state", 24), rest.file("state", 24));
}

#[test]
fn a_split_has_the_same_loss_in_chunks_of_any_size() {
    let space = TinyCorpus::new();
    let told = space.train("told", json!({"layers": 2, "steps": 9}), 0, 9, None);
    let model = Model::load(&told.folder.join("weights-9.safetensors")).unwrap();
    let ids = Ids::open(&space.path("valid")).unwrap();
    let never = AtomicBool::new(false);
    let cut = |chunk: usize| score_in_chunks(&model, &ids, chunk, &mut || 1, &never, |_, _| Ok(())).unwrap().unwrap();
    let whole = cut(1000);
    assert_eq!(whole.tokens, 89);
    for chunk in [1, 7, 44, 89] {
        assert!((cut(chunk).loss - whole.loss).abs() < 1e-6, "in chunks of {chunk}");
    }
    // The same from libtorch's own operators over the whole split.
    let mut tokens = Vec::new();
    ids.read(0, 90, &mut tokens).unwrap();
    let tokens: Vec<i64> = tokens.into_iter().map(i64::from).collect();
    let x = Tensor::from_slice(&tokens[..89]).reshape([-1, 1]);
    let mut y = Tensor::embedding(model.encoder(), &x, -1, false, false);
    for (l, (h, c)) in model.zero_carry(1).unwrap().iter().enumerate() {
        let weights: [&Tensor; 4] = std::array::from_fn(|i| &model.tensors[1 + 4 * l + i]);
        y = y.lstm(&[h, c], &weights, true, 1, 0.0, false, false, false).0;
    }
    let y = y.reshape([-1, model.shape.hidden as i64]);
    let logits = y.linear(model.decoder(), Some(model.decoder_bias()));
    assert_eq!(logits.size(), [89, i64::from(VOCAB)]);
    let targets = Tensor::from_slice(&tokens[1..]);
    let loss = logits.to_kind(Kind::Double).cross_entropy_loss::<Tensor>(&targets, None, Reduction::Mean, -100, 0.0);
    assert!((loss.double_value(&[]) - whole.loss).abs() < 1e-6);

    let stop = AtomicBool::new(true);
    assert_eq!(score_in_chunks(&model, &ids, 10, &mut || 1, &stop, |_, _| Ok(())).unwrap(), None);
}
