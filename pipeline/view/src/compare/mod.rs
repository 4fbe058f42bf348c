//! Compares two or more runs.

mod account;
mod alike;
mod around;
mod best;
mod parting;

use schemars::JsonSchema;
use serde::Serialize;

pub use alike::{TEXT, circumstances, incomparable, joint_baselines, origin, texts, with_forks};
pub use around::{Around, Centre, Near};
pub use best::best;
pub use parting::Parting;

use crate::{Source, defaults, standing};
use chart::axis::Baseline;
use identity::verdict::Verdict;
use identity::{Bucket, NgramLoss, RunId};
use insight::comparison::{self, Differing, Scores, Texts};
use insight::standing::Standing;
use insight::winner::{Group, Winner};
use record::Record;
use record::read::RunSummary;

/// The most rows of all curves together.
const ROWS: i64 = 64_000;

/// The fewest rows per curve.
const FEWEST: i64 = 40;

/// A comparison of two or more runs.
#[derive(Debug, JsonSchema, Serialize)]
pub struct CompareView {
    /// The main findings in a few sentences.
    pub account: Vec<String>,
    pub runs: Vec<RunSummary>,
    pub verdicts: Vec<Verdict>,
    /// Parameters that differ.
    pub parameters: Vec<Differing>,
    /// Why the runs' losses can't be compared; null if they can.
    pub incomparable: Option<&'static str>,
    /// Differences that are not parameters but can change results or times: the content of corpus files, the program,
    /// threads, processor.
    pub circumstances: Vec<Differing>,
    /// The horizontal lines drawn beside the curves.
    pub baselines: Vec<Baseline>,
    /// For each run: the losses of n-gram models, by split.
    pub ngrams: Vec<Vec<NgramLoss>>,
    /// For each run: how its last validation loss compares with the n-gram models.
    pub standings: Vec<Option<Standing>>,
    /// For each run: `tokenize.unit`.
    #[serde(skip)]
    pub units: Vec<String>,
    /// Only for two runs: where their losses first differ.
    pub parting: Option<Parting>,
    pub around: Option<Around>,
    /// Only for three or more runs: groups that differ only in their seeds; `winner` is the best group.
    pub groups: Vec<Group>,
    pub winner: Option<Winner>,
    pub evaluations: Vec<Scores>,
    pub samples: Vec<Texts>,
    /// For each run: the losses, in buckets of consecutive steps.
    pub curves: Vec<Vec<Bucket>>,
}

impl CompareView {
    /// Compares runs, with curves of at most `rows` rows each.
    pub fn read<S: Source>(source: &mut S, runs: &[RunId], rows: i64) -> Result<Self, S::Error> {
        let details = source.record().details(runs)?;
        // The more curves there are, the smaller each one is drawn.
        let rows = (ROWS / runs.len().max(1) as i64).min(rows).max(FEWEST);
        let of: Vec<(Option<i64>, i64)> = details.iter().map(|run| (run.trajectory_id, run.steps)).collect();
        let side = |record: &mut Record| {
            let curves = record.curves(&of, "loss", rows)?;
            Ok((curves, record.evaluations_of(runs)?, record.ngrams_of(runs)?, record.samples_of(runs)?))
        };
        let own = |source: &mut S| {
            let verdicts = source.verdicts(runs)?;
            let params = defaults::with_later(source.record().params(runs)?, runs);
            Ok((verdicts, source.summaries(Some(runs))?, params, source.stages_of(runs, &["vocab", "train"])?))
        };
        let ((verdicts, summaries, params, stages), (curves, evaluations, ngrams, samples)) =
            source.beside(runs.len(), side, own)?;
        let units = standing::units(&params, runs);
        let mut parameters = alike::with_forks(source.record(), comparison::differing(&params, runs), runs)?;
        let incomparable = alike::incomparable(source.record(), runs)?;
        let texts = alike::texts(source.record(), &parameters, runs)?;
        // Runs that read different texts are not grouped as seeds of the same point.
        let told_apart: Vec<Differing> = parameters.iter().chain(&texts).cloned().collect();
        let mut circumstances = texts;
        circumstances.extend(alike::circumstances(&details, &stages).into_iter().filter(Differing::differs));
        let (mut parting, mut around) = (None, None);
        if let ([a, b], [first, second]) = (&details[..], &summaries[..]) {
            let pair = parting::RunPair {
                runs: [first.run, second.run],
                trajectories: [a.trajectory_id, b.trajectory_id],
                lengths: [first.steps, second.steps],
            };
            let found = parting::read(source.record(), &pair)?;
            parting::explain(source.record(), &pair, &found, &params, &mut parameters)?;
            around = around::read(source.record(), &pair, &found, &verdicts, &params)?;
            parting = Some(found);
        }
        let (groups, winner) = match runs.len() {
            ..3 => (Vec::new(), None),
            _ => best(&told_apart, &verdicts, &evaluations, &curves, incomparable.is_some()),
        };
        let mut comparison = Self {
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
}
