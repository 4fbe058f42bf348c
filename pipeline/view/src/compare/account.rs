//! Summarises a comparison in a few sentences: data faults, where the losses first differ, and what can explain that.

use super::CompareView;
use crate::defaults::Defaults;
use crate::format::{self, count};
use identity::verdict::{Kind, Verdict};
use insight::comparison::Differing;
use insight::explanation::Explains;
use record::read::RunSummary;

/// The most parameters that a sentence names.
const MOST_NAMED: usize = 4;

/// The most runs that each have their own sentence.
const MOST_TOLD: usize = 4;

/// The sentences about a comparison, one paragraph each.
pub fn account(all: &CompareView) -> Vec<String> {
    let both: Vec<(&RunSummary, &Verdict)> = all.runs.iter().zip(&all.verdicts).collect();
    let (faults, others): (Vec<_>, Vec<_>) =
        both.into_iter().partition(|(_, verdict)| verdict.verdict == Kind::DataFault);
    // Data faults come first: a loss on faulty data says nothing about the learning rate.
    let mut said = judged(&faults);
    said.extend(alone(all, faults.len()));
    if let (2, Some(parting)) = (all.runs.len(), &all.parting) {
        said.push(format!("{}; {}.", differences(all), parted(all, parting)));
    }
    said.extend(judged(&others));
    if !faults.is_empty() {
        let (read, say) = if faults.len() == 1 { ("reads", "its loss says") } else { ("read", "their losses say") };
        said.push(format!(
            "Fix the data first: while {} {read} faulty data, {say} nothing about the learning rate.",
            names(&faults)
        ));
    }
    said
}

/// For more than two runs: a sentence that names the parameter values that all runs with a data fault share and no
/// other run has.
fn alone(all: &CompareView, faults: usize) -> Option<String> {
    if faults == 0 || faults == all.runs.len() || all.runs.len() == 2 {
        return None;
    }
    let defaults = Defaults::of(0);
    let told = |row: &&Differing| -> Option<String> {
        let of = |fault: bool| {
            let runs = row.values.iter().zip(&all.verdicts);
            runs.filter(move |(_, verdict)| (verdict.verdict == Kind::DataFault) == fault).map(|(value, _)| value)
        };
        let value = of(true).next()?;
        let cell = value.as_ref()?;
        (of(true).all(|it| it == value) && of(false).all(|it| it != value))
            .then(|| format!("{} = {}", row.name, defaults.shown(&row.name, cell)))
    };
    let found: Vec<String> = gathered(all).iter().filter_map(told).collect();
    (!found.is_empty()).then(|| format!("No other run has {}.", found.join(" or ")))
}

/// The names of runs as a list within a sentence.
fn names(runs: &[(&RunSummary, &Verdict)]) -> String {
    let names: Vec<String> = runs.iter().map(|(run, _)| run.name()).collect();
    match &names[..] {
        [first @ .., last] if !first.is_empty() && names.len() <= MOST_TOLD => {
            format!("{} and {last}", first.join(", "))
        }
        [first, ..] if names.len() > 1 => format!("{first} and {} more", names.len() - 1),
        _ => names.concat(),
    }
}

/// Sentences about the verdicts: one per run if there are few runs, or else one per kind of verdict.
fn judged(runs: &[(&RunSummary, &Verdict)]) -> Vec<String> {
    let mut groups: Vec<Vec<(&RunSummary, &Verdict)>> = Vec::new();
    for &(run, verdict) in runs {
        let alike = |known: &(&RunSummary, &Verdict)| match runs.len() {
            ..=MOST_TOLD => known.1.sentence == verdict.sentence && known.1.onset == verdict.onset,
            _ => true,
        };
        let same =
            |group: &&mut Vec<(&RunSummary, &Verdict)>| group[0].1.verdict == verdict.verdict && alike(&group[0]);
        match groups.iter_mut().find(same) {
            Some(group) => group.push((run, verdict)),
            None => groups.push(vec![(run, verdict)]),
        }
    }
    groups.iter().map(|group| sentence(group, runs.len() <= MOST_TOLD || group.len() == 1)).collect()
}

/// The clause about the parameters that differ, with their values. The clause of [`parted`] follows it.
fn differences(all: &CompareView) -> String {
    let names = format!("{} and {}", all.runs[0].name(), all.runs[1].name());
    let defaults = Defaults::of(0);
    let valued = |row: &Differing| {
        let value = |place: usize| match &row.values[place] {
            Some(cell) => format::cut(&defaults.shown(&row.name, cell), 24),
            None => format::NOTHING.to_owned(),
        };
        format!("{} ({}, {})", row.name, value(0), value(1))
    };
    // If no parameter differs, `parted` names the corpus files that differ.
    let texts = other_texts(all).map_or_else(String::new, |texts| format!(", and in {texts}"));
    match &gathered(all)[..] {
        [] => format!("{names} have the same parameters"),
        [only] if texts.is_empty() => format!("{names} differ only in {}", valued(only)),
        [only] => format!("{names} differ in {}{texts}", valued(only)),
        rows => {
            // If some parameters can explain the difference, only they are named.
            let can: Vec<&Differing> = rows.iter().filter(|row| row.explains == Some(Explains::Can)).copied().collect();
            let told = if can.is_empty() { rows } else { &can };
            let mut words: Vec<String> = told.iter().take(MOST_NAMED).map(|row| valued(row)).collect();
            let rest = rows.len() - words.len();
            let last = if rest > 0 { format!("{rest} more") } else { words.pop().unwrap_or_default() };
            format!("{names} differ in {} and {last}{texts}", words.join(", "))
        }
    }
}

/// The names of the rows about corpus files whose content differs although their paths are the same: `the content of
/// corpus.text`.
fn other_texts(all: &CompareView) -> Option<String> {
    let texts: Vec<&str> =
        all.circumstances.iter().map(|row| &*row.name).filter(|name| name.starts_with(super::alike::TEXT)).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// The parameters that differ. If the kind of a table differs, the kind stands for the whole table.
fn gathered(all: &CompareView) -> Vec<&Differing> {
    let table = |name: &str| name.rsplit_once('.').map_or(String::new(), |(table, _)| format!("{table}.kind"));
    let told = |row: &&Differing| {
        let kind = table(&row.name);
        row.name == kind || all.parameters.iter().all(|other| other.name != kind)
    };
    all.parameters.iter().filter(told).collect()
}

/// The clause about where the losses first differ, and what explains that if it isn't the parameters.
fn parted(all: &CompareView, parting: &super::Parting) -> String {
    let Some(first) = &parting.first else {
        return match parting.common_steps {
            0 => "they have no steps in common".to_owned(),
            steps => format!("the losses of all {} common steps are bitwise identical", count(steps)),
        };
    };
    const MORE: &str = "by more than step-to-step noise";
    let noise = match &parting.beyond_noise {
        Some(beyond) if beyond.step == first.step => format!(", {MORE}"),
        Some(beyond) => format!(", but not {MORE} until step {}", count(beyond.step)),
        None => format!(", but never {MORE}"),
    };
    let rows = gathered(all);
    let can: Vec<&&Differing> = rows.iter().filter(|row| row.explains == Some(Explains::Can)).collect();
    let why = match (&can[..], rows.len(), &all.circumstances[..]) {
        ([], _, []) => "; nothing in the record explains this".to_owned(),
        ([], 0, others) => format!("; other differences: {}", named(others)),
        ([], _, others) => format!("; no parameter explains this; other differences: {}", named(others)),
        ([only], 2.., _) if other_texts(all).is_none() => format!("; of these, only {} can explain this", only.name),
        _ => String::new(),
    };
    format!("losses first differ at step {}{noise}{why}", count(first.step))
}

fn named(rows: &[Differing]) -> String {
    rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The sentence about runs with the same verdict. If `told`, it includes the sentence of the verdict.
fn sentence(runs: &[(&RunSummary, &Verdict)], told: bool) -> String {
    let verdict = runs[0].1;
    let (is, has, learns) = if runs.len() == 1 { ("is", "has", "learns") } else { ("are", "have", "learn") };
    let onset = |word: &str| match verdict.began() {
        // The step is not repeated if the verdict's sentence names it.
        Some(step) if told && !verdict.sentence.contains(&format!("step {}", count(step))) => {
            format!(" {word} step {}", count(step))
        }
        _ => String::new(),
    };
    let head = match (verdict.verdict, verdict.recovered) {
        (Kind::DataFault, _) => format!("{has} a data fault"),
        (Kind::Diverged, _) => format!("diverged{}", onset("at")),
        (Kind::Unstable, Some(true)) if told => format!("became unstable{} and recovered", onset("at")),
        (Kind::Unstable, _) => format!("{is} unstable{}", onset("from")),
        (Kind::TooLow, _) => format!("{learns} too slowly"),
        (Kind::Stable, _) => format!("{is} stable"),
        (Kind::Inconclusive, _) => "can't be judged".to_owned(),
    };
    let names = names(runs);
    if told {
        format!("{names} {head}: {}.", verdict.sentence.trim_end_matches('.'))
    } else {
        format!("{names} {head}.")
    }
}
