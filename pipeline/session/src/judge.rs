//! Verdicts of runs. They are read from the record if they still hold, and otherwise made and recorded.

use std::collections::BTreeMap;

use identity::{RunId, Status};
use stages::files::{Ids, Types};
use stages::plan::BatchPlan;

use crate::failure::Failure;
use crate::reader::{Read, Reader};
use identity::verdict::{Headline, Verdict};
use insight::verdict::{self, Batches, Facts};
use record::Record;
use record::read::StageRow;
use record::verdicts::VerdictState;
use view::{Source as _, defaults};

/// How many different sets of batches are kept in memory while runs are judged.
const KNOWN: usize = 4;

/// How many verdicts are recorded in one transaction.
const PORTION: usize = 64;

/// The verdicts of some runs, in the given order.
///
/// # Errors
/// When the record fails or contradicts itself.
pub fn verdicts(reader: &mut Reader, runs: &[RunId]) -> Result<Vec<Verdict>, Failure> {
    let states: BTreeMap<RunId, _> =
        reader.record.verdict_states(Some(runs))?.into_iter().map(|state| (state.run, state)).collect();
    let kept = reader.record.verdicts(runs)?;
    let (mut advance, mut all, mut made) = (None, Vec::with_capacity(runs.len()), Vec::new());
    for (run, kept) in runs.iter().zip(kept) {
        let state = states.get(run).ok_or_else(gone)?;
        if let Some(kept) = kept
            && holds(reader, state)?
        {
            all.push(kept);
            continue;
        }
        let verdict = judge(state, &facts(reader, *run)?);
        made.push((*run, verdict.clone()));
        all.push(verdict);
        let left = (runs.len() - all.len() + 1) as u64;
        advance.get_or_insert_with(|| reader.watch.judging(left))();
        // Verdicts are recorded in portions, so that an interruption loses few of them.
        if made.len() >= PORTION {
            write_down(reader.record.path(), &std::mem::take(&mut made))?;
        }
    }
    if !made.is_empty() {
        write_down(reader.record.path(), &made)?;
    }
    Ok(all)
}

/// Judges a run again, whatever the record says, and returns the verdict with its facts.
///
/// # Errors
/// When the record fails or contradicts itself.
pub fn anew(reader: &mut Reader, run: RunId) -> Result<(Verdict, Facts), Failure> {
    let state = reader.record.verdict_states(Some(&[run]))?.pop().ok_or_else(gone)?;
    let facts = facts(reader, run)?;
    let verdict = settled(reader, &state, &facts)?;
    if verdict.1 {
        write_down(reader.record.path(), &[(run, verdict.0.clone())])?;
    }
    Ok((verdict.0, facts))
}

/// Judges some runs again and hands the verdict and facts of each to `visit`, one run at a time, because the facts of a
/// run are large.
///
/// # Errors
/// When the record fails or contradicts itself.
pub fn each_anew(reader: &mut Reader, runs: &[RunId], mut visit: impl FnMut(Verdict, &Facts)) -> Result<(), Failure> {
    let states: BTreeMap<RunId, _> =
        reader.record.verdict_states(Some(runs))?.into_iter().map(|state| (state.run, state)).collect();
    let (mut advance, mut made) = (reader.watch.judging(runs.len() as u64), Vec::new());
    for run in runs {
        let state = states.get(run).ok_or_else(gone)?;
        let facts = facts(reader, *run)?;
        let (verdict, is_new) = settled(reader, state, &facts)?;
        if is_new {
            made.push((*run, verdict.clone()));
        }
        visit(verdict, &facts);
        advance();
        if made.len() >= PORTION {
            write_down(reader.record.path(), &std::mem::take(&mut made))?;
        }
    }
    if !made.is_empty() {
        write_down(reader.record.path(), &made)?;
    }
    Ok(())
}

/// Judges the runs whose verdicts no longer hold, among some runs or among all. Returns the new verdicts, because they
/// are not in a database that can't be written.
///
/// # Errors
/// When the record fails or contradicts itself.
pub fn refresh(reader: &mut Reader, runs: Option<&[RunId]>) -> Result<BTreeMap<RunId, Headline>, Failure> {
    let states = reader.record.verdict_states(runs)?;
    let mut stale = Vec::new();
    for state in &states {
        if !holds(reader, state)? {
            stale.push(state.run);
        }
    }
    let made = verdicts(reader, &stale)?;
    Ok(stale.into_iter().zip(made.iter().map(Verdict::headline)).collect())
}

/// The headlines of some runs' verdicts, in the given order. The evidence, which is the bulk of a verdict, is not read.
///
/// # Errors
/// When the record fails or contradicts itself.
pub fn headlines(reader: &mut Reader, runs: &[RunId]) -> Result<Vec<Headline>, Failure> {
    let made = refresh(reader, Some(runs))?;
    let kept = reader.record.headlines(runs)?;
    runs.iter().zip(kept).map(|(run, kept)| made.get(run).copied().or(kept).ok_or_else(gone)).collect()
}

/// Whether a run's verdict was made by these rules or newer ones, and for the present state of the run.
fn holds(reader: &mut Reader, state: &VerdictState) -> Result<bool, Failure> {
    if state.rules.is_none_or(|rules| rules < verdict::RULES) {
        return Ok(false);
    }
    let seen = state.seen.as_deref();
    Ok(match seen.and_then(|seen| seen.strip_suffix(UNSEEN)) {
        // A run that was judged without its batches is judged again once they can be read.
        Some(seen) => seen == state.now && !reader.has(state.run, &READ)?,
        None => seen == Some(&*state.now),
    })
}

/// The outputs that the rules read.
const READ: [(&str, &str); 3] = [("batch", "plan"), ("vocab", "vocab"), ("vocab", "train")];

/// Appended to a verdict's `seen`, the state in which its run was judged, if the run's batches could not be read.
const UNSEEN: &str = " unseen";

fn judge(state: &VerdictState, facts: &Facts) -> Verdict {
    // A run without steps has read no batches, so none are missing.
    let unseen = facts.batches.is_err() && !facts.trace.is_empty();
    Verdict { seen: format!("{}{}", state.now, if unseen { UNSEEN } else { "" }), ..verdict::judge(facts) }
}

fn gone() -> Failure {
    Failure::failed("BUG: the run is missing from the record", "")
}

/// The verdict of a run, and whether it is new. A recorded verdict that still holds is kept if newer rules made it, or
/// if it is based on more checks, for example because the store was available then.
fn settled(reader: &mut Reader, state: &VerdictState, facts: &Facts) -> Result<(Verdict, bool), Failure> {
    let verdict = judge(state, facts);
    if holds(reader, state)?
        && let Some(before) = reader.record.verdict(state.run)?
        && (before.rules > verdict.rules || checks_made(&before) > checks_made(&verdict))
    {
        return Ok((before, false));
    }
    Ok((verdict, true))
}

fn checks_made(verdict: &Verdict) -> usize {
    verdict.checks.iter().filter(|check| check.made).count()
}

/// Records verdicts if the database can be written immediately. Otherwise they are only shown: the user may have no
/// write access, and a command must not wait for another writer.
fn write_down(path: &std::path::Path, made: &[(RunId, Verdict)]) -> Result<(), Failure> {
    let written = Record::create(path).and_then(|mut record| {
        record.hurry()?;
        record.conclude(made)
    });
    match written {
        Err(error) if error.is_refusal() => {
            tracing::debug!(path = %path.display(), "verdicts are not recorded: the database can't be written");
            Ok(())
        }
        other => Ok(other?),
    }
}

/// The facts that the rules judge.
fn facts(reader: &mut Reader, run: RunId) -> Result<Facts, Failure> {
    let status = reader.summaries(Some(&[run]))?.pop().map_or(Status::Interrupted, |summary| summary.status);
    let params = defaults::with_later(reader.record.params(&[run])?, &[run]);
    let params: BTreeMap<String, _> = params.into_iter().map(|param| (param.name, param.value)).collect();
    let trace = reader.record.trace(run)?;
    let steps = trace.len() as u64;
    let accumulate = params.get("train.accumulate").and_then(|value| value.text().parse().ok()).unwrap_or(1u64);
    // Runs from before the stage `baselines` have these figures in `vocab` instead.
    let stages = reader.stages(run)?;
    let vocab = stages.iter().find(|stage| stage.stage == "vocab").map(StageRow::facts).unwrap_or_default();
    let trained = stages.iter().filter(|stage| stage.stage == "train").map(StageRow::facts);
    let spent = trained.filter_map(|facts| Some((facts["phases"]["probes"].as_f64()?, facts["seconds"].as_f64()?)));
    let (on_probes, whole) = spent.fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    Ok(Facts {
        run,
        even: vocab["ln_types"].as_f64(),
        entropy: vocab["unigram_entropy"].as_f64(),
        status,
        params,
        trace,
        probes: reader.record.probes(run)?,
        probe_share: (whole > 0.0).then(|| on_probes / whole),
        evaluations: reader.record.evaluations(run)?,
        ngrams: reader.record.ngrams(run)?,
        samples: reader.record.samples(run)?,
        batches: batches(reader, run, steps, accumulate).map_err(|failure| failure.message),
    })
}

/// A run's batches, read from the store.
fn batches(reader: &mut Reader, run: RunId, steps: u64, windows: u64) -> Result<Batches, Failure> {
    let [plan, types, ids] = READ.map(|(stage, name)| reader.object(run, stage, name));
    let (plan, types, ids) = (plan?, types?, ids?);
    // The paths identify the content: objects are named by their digests.
    let read: Read = ([&plan, &types, &ids].map(|path| path.display().to_string()), steps, windows);
    if let Some((_, known)) = reader.batches.iter().find(|(of, _)| *of == read) {
        return Ok(known.clone());
    }
    let (plan, types, ids) = (BatchPlan::load(&plan)?, Types::load(&types)?, Ids::open(&ids)?);
    let surprise = stages::surprise::of_steps(&plan, &ids, types.types.len(), steps, windows)?;
    let batches = Batches { plan, windows, types: types.types.len() as u64, surprise };
    reader.batches.insert(0, (read, batches.clone()));
    reader.batches.truncate(KNOWN);
    Ok(batches)
}
