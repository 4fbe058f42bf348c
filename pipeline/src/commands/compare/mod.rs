//! `pipeline compare`.

mod account;
mod alike;
mod around;
mod parting;
mod parts;
mod study;
mod texts;

pub use alike::{circumstances, incomparable, joint_baselines, texts, with_forks};
pub use study::best;

use serde::Serialize;

use crate::args::CompareArgs;
use crate::commands::reading::Reader;
use crate::commands::{defaults, judging, standing};
use crate::failure::Failure;
use crate::places::Paths;
use crate::ui;
use crate::ui::look::Look;
use around::Around;
use chart::Baseline;
use identity::Bucket;
use insight::comparison::{self, Differing, Scores, Texts};
use insight::standing::Standing;
use insight::winner::{Group, Winner};
use parting::Parting;
use record::Record;
use record::read::{NgramLoss, Summary};
use record::verdicts::Verdict;

/// Rows of all curves together, beside the fewest of one.
const ROWS: i64 = 64_000;
const FEWEST: i64 = 40;

/// What two or more runs have in common, and what not.
#[derive(Debug, Serialize)]
struct Comparison {
    /// What happened, in a few sentences.
    account: Vec<String>,
    runs: Vec<Summary>,
    verdicts: Vec<Verdict>,
    /// Parameters.
    parameters: Vec<Differing>,
    /// Why the runs' losses can't be held against each other, where they can't.
    incomparable: Option<&'static str>,
    /// What is no parameter but may change numbers or times: the text behind a path, program, threads, processor.
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
    around: Option<Around>,
    /// Of three runs or more: those that differ in their seeds alone, and the best of these.
    groups: Vec<Group>,
    winner: Option<Winner>,
    evaluations: Vec<Scores>,
    samples: Vec<Texts>,
    /// The loss of neighbouring steps of each run.
    curves: Vec<Vec<Bucket>>,
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
    let details = reader.record.details(runs)?;
    // The more curves, the smaller each is drawn.
    let rows = (ROWS / runs.len().max(1) as i64).min(look.width as i64 * 8).max(FEWEST);
    let of: Vec<(Option<i64>, i64)> = details.iter().map(|run| (run.trajectory_id, run.steps)).collect();
    let side = |record: &mut Record| {
        let curves = record.curves(&of, "loss", rows)?;
        Ok((curves, record.evaluations_of(runs)?, record.ngrams_of(runs)?, record.samples_of(runs)?))
    };
    let own = |reader: &mut Reader| {
        let verdicts = judging::verdicts(reader, runs)?;
        let params = defaults::with_later(reader.record.params(runs)?, runs);
        Ok((verdicts, reader.summaries(Some(runs))?, params, reader.stages_of(runs, &["vocab", "train"])?))
    };
    let ((verdicts, summaries, params, stages), (curves, evaluations, ngrams, samples)) =
        reader.beside(runs.len(), side, own)?;
    let units = standing::units(&params, runs);
    let mut parameters = alike::with_forks(reader, comparison::differing(&params, runs), runs)?;
    let incomparable = alike::incomparable(reader, runs)?;
    let texts = alike::texts(reader, &parameters, runs)?;
    // Who read another text is no other seed of the same.
    let told_apart: Vec<Differing> = parameters.iter().chain(&texts).cloned().collect();
    let mut circumstances = texts;
    circumstances.extend(alike::circumstances(&details, &stages).into_iter().filter(Differing::differs));
    let (mut parting, mut around) = (None, None);
    if let ([a, b], [first, second]) = (&details[..], &summaries[..]) {
        let pair = parting::Pair {
            runs: [first.run, second.run],
            trajectories: [a.trajectory_id, b.trajectory_id],
            lengths: [first.steps, second.steps],
        };
        let found = parting::read(reader, &pair)?;
        parting::explain(reader, &pair, &found, &params, &mut parameters)?;
        around = around::read(reader, &pair, &found, &verdicts, &params)?;
        parting = Some(found);
    }
    let (groups, winner) = match runs.len() {
        ..3 => (Vec::new(), None),
        _ => study::best(&told_apart, &verdicts, &evaluations, &curves, incomparable.is_some()),
    };
    let mut comparison = Comparison {
        account: Vec::new(),
        parameters,
        incomparable,
        circumstances,
        baselines: alike::joint_baselines(&summaries, &stages, &ngrams),
        units,
        standings: evaluations.iter().zip(&ngrams).map(|(scores, ngrams)| standing::of(scores, ngrams)).collect(),
        ngrams,
        parting,
        around,
        groups,
        winner,
        evaluations: comparison::scores(&evaluations),
        samples: comparison::texts(&samples),
        curves,
        verdicts,
        runs: summaries,
    };
    comparison.account = account::account(&comparison);
    Ok(comparison)
}

#[cfg(test)]
mod tests;
