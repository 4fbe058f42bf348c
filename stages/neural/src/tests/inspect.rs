//! The predictions of one step, token by token.

use serde_json::{Value, json};
use stages::protocol::{Order, Predicted, Reply, Segment};

use super::{TinyCorpus, Transcript, params, train};
use crate::cpu;

/// The mean loss of windows of 4 rows by 5 tokens, summed in the order in which training sums.
fn mean(rows: &[Vec<Predicted>]) -> f64 {
    let window = |window: &[Vec<Predicted>]| {
        (0..5).flat_map(|t| window.iter().map(move |row| row[t].loss.0)).sum::<f64>() / 20.0
    };
    rows.chunks(4).map(window).zip(0..).fold(0.0, |mean, (one, n)| (mean * f64::from(n) + one) / f64::from(n + 1))
}

/// Trains steps 0..9 with `changes`, and again from the checkpoint at step 4 with step 7 inspected.
fn inspected(changes: &Value) -> (TinyCorpus, Transcript, Transcript) {
    let space = TinyCorpus::new();
    let whole = space.train("whole", changes.clone(), 0, 9, None);
    let before = space.train("before", changes.clone(), 0, 4, None);
    let order = space.order("again", params(changes.clone()), 4, 8, Some(&before.folder));
    let segment = order.segment.map(|segment| Segment { checkpoints: vec![], inspect: Some(7), ..segment });
    let order = Order { segment, ..order };
    let again = train(order, &|| 1);
    (space, whole, again)
}

#[test]
fn the_mean_of_the_token_losses_is_the_loss_of_the_step_to_the_bit() {
    let mut cases = vec![
        json!({"dropout": 0.3, "probes": 7}),
        json!({"precision": "f64", "layers": 2, "dropout": 0.3, "accumulate": 3}),
        json!({"tied": true, "embedding": 8, "accumulate": 2}),
    ];
    if cpu::has_bf16() {
        cases.push(json!({"precision": "bf16", "dropout": 0.3}));
    }
    for changes in cases {
        let (_space, whole, again) = inspected(&changes);
        assert_eq!(again.bits(), whole.bits()[4..8], "{changes}: inspecting changes no number");
        let told = &again.replies[again.replies.len() - 2..];
        let [Reply::Predictions(predictions), Reply::Step(step)] = told else { panic!("{told:?}") };
        assert!(!again.replies.iter().any(|reply| matches!(reply, Reply::Checkpoint(_))), "no checkpoint is written");
        assert_eq!((predictions.step, step.step), (7, 7));
        let rows: Vec<Vec<Predicted>> = serde_json::from_slice(&std::fs::read(&predictions.file).unwrap()).unwrap();
        assert_eq!(rows.len(), 4 * changes["accumulate"].as_u64().unwrap_or(1) as usize);
        assert_eq!(mean(&rows).to_bits(), step.loss.0.to_bits(), "{changes}");
        for token in rows.iter().flatten() {
            let p = token.loss.0.exp().recip();
            let (rank, named) = (token.rank.unwrap() as usize, token.likeliest.len());
            assert!(named == 5 && token.likeliest.is_sorted_by(|a, b| a.1 >= b.1), "{token:?}");
            // The target is among the likeliest types at the place that its rank says, and nowhere else.
            let at = token.likeliest.iter().position(|(_, q)| (q - p).abs() < 1e-12);
            assert_eq!(at.map(|at| at + 1), Some(rank).filter(|rank| *rank <= 5), "{token:?}");
        }
    }
}

#[test]
fn a_nan_loss_leaves_no_predictions() {
    let (_space, _, again) = inspected(&json!({"learning_rate": 1e38, "on_nonfinite": "continue"}));
    let told = again.replies.iter().find_map(|reply| match reply {
        Reply::Predictions(predictions) => Some(std::fs::read(&predictions.file).unwrap()),
        _ => None,
    });
    let rows: Vec<Vec<Predicted>> = serde_json::from_slice(&told.unwrap()).unwrap();
    assert!(rows.iter().flatten().all(|token| token.loss.0.is_nan() && token.rank.is_none()), "{rows:?}");
    assert!(rows.iter().flatten().all(|token| token.likeliest.is_empty()));
}
