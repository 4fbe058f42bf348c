//! Everything that is known of one run.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::defaults::Defaults;
use crate::models::baselines;
use crate::{Source, format, standing};
use chart::axis::Baseline;
use identity::verdict::{Confirmation, Verdict};
use identity::{Bucket, EvaluationRow, NgramLoss, Param, RunId, SampleRow};
use insight::standing::Standing;
use record::read::{Detail, EventRow, Forked, RunSummary, StageRow};

/// Everything that is known of one run.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RunView {
    #[serde(flatten)]
    pub summary: RunSummary,
    #[serde(flatten)]
    pub detail: Detail,
    /// What it was forked from, the nearest first.
    pub forks: Vec<Forked>,
    pub params: Map<String, Value>,
    pub stages: Vec<StageRow>,
    /// The lines of the curve.
    pub baselines: Vec<Baseline>,
    /// Models that count, on each split.
    pub ngrams: Vec<NgramLoss>,
    /// Where the last valid loss stands among them.
    pub standing: Option<Standing>,
    pub judged: Verdict,
    /// What came of trying the verdict's cause.
    pub confirmations: Vec<Confirmation>,
    /// The loss of neighbouring steps; `run_steps` in SQL has every one.
    pub curve: Vec<Bucket>,
    pub evaluations: Vec<EvaluationRow>,
    pub samples: Vec<SampleRow>,
    pub events: Vec<EventRow>,
    /// Parameters as the record has them.
    #[serde(skip)]
    pub listed: Vec<Param>,
}

impl RunView {
    /// Gathers it, with a curve of about `rows` rows; `None` where there is no such run.
    ///
    /// # Errors
    /// Those of the source.
    pub fn read<S: Source>(source: &mut S, run: RunId, rows: i64) -> Result<Option<Self>, S::Error> {
        let Some(summary) = source.summaries(Some(&[run]))?.pop() else { return Ok(None) };
        let stages = source.stages(run)?;
        let judged = source.verdicts(&[run])?.remove(0);
        let record = source.record();
        let detail = record.detail(run)?;
        let listed = record.params(&[run])?;
        let defaults = Defaults::of(summary.seed.unwrap_or(0));
        let (evaluations, ngrams) = (record.evaluations(run)?, record.ngrams(run)?);
        let curve = match detail.trajectory_id {
            Some(trajectory) => record.losses(trajectory, summary.steps, rows)?,
            None => Vec::new(),
        };
        Ok(Some(Self {
            params: listed
                .iter()
                .map(|param| (param.name.clone(), defaults.typed(&param.name, &param.value)))
                .collect(),
            baselines: baselines(&stages, &ngrams),
            standing: standing::of(&evaluations, &ngrams),
            judged,
            curve,
            evaluations,
            ngrams,
            samples: record.samples(run)?,
            events: record.events(run)?,
            confirmations: record.confirmations(run)?,
            forks: record.forks(run)?,
            summary,
            detail,
            stages,
            listed,
        }))
    }
}

/// The command that made the run, where an experiment did.
pub fn again(detail: &Detail) -> Option<String> {
    let overrides: Vec<String> = serde_json::from_str(detail.overrides.as_deref()?).unwrap_or_default();
    Some(format::command(detail.experiment_path.as_deref()?, &overrides))
}
