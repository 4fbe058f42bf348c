//! Everything known about one run.

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

/// Everything known about one run.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RunView {
    #[serde(flatten)]
    pub summary: RunSummary,
    #[serde(flatten)]
    pub detail: Detail,
    /// The runs that this run was forked from, the nearest first.
    pub forks: Vec<Forked>,
    pub params: Map<String, Value>,
    pub stages: Vec<StageRow>,
    /// The horizontal lines drawn beside the curve.
    pub baselines: Vec<Baseline>,
    /// The losses of n-gram models, by split.
    pub ngrams: Vec<NgramLoss>,
    /// How the last validation loss compares with the n-gram models.
    pub standing: Option<Standing>,
    pub judged: Verdict,
    /// The results of trials of the verdict's cause.
    pub confirmations: Vec<Confirmation>,
    /// The losses, in buckets of consecutive steps; `run_steps` in SQL has every step.
    pub curve: Vec<Bucket>,
    pub evaluations: Vec<EvaluationRow>,
    pub samples: Vec<SampleRow>,
    pub events: Vec<EventRow>,
    /// Parameters as recorded.
    #[serde(skip)]
    pub listed: Vec<Param>,
}

impl RunView {
    /// Gathers the view, with a curve of about `rows` rows; `None` if the run does not exist.
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

/// The command that made the run, if it was made by an experiment.
pub fn again(detail: &Detail) -> Option<String> {
    let overrides: Vec<String> = serde_json::from_str(detail.overrides.as_deref()?).unwrap_or_default();
    Some(format::command(detail.experiment_path.as_deref()?, &overrides))
}
