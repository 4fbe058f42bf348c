//! A report: a study as one page.

mod chosen;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use chosen::{fitting, shown, whole};

use crate::models::last;
use crate::pictures::Pictured;
use crate::{Source, compare, run, standing};
use chart::{Chart, Quantity};
use identity::verdict::{Confirmation, Verdict};
use identity::{EvaluationRow, RunId, SampleRow};
use insight::comparison::Differing;
use insight::winner::{Group, Winner};
use record::read::{EventRow, Execution, Forked, RunSummary};
use record::{self, Record};

/// The most rows of all curves in one picture together, so that a page of many runs stays small.
const ROWS: i64 = 12_000;

/// The most parameters in a run's label.
const MOST_TOLD: usize = 6;

/// The most bytes of all samples together.
const TEXTS: usize = 400_000;

/// The most executions that are listed.
const LISTED: usize = 300;

/// The quantities that are drawn if they were measured.
const PICTURES: [Quantity; 7] = [
    Quantity::Loss,
    Quantity::Valid,
    Quantity::GradNorm,
    Quantity::Overshoot,
    Quantity::UpdateRatio,
    Quantity::LogitMax,
    Quantity::Entropy,
];

/// With more runs than the first number, only the first four quantities are drawn. With more than the second number,
/// only the training and validation losses are drawn, and only for about that many runs.
const MANY: [usize; 2] = [40, 400];

/// What the page shows.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ReportView {
    /// The name of the study, or the names of the runs.
    pub of: String,
    /// When the page was made, in UTC to the minute.
    pub made: String,
    /// The version of the program that made the page.
    pub version: &'static str,
    pub runs: Vec<ReportedRun>,
    pub differing: Vec<Differing>,
    /// Why the runs' losses can't be compared; null if they can.
    pub incomparable: Option<&'static str>,
    /// Program, host, processor and threads.
    pub circumstances: Vec<Differing>,
    /// Groups of runs that differ only in their seeds; `winner` is the best group.
    pub groups: Vec<Group>,
    pub winner: Option<Winner>,
    pub charts: Vec<Chart>,
    pub executions: Vec<Execution>,
    /// The number of executions that are not listed.
    pub unlisted: usize,
    /// Corpus files, by name and digest.
    pub inputs: Vec<(String, String)>,
    pub again: Again,
}

/// How to compute the runs again.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub struct Again {
    /// Shell commands.
    pub commands: Vec<String>,
    /// Experiments as recorded, by path.
    pub experiments: Vec<(String, String)>,
}

/// One run of the report.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ReportedRun {
    pub summary: RunSummary,
    /// What distinguishes the run from the others.
    pub label: String,
    /// Whether the run is shown in full, rather than only as a row of the summary.
    pub whole: bool,
    pub verdict: Verdict,
    pub confirmations: Vec<Confirmation>,
    /// How the last validation loss compares with the baselines.
    pub standing: Option<String>,
    pub evaluations: Vec<EvaluationRow>,
    pub samples: Vec<SampleRow>,
    /// The number of samples that the page has no room for.
    pub untold: usize,
    pub events: Vec<EventRow>,
    pub forks: Vec<Forked>,
}

impl ReportedRun {
    /// The run's name, and its label if that differs.
    pub fn words(&self) -> String {
        let name = self.summary.name();
        if self.label == name { name } else { format!("{name} {}", self.label) }
    }

    /// The evaluation of the last checkpoint on valid.
    pub fn valid(&self) -> Option<&EvaluationRow> {
        self.evaluations.iter().rfind(|e| e.split == "valid" && e.source == "evaluate")
    }
}

impl ReportView {
    /// Gathers the report on the runs `ids`, which the user selected with the selectors `of`.
    pub fn read<S: Source>(
        source: &mut S,
        ids: Vec<RunId>,
        of: &[String],
        made: String,
        version: &'static str,
    ) -> Result<Self, S::Error> {
        let rows = |runs: usize| (ROWS / runs.max(1) as i64).clamp(24, 1000);
        // Of more runs than this, only some are drawn; they are chosen after all runs have been judged.
        let at_once = |runs: usize| if runs > MANY[1] { 0 } else { rows(runs) };
        let mut runs = Pictured::read(source, ids, of, Quantity::Loss, at_once)?;
        let ids: Vec<RunId> = runs.summaries.iter().map(|run| run.run).collect();
        let incomparable = compare::incomparable(source.record(), &ids)?;
        let is_scored =
            runs.evaluations.iter().any(|scores| last(scores, "valid").is_some_and(|score| score.loss.is_some()));
        if ids.len() > MANY[1] && !is_scored {
            // Without evaluations, the best runs are chosen by their training losses.
            let all: BTreeSet<usize> = (0..ids.len()).collect();
            let curves = runs.curves_of(source.record(), &all, rows(ids.len()))?;
            runs.show_only(all, rows(ids.len()), curves);
        }
        let mut differing = runs.differing.clone();
        differing.extend(compare::texts(source.record(), &runs.differing, &ids)?);
        differing.sort_by_key(|row| weight(&row.name));
        let (groups, winner) =
            compare::best(&differing, &runs.verdicts, &runs.evaluations, runs.first_curves(), incomparable.is_some());
        let best = winner.as_ref().map_or(&[][..], |winner| &groups[winner.group].places);
        let whole = whole(&runs.verdicts, best);
        let shown = shown(ids.len(), MANY[1], &whole);
        let side = |record: &mut Record| {
            let curves = match shown.len() < ids.len() {
                true => Some(runs.curves_of(record, &shown, rows(shown.len()))?),
                false => None,
            };
            Ok((RunTexts::read(record, &ids, &whole)?, curves))
        };
        let own = |source: &mut S| {
            Ok((executions(source, &runs)?, inputs(source.record(), &ids)?, again(source.record(), &runs)?))
        };
        let (((executions, unlisted), inputs, again), (texts, curves)) = source.beside(ids.len(), side, own)?;
        if let Some(curves) = curves {
            let rows = rows(shown.len());
            runs.show_only(shown, rows, curves);
        }
        let charts = charts(source.record(), &runs)?;
        Ok(Self {
            of: runs.of.clone(),
            made,
            version,
            incomparable,
            circumstances: compare::circumstances(&runs.details, &runs.stages),
            groups,
            winner,
            charts,
            executions,
            unlisted,
            inputs,
            again,
            differing,
            runs: of_runs(runs, texts, whole.len()),
        })
    }
}

/// The sort key of a parameter: parameters that training reads come first.
fn weight(name: &str) -> usize {
    const STAGES: [&str; 4] = ["train.", "batch.", "vocab.", "tokenize."];
    match STAGES.iter().position(|stage| name.starts_with(stage)) {
        Some(place) => place + 1,
        None if ["evaluate.", "sample.", "baselines."].iter().any(|stage| name.starts_with(stage)) => 9,
        // The seed, the corpus and its texts.
        None => 0,
    }
}

fn charts(record: &mut Record, runs: &Pictured) -> record::Result<Vec<Chart>> {
    let pictures = match runs.summaries.len() {
        few if few <= MANY[0] => &PICTURES[..],
        many if many <= MANY[1] => &PICTURES[..4],
        _ => &PICTURES[..2],
    };
    let mut charts = Vec::new();
    for &quantity in pictures {
        let chart = runs.chart(record, quantity)?;
        if !chart.is_empty() {
            charts.push(chart);
        }
    }
    Ok(charts)
}

/// The texts that are shown for each run besides its figures.
struct RunTexts {
    confirmations: Vec<Vec<Confirmation>>,
    forks: Vec<Vec<Forked>>,
    /// Samples and events of the runs that are shown in full, by index.
    whole: BTreeMap<usize, (Vec<SampleRow>, Vec<EventRow>)>,
}

impl RunTexts {
    fn read(record: &mut Record, runs: &[RunId], whole: &BTreeSet<usize>) -> record::Result<Self> {
        let ids: Vec<RunId> = whole.iter().map(|place| runs[*place]).collect();
        let texts = record.samples_of(&ids)?.into_iter().zip(record.events_of(&ids)?);
        Ok(Self {
            confirmations: record.confirmations_of(runs)?,
            forks: record.forks_of(runs)?,
            whole: whole.iter().copied().zip(texts).collect(),
        })
    }
}

fn of_runs(runs: Pictured, mut texts: RunTexts, whole: usize) -> Vec<ReportedRun> {
    let labels = runs.labelled(MOST_TOLD);
    let budget = TEXTS / whole.max(1);
    let own = texts.confirmations.into_iter().zip(texts.forks).zip(runs.units).zip(labels);
    let parts = runs.summaries.into_iter().zip(runs.verdicts).zip(runs.evaluations).zip(runs.ngrams).zip(own);
    let all = parts.enumerate().map(
        |(place, ((((summary, verdict), evaluations), ngrams), (((confirmations, forks), unit), label)))| {
            let texts = texts.whole.remove(&place);
            let whole = texts.is_some();
            let (samples, events) = texts.unwrap_or_default();
            let (samples, untold) = fitting(samples, budget);
            ReportedRun {
                label,
                whole,
                verdict,
                confirmations,
                standing: standing::of(&evaluations, &ngrams).map(|found| standing::words(&found, &unit)),
                evaluations,
                samples,
                untold,
                events,
                forks,
                summary,
            }
        },
    );
    all.collect()
}

/// The executions that produced the runs' results, each once, and the number of those that are not listed. If there are
/// too many, those of the stages `evaluate` and `sample` are left out.
fn executions<S: Source>(source: &mut S, runs: &Pictured) -> Result<(Vec<Execution>, usize), S::Error> {
    let ids: Vec<RunId> = runs.summaries.iter().map(|run| run.run).collect();
    let all = source.record().count_executions(&ids)?;
    let is_listed = |name: &&str| all <= LISTED || !["evaluate", "sample"].contains(name);
    let names = source.stage_names();
    let stages: Vec<&str> = names.iter().map(String::as_str).filter(is_listed).collect();
    let listed = source.executions(&ids, &stages, LISTED)?;
    let unlisted = all.saturating_sub(listed.len());
    Ok((listed, unlisted))
}

/// The corpus files that the runs read, each once.
fn inputs(record: &mut Record, runs: &[RunId]) -> record::Result<Vec<(String, String)>> {
    let mut all: Vec<(String, String)> = Vec::new();
    for input in record.inputs_of(runs, "tokenize")?.into_iter().flatten() {
        if !all.contains(&input) {
            all.push(input);
        }
    }
    Ok(all)
}

/// The commands that compute the runs again, and the recorded experiments.
fn again(record: &mut Record, runs: &Pictured) -> record::Result<Again> {
    let mut again = Again::default();
    for command in runs.details.iter().filter_map(run::again) {
        if !again.commands.contains(&command) {
            again.commands.push(command);
        }
    }
    let ids: Vec<RunId> = runs.summaries.iter().map(|run| run.run).collect();
    again.experiments = record.experiments_of(&ids)?;
    again.commands.extend(runs.summaries.iter().take(12).map(|run| format!("pipeline reproduce {}", run.name())));
    Ok(again)
}
