//! Verdicts of runs: read where they still hold, made and written down where they do not.

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

/// Batches of how many kinds are kept while runs are judged.
const KNOWN: usize = 4;

/// Verdicts that are written down together.
const PORTION: usize = 64;

/// The verdicts of some runs, in their order.
///
/// # Errors
/// Where the record fails, or says something that can't be.
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
        // In portions, so that whoever is interrupted has not judged in vain.
        if made.len() >= PORTION {
            write_down(reader.record.path(), &std::mem::take(&mut made))?;
        }
    }
    if !made.is_empty() {
        write_down(reader.record.path(), &made)?;
    }
    Ok(all)
}

/// A run's verdict made anew, whatever was concluded before, and what the rules looked at.
///
/// # Errors
/// Where the record fails, or says something that can't be.
pub fn anew(reader: &mut Reader, run: RunId) -> Result<(Verdict, Facts), Failure> {
    let state = reader.record.verdict_states(Some(&[run]))?.pop().ok_or_else(gone)?;
    let facts = facts(reader, run)?;
    let verdict = settled(reader, &state, &facts)?;
    if verdict.1 {
        write_down(reader.record.path(), &[(run, verdict.0.clone())])?;
    }
    Ok((verdict.0, facts))
}

/// The same of some runs, handed to `visit` one by one, since what the rules look at is large.
///
/// # Errors
/// Where the record fails, or says something that can't be.
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

/// Makes the verdicts of some runs, or all, where they do not hold any more. Those that are new, which a database that can't
/// be written does not have.
///
/// # Errors
/// Where the record fails, or says something that can't be.
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

/// The verdicts of some runs in a few words, in their order: what they rest on, which is most of them, is not read.
///
/// # Errors
/// Where the record fails, or says something that can't be.
pub fn headlines(reader: &mut Reader, runs: &[RunId]) -> Result<Vec<Headline>, Failure> {
    let made = refresh(reader, Some(runs))?;
    let kept = reader.record.headlines(runs)?;
    runs.iter().zip(kept).map(|(run, kept)| made.get(run).copied().or(kept).ok_or_else(gone)).collect()
}

/// Whether a run's verdict is one by these rules or newer ones, of the run as it is.
fn holds(reader: &mut Reader, state: &VerdictState) -> Result<bool, Failure> {
    if state.rules.is_none_or(|rules| rules < verdict::RULES) {
        return Ok(false);
    }
    let seen = state.seen.as_deref();
    Ok(match seen.and_then(|seen| seen.strip_suffix(UNSEEN)) {
        // What was judged without what it had read is judged again once that is there.
        Some(seen) => seen == state.now && !reader.has(state.run, &READ)?,
        None => seen == Some(&*state.now),
    })
}

/// The outputs that the rules read.
const READ: [(&str, &str); 3] = [("batch", "plan"), ("vocab", "vocab"), ("vocab", "train")];

/// Stands behind what there was of a run when it was judged, where what it had read could not be looked at.
const UNSEEN: &str = " unseen";

fn judge(state: &VerdictState, facts: &Facts) -> Verdict {
    // Where nothing was read yet, nothing is unseen.
    let unseen = facts.batches.is_err() && !facts.trace.is_empty();
    Verdict { seen: format!("{}{}", state.now, if unseen { UNSEEN } else { "" }), ..verdict::judge(facts) }
}

fn gone() -> Failure {
    Failure::failed("BUG: the run is gone", "")
}

/// The verdict of a run, and whether it is a new one: what was seen when the store was there is not forgotten because it is
/// away, and newer rules know better.
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

/// Writes verdicts down, where the database can be written: whoever may only read sees them all the same, and while others
/// write nobody waits for it.
fn write_down(path: &std::path::Path, made: &[(RunId, Verdict)]) -> Result<(), Failure> {
    let written = Record::create(path).and_then(|mut record| {
        record.hurry()?;
        record.conclude(made)
    });
    match written {
        Err(error) if error.is_refusal() => {
            tracing::debug!(path = %path.display(), "verdicts are not kept: the database can't be written");
            Ok(())
        }
        other => Ok(other?),
    }
}

/// What the rules look at.
fn facts(reader: &mut Reader, run: RunId) -> Result<Facts, Failure> {
    let status = reader.summaries(Some(&[run]))?.pop().map_or(Status::Interrupted, |summary| summary.status);
    let params = defaults::with_later(reader.record.params(&[run])?, &[run]);
    let params: BTreeMap<String, _> = params.into_iter().map(|param| (param.name, param.value)).collect();
    let trace = reader.record.trace(run)?;
    let steps = trace.len() as u64;
    let accumulate = params.get("train.accumulate").and_then(|value| value.text().parse().ok()).unwrap_or(1u64);
    // What a run from before the stage baselines has instead.
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

/// What a run's batches are made of, read from the store.
fn batches(reader: &mut Reader, run: RunId, steps: u64, windows: u64) -> Result<Batches, Failure> {
    let [plan, types, ids] = READ.map(|(stage, name)| reader.object(run, stage, name));
    let (plan, types, ids) = (plan?, types?, ids?);
    // The paths name the content.
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
