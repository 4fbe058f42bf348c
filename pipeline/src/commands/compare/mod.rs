//! `pipeline compare`.

mod parts;

use serde::Serialize;

use crate::args::CompareArgs;
use crate::commands::defaults;
use crate::commands::reading::{Reader, baselines};
use crate::commands::show::parts::origin;
use crate::commands::standing;
use crate::failure::Failure;
use crate::insight::comparison::{self, Differing, Scores, Texts};
use crate::insight::standing::Standing;
use crate::places::Paths;
use crate::record::read::{Bucket, Cell, Detail, Difference, NgramLoss, StageRow, Summary};
use crate::ui;
use crate::ui::axis::Baseline;
use crate::ui::look::Look;

/// What two or more runs have in common, and what not.
#[derive(Debug, Serialize)]
struct Comparison {
    runs: Vec<Summary>,
    /// Parameters.
    parameters: Vec<Differing>,
    /// Why the runs' losses can't be held against each other, where they can't.
    incomparable: Option<&'static str>,
    /// What is no parameter but may change numbers or times: program, threads, processor.
    circumstances: Vec<Differing>,
    /// The lines of the curves.
    baselines: Vec<Baseline>,
    /// Of each run: models that count, on each split.
    ngrams: Vec<Vec<NgramLoss>>,
    /// Of each run: where its last valid loss stands among them.
    standings: Vec<Option<Standing>>,
    /// Of each run: `tokenize.unit`.
    #[serde(skip)]
    units: Vec<String>,
    /// For two runs alone.
    parting: Option<Parting>,
    evaluations: Vec<Scores>,
    samples: Vec<Texts>,
    /// The loss of neighbouring steps of each run.
    curves: Vec<Vec<Bucket>>,
}

/// Where the losses of two runs part.
#[derive(Debug, Serialize)]
struct Parting {
    /// Steps that both runs have.
    common_steps: i64,
    /// The first of them whose losses differ in any bit.
    first: Option<Difference>,
}

/// Compares runs.
pub fn compare(args: CompareArgs, paths: &Paths) -> Result<(), Failure> {
    let mut reader = Reader::open(paths)?;
    let runs = reader.named(&args.selectors)?;
    if let [only] = runs[..] {
        let message = format!("{} is run{only} alone; compare wants two runs or more", args.selectors.join(" "));
        return Err(Failure::input(message, format!("pipeline show run{only}")));
    }
    let look = Look::stdout();
    let comparison = read(&mut reader, &runs, look)?;
    ui::data(&if args.json { ui::json(&comparison) } else { parts::screen(&comparison, look) });
    Ok(())
}

fn read(reader: &mut Reader, runs: &[i64], look: Look) -> Result<Comparison, Failure> {
    let summaries = reader.summaries(Some(runs))?;
    let params = defaults::with_later(reader.record.params(runs)?, runs);
    let units = runs.iter().map(|run| standing::unit(&params, *run).to_owned()).collect();
    let parameters = with_forks(reader, comparison::differing(params, runs), runs)?;
    let (mut details, mut stages, mut ngrams) = (Vec::new(), Vec::new(), Vec::new());
    let (mut curves, mut evaluations, mut samples) = (Vec::new(), Vec::new(), Vec::new());
    for (run, summary) in runs.iter().zip(&summaries) {
        stages.push(reader.stages(*run)?);
        let record = &mut reader.record;
        let detail = record.detail(*run)?;
        curves.push(match detail.trajectory_id {
            Some(trajectory) => record.buckets(trajectory, summary.steps, look.width as i64 * 8)?,
            None => Vec::new(),
        });
        details.push(detail);
        evaluations.push(record.evaluations(*run)?);
        samples.push(record.samples(*run)?);
        ngrams.push(record.ngrams(*run)?);
    }
    let incomparable = incomparable(reader, runs)?;
    let parting = match (&details[..], &summaries[..]) {
        ([a, b], [first, second]) => {
            let common_steps = first.steps.min(second.steps);
            let difference = match (a.trajectory_id, b.trajectory_id) {
                (Some(a), Some(b)) => reader.record.first_difference(a, b, common_steps)?,
                _ => None,
            };
            Some(Parting { common_steps, first: difference })
        }
        _ => None,
    };
    Ok(Comparison {
        parameters,
        incomparable,
        circumstances: circumstances(&details, &stages).into_iter().filter(Differing::differs).collect(),
        baselines: joint_baselines(&summaries, &stages, &ngrams),
        units,
        standings: evaluations.iter().zip(&ngrams).map(|(scores, ngrams)| standing::of(scores, ngrams)).collect(),
        ngrams,
        parting,
        evaluations: comparison::scores(&evaluations),
        samples: comparison::texts(&samples),
        curves,
        runs: summaries,
    })
}

/// The same parameters, but what a run was forked from as `run42 at step 300`: a trajectory's digits tell nobody anything.
pub fn with_forks(reader: &mut Reader, parameters: Vec<Differing>, runs: &[i64]) -> Result<Vec<Differing>, Failure> {
    let (forks, mut parameters): (Vec<Differing>, Vec<Differing>) =
        parameters.into_iter().partition(|row| row.name == FORK || row.name.starts_with(&format!("{FORK}.")));
    if forks.is_empty() {
        return Ok(parameters);
    }
    let mut values = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        let nearest = match forks.iter().any(|row| row.values[place].is_some()) {
            true => reader.record.forks(*run)?.first().map(origin),
            false => None,
        };
        values.push(nearest.map(Cell::Text));
    }
    let place = parameters.partition_point(|row| row.name.as_str() < FORK);
    parameters.insert(place, Differing { name: FORK.to_owned(), values });
    Ok(parameters)
}

/// The key that makes a run a fork.
const FORK: &str = "train.fork";

/// Why the runs' losses can't be held against each other, where they can't.
pub fn incomparable(reader: &mut Reader, runs: &[i64]) -> Result<Option<&'static str>, Failure> {
    for (name, words) in [
        ("vocab", "the runs have other vocabularies: their losses and perplexities can't be held against each other"),
        ("valid", "the runs are scored on other valid texts: their perplexities can't be held against each other"),
    ] {
        let mut digests = Vec::new();
        for run in runs {
            digests.extend(reader.record.output(*run, "vocab", name)?);
        }
        if digests.windows(2).any(|pair| pair[0] != pair[1]) {
            return Ok(Some(words));
        }
    }
    Ok(None)
}

/// What is no parameter but may change numbers or times.
pub fn circumstances(details: &[Detail], stages: &[Vec<StageRow>]) -> Vec<Differing> {
    let text = |text: &Option<String>| text.clone().map(Cell::Text);
    let train = |of: &dyn Fn(&StageRow) -> Option<Cell>| -> Vec<Option<Cell>> {
        stages.iter().map(|stages| stages.iter().find(|stage| stage.stage == "train").and_then(of)).collect()
    };
    let commit = |detail: &Detail| {
        let dirty = if detail.git_dirty == Some(true) { " and changes" } else { "" };
        detail.git_commit.as_ref().map(|commit| Cell::Text(format!("{}{dirty}", commit.get(..12).unwrap_or(commit))))
    };
    let rows = [
        ("pipeline", details.iter().map(|detail| Some(Cell::Text(detail.program_version.clone()))).collect()),
        ("git", details.iter().map(commit).collect()),
        ("host", details.iter().map(|detail| Some(Cell::Text(detail.host.clone()))).collect()),
        ("threads", train(&|stage| stage.threads.map(Cell::Integer))),
        ("device", train(&|stage| text(&stage.device))),
        ("processor", train(&|stage| text(&stage.cpu_capability))),
        ("libtorch", train(&|stage| text(&stage.libtorch))),
    ];
    rows.into_iter().map(|(name, values)| Differing { name: name.to_owned(), values }).collect()
}

/// Baselines of all runs; where they differ, each names the first run that it belongs to.
pub fn joint_baselines(runs: &[Summary], stages: &[Vec<StageRow>], ngrams: &[Vec<NgramLoss>]) -> Vec<Baseline> {
    let mut all: Vec<(Baseline, String)> = Vec::new();
    for ((run, stages), ngrams) in runs.iter().zip(stages).zip(ngrams) {
        for baseline in baselines(stages, ngrams) {
            if !all.iter().any(|(known, _)| *known == baseline) {
                all.push((baseline, run.name()));
            }
        }
    }
    // Each corpus has four: of many, the first two of each are enough lines.
    if all.len() > 8 {
        all.retain(|(baseline, _)| ["ln V", "unigram"].contains(&baseline.label.as_str()));
    }
    let several = |label: &str| all.iter().filter(|(baseline, _)| baseline.label == label).count() > 1;
    let named = |(baseline, run): &(Baseline, String)| match several(&baseline.label) {
        true => Baseline { label: format!("{} {run}", baseline.label), ..baseline.clone() },
        false => baseline.clone(),
    };
    all.iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::record::fixture::{Fixture, PARTING, long_run};
    use crate::ui::screen_is;

    fn compared(fixture: &Fixture, runs: &[i64]) -> Comparison {
        let mut reader = Reader::open(&Paths { db: fixture.db.clone(), named: true, store: None }).unwrap();
        read(&mut reader, runs, Look::PLAIN).unwrap()
    }

    #[test]
    fn two_runs() {
        let comparison = compared(&Fixture::new(), &[1, 2]);
        screen_is("compare_two", &parts::screen(&comparison, Look::PLAIN));
        assert_eq!(comparison.parting.unwrap().first.unwrap().step, 1);
    }

    #[test]
    fn a_study() {
        let comparison = compared(&Fixture::new(), &[1, 2, 3]);
        screen_is("compare_study", &parts::screen(&comparison, Look::PLAIN));
        let json = serde_json::to_value(&comparison).unwrap();
        assert_eq!(json["parameters"][0]["values"], serde_json::json!([0.1, 1.0, 10.0]));
        assert_eq!(json["runs"][2]["last_loss_kind"], "nan");
    }

    #[test]
    fn one_bit_in_many_steps_is_found() {
        let fixture = Fixture::new();
        let mut record = Record::create(&fixture.db).unwrap();
        [5, 6].into_iter().for_each(|run| long_run(&mut record, run, 200_000));
        let comparison = compared(&fixture, &[5, 6]);
        let text = parts::screen(&comparison, Look::PLAIN);
        let parting = comparison.parting.unwrap();
        assert_eq!((parting.common_steps, parting.first.unwrap().step), (200_000, PARTING));
        assert!(text.contains("identical to the bit up to step 150,000;"), "{text}");
        assert!(record.first_difference(5, 6, PARTING).unwrap().is_none());
    }
}
