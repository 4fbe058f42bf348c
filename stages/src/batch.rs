//! The stage `batch`: plans which tokens each step reads.
//!
//! Input: `train`, in the ids of `vocab`. Output: `plan`, a [`BatchPlan`] as compact JSON.

use serde_json::{Value, json};

use crate::files::Ids;
use crate::params::{Batch, Layout};
use crate::plan::BatchPlan;
use crate::{Context, StageError, StageOutcome};

/// Writes the batch plan.
///
/// # Errors
/// [`StageError::Input`] for a corpus too small for one batch; [`StageError::Io`] if a file can't be read or written.
pub fn run(params: &Batch, context: &Context) -> Result<StageOutcome, StageError> {
    context.check()?;
    let tokens = Ids::open(context.input("train")?)?.len();
    check_fit(params, tokens)?;
    let plan = BatchPlan {
        version: 1,
        layout: params.layout,
        size: params.size,
        unroll: params.unroll,
        tokens,
        // An unused seed must not change the plan.
        seed: if params.layout == Layout::Shuffled { params.seed } else { 0 },
    };
    let path = context.folder.join("plan.json");
    let text = serde_json::to_vec(&plan).map_err(|error| StageError::Bug(error.to_string()))?;
    std::fs::write(&path, text).map_err(StageError::io(&path))?;
    let mut outcome = StageOutcome::default();
    outcome.output("plan", path);
    let steps = plan.steps_per_epoch();
    outcome.report = json!({
        "tokens": tokens,
        "steps_per_epoch": steps,
        "tokens_per_step": plan.tokens_per_step(),
        "covered_per_epoch": plan.covered(steps) as f64 / tokens as f64,
        // If an epoch is one step, the next step rightly reads the same tokens.
        "overlap": if steps > 1 { json!(plan.overlap(1, 1)) } else { Value::Null },
        "dropped_tokens": plan.dropped_tokens(),
    });
    context.advance(1, 1);
    Ok(outcome)
}

/// Checks that one batch fits into a train split of `tokens` tokens.
///
/// # Errors
/// [`StageError::Input`] if it does not.
pub fn check_fit(params: &Batch, tokens: u64) -> Result<(), StageError> {
    let Batch { size, unroll, layout, .. } = *params;
    let needed = BatchPlan::fewest_tokens(layout, size, unroll);
    if tokens >= needed {
        return Ok(());
    }
    // `BatchPlan::fewest_tokens` solved for the batch size.
    let largest = match layout {
        Layout::Streams => tokens / (unroll + 1),
        Layout::Shuffled => tokens.saturating_sub(1) / unroll,
        Layout::Sliding => tokens.saturating_sub(unroll),
    };
    let hint = match (largest, tokens) {
        (0, 0..2) => "use a corpus whose train split has at least 2 tokens".to_owned(),
        (0, _) => format!("use batch.size = 1 with batch.unroll = {} or less", tokens - 1),
        _ => format!("use batch.size = {largest} or less"),
    };
    let message = format!(
        "batch.size {size} × unroll {unroll} needs {needed} tokens, but train has {tokens} token{}",
        if tokens == 1 { "" } else { "s" }
    );
    Err(StageError::input("batch.size", message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Space, bytes, output};

    const LAYOUTS: [Layout; 3] = [Layout::Streams, Layout::Shuffled, Layout::Sliding];

    fn batch(layout: Layout, size: u64, unroll: u64, tokens: u32) -> Result<StageOutcome, StageError> {
        let space = Space::new().with("train", bytes(&(0..tokens).collect::<Vec<_>>()));
        let outcome = run(&Batch { size, unroll, layout, seed: 9 }, &space.context)?;
        // Read before `space` deletes its folder.
        let plan = BatchPlan::load(output(&outcome, "plan")).unwrap();
        assert_eq!(plan.seed, if layout == Layout::Shuffled { 9 } else { 0 });
        Ok(outcome)
    }

    #[test]
    fn the_report_exposes_the_overlap_of_sliding_windows() {
        let good = batch(Layout::Streams, 4, 3, 103).unwrap().report;
        assert_eq!(
            good,
            json!({
                "tokens": 103, "steps_per_epoch": 8, "tokens_per_step": 12, "covered_per_epoch": 96.0 / 103.0,
                "overlap": 0.0, "dropped_tokens": 6,
            })
        );
        let bad = batch(Layout::Sliding, 64, 2, 1000).unwrap().report;
        assert_eq!(bad["overlap"], json!(64.0 / 65.0));
        assert_eq!(batch(Layout::Streams, 4, 3, 16).unwrap().report["overlap"], Value::Null);
    }

    #[test]
    fn the_hint_names_the_largest_batch_that_fits() {
        for layout in LAYOUTS {
            for tokens in 2..40 {
                for unroll in 1..6 {
                    let Err(StageError::Input { key, hint, .. }) = batch(layout, 1000, unroll, tokens) else {
                        panic!("accepted")
                    };
                    assert_eq!(key, "batch.size");
                    let number = |key: &str| -> u64 {
                        let rest = &hint[hint.find(key).unwrap() + key.len()..];
                        rest.split(' ').next().unwrap().parse().unwrap()
                    };
                    let size = number("batch.size = ");
                    let fits = if hint.contains("unroll") { number("batch.unroll = ") } else { unroll };
                    assert!(batch(layout, size, fits, tokens).is_ok(), "{layout:?} {tokens} {unroll}: {hint}");
                    assert!(batch(layout, size + 1, fits, tokens).is_err(), "{layout:?} {tokens} {unroll}: {hint}");
                }
            }
        }
    }

    #[test]
    fn a_corpus_too_small_is_refused_with_its_numbers() {
        let error = batch(Layout::Streams, 20, 20, 100).unwrap_err();
        assert_eq!(error.to_string(), "batch.size 20 × unroll 20 needs 420 tokens, but train has 100 tokens");
        let error = batch(Layout::Streams, 20, 20, 1).unwrap_err();
        assert!(error.to_string().ends_with("train has 1 token"));
    }
}
