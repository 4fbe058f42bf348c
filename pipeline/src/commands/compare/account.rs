//! What happened between two runs, in two or three sentences: from what their data and losses show to what can explain it.

use super::Comparison;
use crate::commands::defaults::Defaults;
use crate::insight::comparison::Differing;
use crate::insight::explanation::{Explains, Why};
use crate::record::read::Summary;
use crate::record::verdicts::{Kind, Verdict};
use crate::ui::format::{self, count};
use crate::ui::look::Ink;

/// The most parameters that a sentence names.
const MOST_NAMED: usize = 4;

/// The account of two runs, a line each; nothing of more.
pub fn account(all: &Comparison) -> Vec<String> {
    let ([a, b], [of_a, of_b], Some(parting)) = (&all.runs[..], &all.verdicts[..], &all.parting) else {
        return Vec::new();
    };
    let both = [(a, of_a), (b, of_b)];
    let faults: Vec<_> = both.iter().filter(|(_, verdict)| verdict.verdict == Kind::DataFault).collect();
    let mut said: Vec<String> = faults.iter().map(|(run, verdict)| judged(run, verdict)).collect();
    said.push(format!("{}; {}.", differences(all), parted(all, parting)));
    let others = both.iter().filter(|(_, verdict)| verdict.verdict != Kind::DataFault);
    said.extend(others.map(|(run, verdict)| judged(run, verdict)));
    if !faults.is_empty() {
        let whose = if faults.len() == 2 { "both".to_owned() } else { faults[0].0.name() };
        said.push(format!(
            "The data come first: while what {whose} read{} is wrong, its loss can't tell whether the rate is right.",
            if faults.len() == 2 { "" } else { "s" }
        ));
    }
    said
}

/// What differs, with its values where these are few.
fn differences(all: &Comparison) -> String {
    let names = format!("{} and {}", all.runs[0].name(), all.runs[1].name());
    let defaults = Defaults::of(0);
    let valued = |row: &Differing| {
        let value = |place: usize| match &row.values[place] {
            Some(cell) => format::cut(&defaults.shown(&row.name, cell), 24),
            None => format::NOTHING.to_owned(),
        };
        format!("{} ({}, {})", row.name, value(0), value(1))
    };
    match &gathered(all)[..] {
        [] => format!("{names} have the same parameters"),
        [only] => format!("{names} differ in {} alone", valued(only)),
        rows => {
            // What can explain it is named first, and alone where the rest can't.
            let can: Vec<&Differing> = rows.iter().filter(|row| row.explains == Some(Explains::Can)).copied().collect();
            let told = if can.is_empty() { rows } else { &can };
            let mut words: Vec<String> = told.iter().take(MOST_NAMED).map(|row| valued(row)).collect();
            let rest = rows.len() - words.len();
            let last = if rest > 0 { format!("{rest} more") } else { words.pop().unwrap_or_default() };
            format!("{names} differ in {} and {last}", words.join(", "))
        }
    }
}

/// The parameters that differ; of a table whose kind does, the kind alone, since the rest comes with it.
fn gathered(all: &Comparison) -> Vec<&Differing> {
    let table = |name: &str| name.rsplit_once('.').map_or(String::new(), |(table, _)| format!("{table}.kind"));
    let told = |row: &&Differing| {
        let kind = table(&row.name);
        row.name == kind || all.parameters.iter().all(|other| other.name != kind)
    };
    all.parameters.iter().filter(told).collect()
}

/// Where they part, and what can't be the reason.
fn parted(all: &Comparison, parting: &super::Parting) -> String {
    let Some(first) = &parting.first else {
        return match parting.common_steps {
            0 => "they have no steps in common".to_owned(),
            steps => format!("all {} losses that both have are the same to the bit", count(steps)),
        };
    };
    let noise = match &parting.beyond_noise {
        Some(beyond) if beyond.step == first.step => {
            ", at once by more than steps differ from their neighbours".to_owned()
        }
        Some(beyond) => {
            format!(", and from step {} on by more than steps differ from their neighbours", count(beyond.step))
        }
        None => ", and never by more than steps differ from their neighbours".to_owned(),
    };
    let rows = gathered(all);
    let can: Vec<&&Differing> = rows.iter().filter(|row| row.explains == Some(Explains::Can)).collect();
    let why = match (&can[..], rows.len(), &all.circumstances[..]) {
        ([], _, []) => "; nothing that is recorded explains it".to_owned(),
        ([], 0, others) => format!("; what else differs: {}", named(others)),
        ([], _, others) => format!("; no parameter explains it; what else differs: {}", named(others)),
        ([only], 2.., _) => format!("; of these {} alone can explain it", only.name),
        _ => String::new(),
    };
    format!("their losses part at step {}{noise}{why}", count(first.step))
}

fn named(rows: &[Differing]) -> String {
    rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A run and its verdict, as a sentence.
fn judged(run: &Summary, verdict: &Verdict) -> String {
    let name = run.name();
    let onset = verdict.onset.map_or(String::new(), |step| format!(" from step {} on", count(step)));
    let head = match (verdict.verdict, verdict.recovered) {
        (Kind::DataFault, _) => format!("{name} has a data fault"),
        (Kind::Diverged, _) => format!("{name} diverged{onset}"),
        (Kind::Unstable, Some(true)) => format!("{name} became unstable{onset} and recovered"),
        (Kind::Unstable, _) => format!("{name} is unstable{onset}"),
        (Kind::TooLow, _) => format!("{name} learns too slowly"),
        (Kind::Stable, _) => format!("{name} is stable"),
        (Kind::Inconclusive, _) => format!("{name} can't be judged"),
    };
    format!("{head}: {}.", verdict.sentence.trim_end_matches('.'))
}

/// A verdict in a column.
pub fn word(verdict: &Verdict) -> (String, Ink) {
    let at = verdict.onset.map_or(String::new(), |step| format!(" at {}", count(step)));
    match verdict.verdict {
        Kind::DataFault => ("data fault".to_owned(), Ink::Bad),
        Kind::Diverged => (format!("diverged{at}"), Ink::Bad),
        Kind::Unstable => (format!("unstable{at}"), Ink::Warn),
        Kind::TooLow => ("too low".to_owned(), Ink::Warn),
        Kind::Stable => ("stable".to_owned(), Ink::Good),
        Kind::Inconclusive => ("inconclusive".to_owned(), Ink::Dim),
    }
}

/// Whether a parameter explains the parting, in a column.
pub fn mark(explains: Explains) -> (String, Ink) {
    match explains {
        Explains::Can => ("can explain it".to_owned(), Ink::Bold),
        Explains::NotBefore { step } => (format!("not before step {}", count(step)), Ink::Dim),
        Explains::No { why } => {
            let why = match why {
                Why::NotRead => "not read by train",
                Why::NoNumber => "changes no step",
                Why::SameData => "same data",
                Why::SameRates => "same rates",
                Why::NothingClipped => "nothing clipped before",
                Why::NothingDrawn => "nothing drawn",
            };
            (format!("no: {why}"), Ink::Dim)
        }
    }
}
