//! Curves of runs, gathered for pictures.

use std::collections::BTreeSet;

use crate::{Source, compare, defaults, format, standing};
use chart::axis::Baseline;
use chart::{Chart, Curve, Quantity, thin};
use identity::verdict::Verdict;
use identity::{Bucket, EvaluationRow, Hole, NgramLoss, RunId};
use insight::comparison::{self, Differing};
use record::read::{Detail, RunSummary, StageRow};
use record::{self, Record};

/// The most parameters that a label beside a curve holds.
const MARGIN: usize = 2;

/// Some runs, with what their pictures need.
#[derive(Debug)]
pub struct Pictured {
    /// What they are together: a study's name, or their own.
    pub of: String,
    pub summaries: Vec<RunSummary>,
    pub details: Vec<Detail>,
    /// What their baselines and circumstances are read from: `vocab` and `train`.
    pub stages: Vec<Vec<StageRow>>,
    pub evaluations: Vec<Vec<EvaluationRow>>,
    pub ngrams: Vec<Vec<NgramLoss>>,
    pub verdicts: Vec<Verdict>,
    /// Of each run: `tokenize.unit`.
    pub units: Vec<String>,
    /// Parameters that are not the same for all.
    pub differing: Vec<Differing>,
    pub baselines: Vec<Baseline>,
    /// The quantity whose curves were read with the rest.
    drawn: Quantity,
    /// About as many rows has a curve.
    rows: i64,
    curves: Vec<Vec<Bucket>>,
    /// The places of the runs that pictures show; of most, all.
    shown: BTreeSet<usize>,
}

impl Pictured {
    /// Reads them, with the curves of one quantity, of about as many rows a run as `rows` makes of the number of runs; without
    /// curves where that is 0.
    ///
    /// # Errors
    /// Those of the source.
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

    /// The curves of the first quantity, of some runs.
    ///
    /// # Errors
    /// Those of the record.
    pub fn curves_of(
        &self,
        record: &mut Record,
        shown: &BTreeSet<usize>,
        rows: i64,
    ) -> record::Result<Vec<Vec<Bucket>>> {
        curves(record, &self.details, self.drawn, rows, shown)
    }

    /// From here on pictures show these runs alone, whose curves are these.
    pub fn show_only(&mut self, shown: BTreeSet<usize>, rows: i64, curves: Vec<Vec<Bucket>>) {
        (self.shown, self.rows, self.curves) = (shown, rows, curves);
    }

    /// The curves of the first quantity, each empty where it was not read.
    pub fn first_curves(&self) -> &[Vec<Bucket>] {
        &self.curves
    }

    /// Steps of the longest run.
    pub fn steps(&self) -> i64 {
        self.summaries.iter().map(|run| run.steps).max().unwrap_or(0)
    }

    /// What tells each run from the others, in a few characters; its name where nothing shorter does.
    pub fn labels(&self) -> Vec<String> {
        self.labelled(MARGIN)
    }

    /// The same where there is more room: each is told by up to so many parameters.
    pub fn labelled(&self, most: usize) -> Vec<String> {
        let points: Vec<String> = (0..self.summaries.len()).map(|place| self.point(place, most)).collect();
        let distinct = points.iter().collect::<BTreeSet<_>>().len() == points.len();
        let named = self.summaries.iter().zip(points);
        named.map(|(run, point)| if distinct && !point.is_empty() { point } else { run.name() }).collect()
    }

    /// The differing parameters of a run, where they are few: `learning_rate 0.1`.
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
    ///
    /// # Errors
    /// Those of the record.
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
                    // Sought step by step, so only where there are some.
                    let holes = if run.nonfinite_steps > 0 { record.holes(run.run)? } else { Vec::new() };
                    (curve, holes)
                }
                _ => {
                    let holes = broken(&curve);
                    (curve, holes)
                }
            };
            // A sum of many blocks is more than a picture shows.
            let wide = self.steps() / rows.max(1);
            let buckets = if buckets.len() as i64 > 2 * rows { thin(&buckets, wide) } else { buckets };
            let onset = self.verdicts[place].began();
            lines.push(Curve { run: run.run, label, place, buckets, holes, onset });
        }
        let baselines = if quantity.is_loss() { self.baselines.clone() } else { quantity.mark().into_iter().collect() };
        Ok(Chart { quantity, of: self.of.clone(), steps: self.steps(), lines, baselines })
    }
}

/// Curves of what was measured at steps, of the runs at some places; the others are empty.
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

/// What some runs are together.
fn together(words: &[String], summaries: &[RunSummary]) -> String {
    if let [word] = words
        && let Some(study) = word.strip_prefix("study:")
    {
        // Not `lr_study@3`: what a study is called does not depend on which others there are.
        return format::line(study.split_once('@').map_or(study, |(name, _)| name));
    }
    format::some(&summaries.iter().map(RunSummary::name).collect::<Vec<_>>())
}

/// Scores on valid as a curve; where training scored a checkpoint too, the stage's own score counts.
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

/// Where a measure was no number, as far as its buckets tell.
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
