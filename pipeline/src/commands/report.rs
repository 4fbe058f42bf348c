//! `pipeline report`: gathers what the page shows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::args::ReportArgs;
use crate::commands::curves::Runs;
use crate::commands::reading::{Reader, last};
use crate::commands::{compare, plot, standing};
use crate::failure::Failure;
use crate::places::Paths;
use crate::plan::STAGES;
use crate::ui;
use crate::ui::format;
use crate::ui::report::{Again, Report, Run, page};
use chart::{Chart, Quantity};
use record::read::{Detail, Event, Execution, Forked, Sample};
use record::verdicts::{Confirmation, Verdict};
use record::{self, Record};

/// Rows of all curves of one picture together, so that a page of many runs stays small.
const ROWS: i64 = 12_000;

/// The most parameters that a run's name stands beside.
const MOST_TOLD: usize = 6;

/// Bytes of all samples together.
const TEXTS: usize = 400_000;

/// Runs that are shown whole where there are more: with what their verdicts rest on, their events and their samples.
const WHOLE: usize = 100;

/// Executions that are listed.
const LISTED: usize = 300;

/// What is drawn, where it was measured.
const PICTURES: [Quantity; 7] = [
    Quantity::Loss,
    Quantity::Valid,
    Quantity::GradNorm,
    Quantity::Overshoot,
    Quantity::UpdateRatio,
    Quantity::LogitMax,
    Quantity::Entropy,
];

/// Of more runs than that, only the first four are drawn: of more than the second says only losses, and of as many runs.
const MANY: [usize; 2] = [40, 400];

/// Writes a page.
pub fn report(args: &ReportArgs, paths: &Paths) -> Result<(), Failure> {
    let name = args.output.extension().map(|it| it.to_string_lossy().to_lowercase());
    if let Some(other) = name.filter(|name| !["html", "htm"].contains(&&**name)) {
        let message = format!("{}: a report is HTML, not .{other}", format::path(&args.output));
        return Err(Failure::input(message, format!("-o {}", format::path(&args.output.with_extension("html")))));
    }
    let mut reader = Reader::open(paths)?;
    let report = gather(&mut reader, &args.selectors)?;
    let page = page(&report);
    if args.output.as_os_str() == "-" {
        ui::data(&page);
        return Ok(());
    }
    plot::write(&args.output, page.as_bytes(), paths)?;
    let size = format::bytes(page.len() as u64);
    ui::talk(&format!("wrote {} ({size}): {}", format::path(&args.output), report.of));
    Ok(())
}

fn gather(reader: &mut Reader, words: &[String]) -> Result<Report, Failure> {
    let rows = |runs: usize| (ROWS / runs.max(1) as i64).clamp(24, 1000);
    // Of more runs some are drawn, which are chosen once all are judged.
    let at_once = |runs: usize| if runs > MANY[1] { 0 } else { rows(runs) };
    let mut runs = Runs::read(reader, words, Quantity::Loss, at_once)?;
    let ids: Vec<i64> = runs.summaries.iter().map(|run| run.run).collect();
    let incomparable = compare::incomparable(reader, &ids)?;
    let is_scored =
        runs.evaluations.iter().any(|scores| last(scores, "valid").is_some_and(|score| score.loss.is_some()));
    if ids.len() > MANY[1] && !is_scored {
        // Then the winner is known by its curve.
        let all: BTreeSet<usize> = (0..ids.len()).collect();
        let curves = runs.curves_of(&mut reader.record, &all, rows(ids.len()))?;
        runs.show_only(all, rows(ids.len()), curves);
    }
    let mut differing = runs.differing.clone();
    differing.extend(compare::texts(reader, &runs.differing, &ids)?);
    differing.sort_by_key(|row| weight(&row.name));
    let (groups, winner) =
        compare::best(&differing, &runs.verdicts, &runs.evaluations, runs.first_curves(), incomparable.is_some());
    let best = winner.as_ref().map_or(&[][..], |winner| &groups[winner.group].places);
    let whole = whole(&runs.verdicts, best);
    let shown = shown(ids.len(), &whole);
    let side = |record: &mut Record| {
        let curves = match shown.len() < ids.len() {
            true => Some(runs.curves_of(record, &shown, rows(shown.len()))?),
            false => None,
        };
        Ok((Texts::read(record, &ids, &whole)?, curves))
    };
    let own = |reader: &mut Reader| Ok((executions(reader, &runs)?, inputs(reader, &ids)?, again(reader, &runs)?));
    let (((executions, unlisted), inputs, again), (texts, curves)) = reader.beside(ids.len(), side, own)?;
    if let Some(curves) = curves {
        let rows = rows(shown.len());
        runs.show_only(shown, rows, curves);
    }
    let charts = charts(reader, &runs)?;
    Ok(Report {
        of: runs.of.clone(),
        made: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M").to_string(),
        version: env!("CARGO_PKG_VERSION"),
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

/// Which parameters are shown first: what training reads.
fn weight(name: &str) -> usize {
    const STAGES: [&str; 4] = ["train.", "batch.", "vocab.", "tokenize."];
    match STAGES.iter().position(|stage| name.starts_with(stage)) {
        Some(place) => place + 1,
        None if ["evaluate.", "sample.", "baselines."].iter().any(|stage| name.starts_with(stage)) => 9,
        // The seed, the corpus and its texts.
        None => 0,
    }
}

fn charts(reader: &mut Reader, runs: &Runs) -> Result<Vec<Chart>, Failure> {
    let pictures = match runs.summaries.len() {
        few if few <= MANY[0] => &PICTURES[..],
        many if many <= MANY[1] => &PICTURES[..4],
        _ => &PICTURES[..2],
    };
    let mut charts = Vec::new();
    for &quantity in pictures {
        let chart = runs.chart(reader, quantity)?;
        if !chart.is_empty() {
            charts.push(chart);
        }
    }
    Ok(charts)
}

/// The places of the runs that are shown whole: the best, and as many of each verdict in turn.
fn whole(verdicts: &[Verdict], best: &[usize]) -> BTreeSet<usize> {
    let mut of_kinds: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    for (place, verdict) in verdicts.iter().enumerate() {
        of_kinds.entry(verdict.verdict.word()).or_default().push_back(place);
    }
    let mut chosen: BTreeSet<usize> = best.iter().copied().take(WHOLE / 10).collect();
    while chosen.len() < WHOLE.min(verdicts.len()) {
        for places in of_kinds.values_mut() {
            chosen.extend(places.pop_front().filter(|_| chosen.len() < WHOLE));
        }
    }
    chosen
}

/// The places of the runs that are drawn: of many those that are shown whole, and others at equal distances.
fn shown(runs: usize, whole: &BTreeSet<usize>) -> BTreeSet<usize> {
    if runs <= MANY[1] {
        return (0..runs).collect();
    }
    let rest = MANY[1] - whole.len();
    let between = (0..rest).map(|n| n * runs / rest);
    whole.iter().copied().chain(between).collect()
}

/// What is said of each run beside its figures.
struct Texts {
    confirmations: Vec<Vec<Confirmation>>,
    forks: Vec<Vec<Forked>>,
    /// Of the runs that are shown whole, by their places.
    whole: BTreeMap<usize, (Vec<Sample>, Vec<Event>)>,
}

impl Texts {
    fn read(record: &mut Record, runs: &[i64], whole: &BTreeSet<usize>) -> record::Result<Self> {
        let ids: Vec<i64> = whole.iter().map(|place| runs[*place]).collect();
        let texts = record.samples_of(&ids)?.into_iter().zip(record.events_of(&ids)?);
        Ok(Self {
            confirmations: record.confirmations_of(runs)?,
            forks: record.forks_of(runs)?,
            whole: whole.iter().copied().zip(texts).collect(),
        })
    }
}

fn of_runs(runs: Runs, mut texts: Texts, whole: usize) -> Vec<Run> {
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
            Run {
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

/// The samples of as many checkpoints as fit: the first and the last, and those between at equal distances.
fn fitting(samples: Vec<Sample>, budget: usize) -> (Vec<Sample>, usize) {
    // What stands around a text takes about as much as a short one.
    let size = |samples: &[Sample]| samples.iter().map(|it| it.text.len() + 300).sum::<usize>();
    let checkpoints: Vec<&[Sample]> = samples.chunk_by(|a, b| a.step == b.step).collect();
    let mut kept: Vec<&[Sample]> = Vec::new();
    for every in 1..=checkpoints.len().max(1) {
        let last = checkpoints.len().saturating_sub(1);
        let those = checkpoints.iter().enumerate().filter(|(at, _)| (last - at).is_multiple_of(every) || *at == 0);
        kept = those.map(|(_, samples)| *samples).collect();
        if kept.iter().map(|samples| size(samples)).sum::<usize>() <= budget {
            break;
        }
    }
    if kept.iter().map(|samples| size(samples)).sum::<usize>() > budget {
        kept = kept.split_off(kept.len().saturating_sub(1));
    }
    let kept: Vec<Sample> = kept.concat();
    let untold = samples.len() - kept.len();
    (kept, untold)
}

/// The executions that served the runs, each once; of too many, those of single checkpoints are only counted.
fn executions(reader: &mut Reader, runs: &Runs) -> Result<(Vec<Execution>, usize), Failure> {
    let ids: Vec<i64> = runs.summaries.iter().map(|run| run.run).collect();
    let all = reader.record.count_executions(&ids)?;
    let is_listed = |name: &&str| all <= LISTED || !["evaluate", "sample"].contains(name);
    let stages: Vec<&str> = STAGES.iter().map(|stage| stage.name).filter(is_listed).collect();
    let listed = reader.executions(&ids, &stages, LISTED)?;
    let unlisted = all.saturating_sub(listed.len());
    Ok((listed, unlisted))
}

/// The corpus files that the runs read, each once.
fn inputs(reader: &mut Reader, runs: &[i64]) -> Result<Vec<(String, String)>, Failure> {
    let mut all: Vec<(String, String)> = Vec::new();
    for input in reader.record.inputs_of(runs, "tokenize")?.into_iter().flatten() {
        if !all.contains(&input) {
            all.push(input);
        }
    }
    Ok(all)
}

/// What a shell is told to compute the runs, and the experiments as they were.
fn again(reader: &mut Reader, runs: &Runs) -> Result<Again, Failure> {
    let command = |detail: &Detail| {
        let overrides: Vec<String> = serde_json::from_str(&detail.overrides).unwrap_or_default();
        format::command(&detail.experiment_path, &overrides)
    };
    let mut again = Again::default();
    for detail in &runs.details {
        let command = command(detail);
        if !again.commands.contains(&command) {
            again.commands.push(command);
        }
    }
    let ids: Vec<i64> = runs.summaries.iter().map(|run| run.run).collect();
    again.experiments = reader.record.experiments_of(&ids)?;
    again.commands.extend(runs.summaries.iter().take(12).map(|run| format!("pipeline reproduce {}", run.name())));
    Ok(again)
}

#[cfg(test)]
mod tests;
