//! Gathers the curves of runs for pictures.

use std::collections::BTreeSet;

use crate::{Source, compare, defaults, format, standing};
use chart::axis::Baseline;
use chart::{Chart, Curve, Quantity, thin};
use identity::verdict::Verdict;
use identity::{Bucket, EvaluationRow, Hole, NgramLoss, RunId};
use insight::comparison::{self, Differing};
use record::read::{Detail, RunSummary, StageRow};
use record::{self, Record};

/// The most parameters in a label beside a curve.
const MARGIN: usize = 2;

/// Some runs, with the data for their pictures.
#[derive(Debug)]
pub struct Pictured {
    /// The title of the runs together: the name of a study, or the names of the runs.
    pub of: String,
    pub summaries: Vec<RunSummary>,
    pub details: Vec<Detail>,
    /// The stages `vocab` and `train`, from which baselines and circumstances are read.
    pub stages: Vec<Vec<StageRow>>,
    pub evaluations: Vec<Vec<EvaluationRow>>,
    pub ngrams: Vec<Vec<NgramLoss>>,
    pub verdicts: Vec<Verdict>,
    /// For each run: `tokenize.unit`.
    pub units: Vec<String>,
    /// Parameters that differ between the runs.
    pub differing: Vec<Differing>,
    pub baselines: Vec<Baseline>,
    /// The quantity whose curves were read at the start.
    drawn: Quantity,
    /// The approximate number of rows per curve.
    rows: i64,
    curves: Vec<Vec<Bucket>>,
    /// The indices of the runs that pictures show, usually all of them.
    shown: BTreeSet<usize>,
}

impl Pictured {
    /// Reads the runs with the curves of one quantity. `rows` maps the number of runs to the approximate number of rows
    /// per curve; if that is 0, no curves are read.
    pub fn read<S: Source>(
        source: &mut S,
        runs: Vec<RunId>,
        of: &[String],
        drawn: Quantity,
        rows: impl Fn(usize) -> i64,
    ) -> Result<Self, S::Error> {
        let details = source.record().details(&runs)?;
        let rows = rows(runs.len());
        let side = |record: &mut Record| {
            let all = if rows == 0 { BTreeSet::new() } else { (0..details.len()).collect() };
            let curves = curves(record, &details, drawn, rows, &all)?;
            Ok((curves, record.evaluations_of(&runs)?, record.ngrams_of(&runs)?))
        };
        let own = |source: &mut S| {
            let verdicts = source.verdicts(&runs)?;
            let params = defaults::with_later(source.record().params(&runs)?, &runs);
            Ok((verdicts, source.summaries(Some(&runs))?, params, source.stages_of(&runs, &["vocab", "train"])?))
        };
        let ((verdicts, summaries, params, stages), (curves, evaluations, ngrams)) =
            source.beside(runs.len(), side, own)?;
        let units = standing::units(&params, &runs);
        let differing = compare::with_forks(source.record(), comparison::differing(&params, &runs), &runs)?;
        Ok(Self {
            shown: (0..runs.len()).collect(),
            of: together(of, &summaries),
            baselines: compare::joint_baselines(&summaries, &stages, &ngrams),
            summaries,
            details,
            stages,
            evaluations,
            ngrams,
            verdicts,
            units,
            differing,
            drawn,
            rows,
            curves,
        })
    }

    /// The curves of the quantity with which the runs were read, for the runs at the indices `shown`.
    pub fn curves_of(
        &self,
        record: &mut Record,
        shown: &BTreeSet<usize>,
        rows: i64,
    ) -> record::Result<Vec<Vec<Bucket>>> {
        curves(record, &self.details, self.drawn, rows, shown)
    }

    /// Restricts pictures to the runs at the indices `shown`, which have these `curves`.
    pub fn show_only(&mut self, shown: BTreeSet<usize>, rows: i64, curves: Vec<Vec<Bucket>>) {
        (self.shown, self.rows, self.curves) = (shown, rows, curves);
    }

    /// The curves of the quantity with which the runs were read; those that were not read are empty.
    pub fn first_curves(&self) -> &[Vec<Bucket>] {
        &self.curves
    }

    /// The number of steps of the longest run.
    pub fn steps(&self) -> i64 {
        self.summaries.iter().map(|run| run.steps).max().unwrap_or(0)
    }

    /// For each run, a short label that distinguishes it from the others, or its name.
    pub fn labels(&self) -> Vec<String> {
        self.labelled(MARGIN)
    }

    /// The labels of the runs, with up to `most` parameters per label.
    pub fn labelled(&self, most: usize) -> Vec<String> {
        let points: Vec<String> = (0..self.summaries.len()).map(|place| self.point(place, most)).collect();
        let distinct = points.iter().collect::<BTreeSet<_>>().len() == points.len();
        let named = self.summaries.iter().zip(points);
        named.map(|(run, point)| if distinct && !point.is_empty() { point } else { run.name() }).collect()
    }

    /// The differing parameters of a run, if there are at most `most`: `learning_rate 0.1`.
    fn point(&self, place: usize, most: usize) -> String {
        if self.differing.len() > most {
            return String::new();
        }
        let names: Vec<&str> = self.differing.iter().map(|row| row.name.as_str()).collect();
        let said = format::short_names(&names)
            .into_iter()
            .zip(&self.differing)
            .filter_map(|(name, row)| Some(format!("{name} {}", format::cell(row.values[place].as_ref()?))));
        said.collect::<Vec<_>>().join(", ")
    }

    /// A picture of one quantity.
    pub fn chart(&self, record: &mut Record, quantity: Quantity) -> record::Result<Chart> {
        let rows = self.rows;
        let mut curves = match quantity == self.drawn {
            true => self.curves.clone(),
            false => curves(record, &self.details, quantity, rows, &self.shown)?,
        };
        let mut lines = Vec::new();
        for (place, label) in self.labels().into_iter().enumerate().filter(|(place, _)| self.shown.contains(place)) {
            let run = &self.summaries[place];
            let curve = std::mem::take(&mut curves[place]);
            let (buckets, holes) = match quantity {
                Quantity::Valid => scores(&self.evaluations[place]),
                Quantity::Loss => {
                    // This search reads every step, so it is made only if there is something to find.
                    let holes = if run.nonfinite_steps > 0 { record.holes(run.run)? } else { Vec::new() };
                    (curve, holes)
                }
                _ => {
                    let holes = broken(&curve);
                    (curve, holes)
                }
            };
            // A picture can't show more buckets than this.
            let wide = self.steps() / rows.max(1);
            let buckets = if buckets.len() as i64 > 2 * rows { thin(&buckets, wide) } else { buckets };
            let onset = self.verdicts[place].began();
            lines.push(Curve { run: run.run, label, place, buckets, holes, onset });
        }
        let baselines = if quantity.is_loss() { self.baselines.clone() } else { quantity.mark().into_iter().collect() };
        Ok(Chart { quantity, of: self.of.clone(), steps: self.steps(), lines, baselines })
    }
}

/// The curves of a quantity measured at steps, for the runs at the indices `shown`; the others are empty.
fn curves(
    record: &mut Record,
    details: &[Detail],
    quantity: Quantity,
    rows: i64,
    shown: &BTreeSet<usize>,
) -> record::Result<Vec<Vec<Bucket>>> {
    match quantity {
        Quantity::Valid => Ok(vec![Vec::new(); details.len()]),
        _ => {
            let of: Vec<_> = shown.iter().map(|place| (details[*place].trajectory_id, details[*place].steps)).collect();
            let mut all = vec![Vec::new(); details.len()];
            for (place, curve) in shown.iter().zip(record.curves(&of, quantity.column(), rows)?) {
                all[*place] = curve;
            }
            Ok(all)
        }
    }
}

/// The title of some runs together.
fn together(words: &[String], summaries: &[RunSummary]) -> String {
    if let [word] = words
        && let Some(study) = word.strip_prefix("study:")
    {
        // The number in `lr_study@3` is left out, as it only distinguishes studies with the same name.
        return format::line(study.split_once('@').map_or(study, |(name, _)| name));
    }
    format::some(&summaries.iter().map(RunSummary::name).collect::<Vec<_>>())
}

/// Validation losses as a curve. If a checkpoint was also evaluated during training, the loss from the stage `evaluate`
/// takes precedence.
fn scores(evaluations: &[EvaluationRow]) -> (Vec<Bucket>, Vec<Hole>) {
    let (mut buckets, mut holes): (Vec<Bucket>, Vec<Hole>) = (Vec::new(), Vec::new());
    let mut steps: Vec<i64> = evaluations.iter().filter(|e| e.split == "valid").filter_map(|e| e.step).collect();
    steps.sort_unstable();
    steps.dedup();
    for step in steps {
        let mut of = evaluations.iter().filter(|e| e.split == "valid" && e.step == Some(step)).collect::<Vec<_>>();
        of.sort_by_key(|e| e.source != "evaluate");
        let Some(score) = of.first() else { continue };
        if score.loss.is_none() {
            holes.push(Hole { first: step, last: step, kind: score.loss_kind.to_string() });
        }
        buckets.push(Bucket {
            first: step,
            steps: 1,
            finite: i64::from(score.loss.is_some()),
            minimum: score.loss,
            maximum: score.loss,
            sum: score.loss.unwrap_or(0.0),
            first_nonfinite: score.loss.is_none().then_some(step),
        });
    }
    (buckets, holes)
}

/// Where a measured quantity was not finite, to the resolution of its buckets.
fn broken(buckets: &[Bucket]) -> Vec<Hole> {
    let mut holes: Vec<Hole> = Vec::new();
    for (first, last) in buckets.iter().filter_map(|it| Some((it.first_nonfinite?, it.first + it.steps - 1))) {
        match holes.last_mut() {
            Some(hole) if hole.last + 1 >= first => hole.last = last,
            _ => holes.push(Hole { first, last, kind: "not finite".to_owned() }),
        }
    }
    holes
}
