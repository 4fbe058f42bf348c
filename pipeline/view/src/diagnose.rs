//! What is wrong with runs, the evidence, and the checks that were not made.

use schemars::JsonSchema;
use serde::Serialize;

use crate::Source;
use crate::models::baselines;
use chart::axis::Baseline;
use identity::verdict::{Confirmation, Verdict};
use identity::{Bucket, NgramLoss, RunId, StepRow};
use insight::verdict::signals::Signals;
use insight::verdict::signals_of;
use record::Record;
use record::read::{RunSummary, StageRow};

/// The diagnoses of some runs.
#[derive(Debug, JsonSchema, Serialize)]
pub struct DiagnoseView {
    pub runs: Vec<Diagnosis>,
}

/// The number of steps shown on either side of an onset.
const AROUND: i64 = 5;

/// The most rows of all curves together.
const ROWS: i64 = 64_000;

/// The fewest rows per curve.
const FEWEST: i64 = 40;

/// A run, its verdict and the evidence.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Diagnosis {
    #[serde(flatten)]
    pub summary: RunSummary,
    pub judged: Verdict,
    pub confirmations: Vec<Confirmation>,
    /// The signals that the rules looked at. They are read only on request, because that takes longer than the rest.
    pub signals: Option<Signals>,
    /// The steps around the onset.
    pub around: Vec<StepRow>,
    #[serde(skip)]
    pub curve: Vec<Bucket>,
    #[serde(skip)]
    pub baselines: Vec<Baseline>,
}

impl DiagnoseView {
    /// Diagnoses runs, with curves of at most `rows` rows each.
    pub fn read<S: Source>(source: &mut S, runs: &[RunId], signals: bool, rows: i64) -> Result<Self, S::Error> {
        let details = source.record().details(runs)?;
        // The more curves there are, the fewer rows each one has.
        let rows = (ROWS / runs.len().max(1) as i64).min(rows).max(FEWEST);
        let of: Vec<(Option<i64>, i64)> = details.iter().map(|run| (run.trajectory_id, run.steps)).collect();
        let side = |record: &mut Record| {
            Ok((record.curves(&of, "loss", rows)?, record.ngrams_of(runs)?, record.confirmations_of(runs)?))
        };
        let own = |source: &mut S| {
            let mut judged: Vec<(Verdict, Option<Signals>)> = Vec::with_capacity(runs.len());
            if signals {
                source.judge_again(runs, &mut |verdict, facts| judged.push((verdict, Some(signals_of(facts)))))?;
            } else {
                judged.extend(source.verdicts(runs)?.into_iter().map(|verdict| (verdict, None)));
            }
            Ok((judged, source.summaries(Some(runs))?, source.stages_of(runs, &["vocab"])?))
        };
        let ((judged, summaries, stages), (curves, ngrams, confirmations)) = source.beside(runs.len(), side, own)?;
        // A run shows its trajectory up to its own length.
        let span = |((verdict, _), run): (&(Verdict, Option<Signals>), &RunSummary)| {
            let onset = verdict.began()?;
            Some((run.run, (onset - AROUND).max(0), (onset + AROUND).min(run.steps - 1)))
        };
        let spans: Vec<_> = judged.iter().zip(&summaries).filter_map(span).collect();
        let mut around = source.record().steps_around(&spans)?;
        let parts = summaries.into_iter().zip(judged).zip(stages.iter().zip(&ngrams)).zip(curves).zip(confirmations);
        let one = |((((summary, (judged, signals)), (stages, ngrams)), curve), confirmations): Parts<'_>| {
            let baselines = baselines(stages, ngrams);
            let around = around.remove(&summary.run).unwrap_or_default();
            Diagnosis { summary, judged, confirmations, signals, around, curve, baselines }
        };
        Ok(Self { runs: parts.map(one).collect() })
    }
}

/// What is read about one run.
type Parts<'a> = (
    (((RunSummary, (Verdict, Option<Signals>)), (&'a Vec<StageRow>, &'a Vec<NgramLoss>)), Vec<Bucket>),
    Vec<Confirmation>,
);
