//! The parts of a comparison's screen.

use super::texts::{self, MOST_BESIDE};
use super::{around, study};
use crate::ui::curve::ONSET;
use crate::ui::format::{self, count, indent};
use crate::ui::look::{Ink, Look, status_ink};
use crate::ui::multiples::ABOVE;
use crate::ui::overlay::{self, SEVERAL, mark};
use crate::ui::table::{Table, left, right};
use crate::ui::verdict;
use identity::LossKind;
use insight::comparison::{Differing, Scores};
use insight::explanation::{Explains, Why};
use insight::noise::{Beyond, TIMES};
use record::read::{LossDifference, RunSummary};
use view::compare::{CompareView, Parting};
use view::defaults::Defaults;
use view::models::{baseline_words, lines_on};
use view::standing;

/// The most differing parameters that the table of runs shows as columns.
const MOST_COLUMNS: usize = 2;

/// The most evaluations that a screen shows; JSON has all of them.
const MOST_ROWS: usize = 12;

/// The whole screen.
pub fn screen(all: &CompareView, look: Look) -> String {
    let parts = [
        told(all, look),
        parameters(all, look),
        runs(all, look),
        study::standing(all, look),
        curves(all, look),
        all.parting.as_ref().map_or(String::new(), |parting| part(&all.runs, parting, look)),
        all.around.as_ref().map_or(String::new(), |found| around::table(found, &all.runs, look)),
        scores(&all.runs, &all.evaluations, look),
        standings(all, look),
        texts::samples(&all.runs, &all.samples, look),
        left_out(all, look),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A text, wrapped to the width of the screen and coloured.
fn lines(text: &str, ink: Ink, look: Look) -> String {
    format::wrap(text, look.width).iter().map(|line| format!("{}\n", look.paint(ink, line))).collect()
}

/// The account of how the runs differ.
fn told(all: &CompareView, look: Look) -> String {
    all.account.iter().map(|said| lines(said, Ink::Plain, look)).collect()
}

/// What a screen of many runs leaves out.
fn left_out(all: &CompareView, look: Look) -> String {
    if all.runs.len() <= MOST_BESIDE || all.evaluations.is_empty() && all.samples.is_empty() {
        return String::new();
    }
    let said = format!("evaluations and samples are shown for up to {MOST_BESIDE} runs; --json shows all");
    format!("{}\n", look.paint(Ink::Dim, &said))
}

/// The parameters that differ, in a sentence. A table follows if the table of runs has no room for them, or to say of
/// each whether it can explain the first difference.
fn parameters(all: &CompareView, look: Look) -> String {
    let names = |rows: &[Differing]| rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut text = match all.parameters.is_empty() {
        true => "the parameters are the same\n".to_owned(),
        false => lines(&format!("the runs differ in {}", names(&all.parameters)), Ink::Plain, look),
    };
    if let Some(words) = all.incomparable {
        text.push_str(&lines(words, Ink::Bad, look));
    }
    if !all.parameters.is_empty() && columns(all).is_empty() {
        text.push_str(&differences(&all.runs, &all.parameters, look));
    }
    if !all.circumstances.is_empty() {
        text.push_str(&lines(
            &format!("differences other than parameters: {}", names(&all.circumstances)),
            Ink::Plain,
            look,
        ));
        text.push_str(&differences(&all.runs, &all.circumstances, look));
    }
    text
}

/// The differing parameters that are columns of the table of runs.
fn columns(all: &CompareView) -> &[Differing] {
    let explained = all.parameters.iter().any(|row| row.explains.is_some());
    if explained || all.parameters.len() > MOST_COLUMNS { &[] } else { &all.parameters }
}

/// A differing value, short enough for a column.
fn shown(row: &Differing, place: usize, defaults: &Defaults) -> String {
    match &row.values[place] {
        Some(cell) => format::cut(&defaults.shown(&row.name, cell), 40),
        None => format::NOTHING.to_owned(),
    }
}

/// A table with one row per name and one column per run or, for many runs, with one row per run.
fn differences(runs: &[RunSummary], rows: &[Differing], look: Look) -> String {
    let defaults = Defaults::of(0);
    let plain = |text: String| (text, Ink::Plain);
    let mut table;
    if runs.len() <= 4 {
        let explained = rows.iter().any(|row| row.explains.is_some());
        let heads = std::iter::once(left("")).chain(runs.iter().map(|run| left(&run.name())));
        table = Table::new(heads.chain(explained.then(|| left("first difference"))).collect());
        for row in rows {
            let values = (0..runs.len()).map(|place| plain(shown(row, place, &defaults)));
            let mark = explained.then(|| row.explains.map(of_parting).unwrap_or_default());
            table.row(std::iter::once(plain(row.name.clone())).chain(values).chain(mark).collect());
        }
    } else {
        table = Table::new(std::iter::once(left("run")).chain(rows.iter().map(|row| left(&row.name))).collect());
        for (place, run) in runs.iter().enumerate() {
            table.plain(
                std::iter::once(run.name()).chain(rows.iter().map(|row| shown(row, place, &defaults))).collect(),
            );
        }
    }
    indent(&table.render(Look { width: look.width - 2, ..look }).0)
}

/// The table of runs. Its marks serve as the legend of the curves.
fn runs(all: &CompareView, look: Look) -> String {
    let columns = columns(all);
    let marked = all.runs.len() == 2;
    let mut heads = if marked { vec![left("")] } else { Vec::new() };
    heads.push(left("run"));
    let defaults = Defaults::of(0);
    let short = format::short_names(&columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>());
    heads.extend(short.iter().map(|name| right(name)));
    heads.extend([left("verdict"), left("status").spare(3), right("steps").spare(4)]);
    heads.extend([right("last loss"), right("best").spare(1)]);
    heads.extend([right("valid ppl"), right("test ppl").spare(5)]);
    if all.runs.iter().any(|run| run.nonfinite_steps > 0) {
        heads.extend([right("non-finite"), right("first at").spare(2)]);
    }
    let n_heads = heads.len();
    let mut table = Table::new(heads);
    for (place, (run, verdict)) in all.runs.iter().zip(&all.verdicts).enumerate() {
        let plain = |text: String| (text, Ink::Plain);
        let mut row = if marked { vec![(mark(place).to_string(), Ink::Series(place))] } else { Vec::new() };
        row.push((run.name(), Ink::Bold));
        row.extend(columns.iter().map(|column| plain(shown(column, place, &defaults))));
        let odd = if run.last_loss_kind.is_some_and(|kind| kind != LossKind::Finite) { Ink::Bad } else { Ink::Plain };
        row.extend([
            verdict::word(verdict),
            (run.standing(), status_ink(run.status)),
            plain(count(run.steps)),
            (format::loss(run.last_loss, run.last_loss_kind), odd),
            plain(format::loss(run.best_loss, None)),
            plain(format::perplexity(run.valid_perplexity, run.valid_loss_kind)),
            plain(format::perplexity(run.test_perplexity, run.test_loss_kind)),
            (count(run.nonfinite_steps), if run.nonfinite_steps > 0 { Ink::Bad } else { Ink::Plain }),
            plain(run.first_nonfinite_step.map_or(String::new(), count)),
        ]);
        row.truncate(n_heads);
        table.row(row);
    }
    table.render(look).0
}

fn curves(all: &CompareView, look: Look) -> String {
    let mut said = Vec::new();
    let onsets: Vec<Option<i64>> = all.verdicts.iter().map(|verdict| verdict.began()).collect();
    let several = all.runs.len() > 2;
    let mut text = if several {
        let (text, above) = study::curves(all, look);
        if above {
            said.push(format!("{ABOVE} a loss is above the axis"));
        }
        text
    } else {
        let steps = all.runs.iter().map(|run| run.steps).max().unwrap_or(0);
        let (text, met) = overlay::overlay(look, steps, &all.curves, &onsets, &all.baselines);
        said.push("each mark is the mean of its steps, │ extends to an isolated high or low".to_owned());
        if met {
            said.push(format!("{SEVERAL} several runs"));
        }
        text
    };
    if text.is_empty() {
        return text;
    }
    said.extend(baseline_words(&all.baselines, all.ngrams.iter().filter_map(|ngrams| lines_on(ngrams))));
    if onsets.iter().any(Option::is_some) {
        said.push(if several {
            format!("{ONSET} an onset")
        } else {
            "a run's mark on the axis is its onset".to_owned()
        });
    }
    if all.runs.iter().any(|run| run.nonfinite_steps > 0) {
        said.push("✗ a non-finite loss".to_owned());
    }
    text.push_str(&lines(&said.join("; "), Ink::Dim, look));
    text
}

/// The first difference between the losses of two runs.
fn part(runs: &[RunSummary], parting: &Parting, look: Look) -> String {
    let said = match &parting.first {
        _ if parting.common_steps == 0 => "the runs have no steps in common".to_owned(),
        None => format!("the losses are bitwise identical for all {} common steps", count(parting.common_steps)),
        Some(first) => {
            let before = match first.step {
                0 => "the losses differ from the first step:".to_owned(),
                step => format!("the losses are bitwise identical up to step {};", count(step - 1)),
            };
            let (a, b) = apart(first);
            let names = if runs.len() == 2 { [runs[0].name(), runs[1].name()] } else { Default::default() };
            let noise = apart_by(first, parting.beyond_noise.as_ref());
            format!("{before} at step {} they are {a} ({}) and {b} ({}){noise}", count(first.step), names[0], names[1])
        }
    };
    lines(&said, Ink::Plain, look)
}

/// Where the losses first differ by more than noise, and by how much.
fn apart_by(first: &LossDifference, beyond: Option<&Beyond>) -> String {
    let Some(beyond) = beyond else {
        return "; they never differ by more than step-to-step noise".to_owned();
    };
    let at = match beyond.step == first.step {
        true => ",".to_owned(),
        false => format!("; at step {} they are", count(beyond.step)),
    };
    let whose = if beyond.calmer { ", in the calmer run" } else { "" };
    match beyond.apart {
        Some(apart) => format!(
            "{at} {} apart, more than {TIMES} times the step-to-step change of the loss ({}{whose})",
            format::float(apart),
            format::float(beyond.noise),
        ),
        None if beyond.step == first.step => String::new(),
        None => format!("; at step {} one is not finite", count(beyond.step)),
    }
}

/// Two losses with enough digits to tell them apart.
fn apart(first: &LossDifference) -> (String, String) {
    let short = (format::loss(first.loss_a, Some(first.kind_a)), format::loss(first.loss_b, Some(first.kind_b)));
    match (first.loss_a, first.loss_b) {
        (Some(a), Some(b)) if short.0 == short.1 => (format!("{a:?}"), format!("{b:?}")),
        _ => short,
    }
}

fn scores(runs: &[RunSummary], scores: &[Scores], look: Look) -> String {
    if scores.is_empty() || runs.len() > MOST_BESIDE {
        return String::new();
    }
    // Two runs leave room for losses beside perplexities.
    let with_loss = runs.len() == 2;
    let mut heads = vec![right("step"), left("split")];
    for what in if with_loss { &["loss", "ppl"][..] } else { &["ppl"][..] } {
        heads.extend(runs.iter().map(|run| right(&format!("{} {what}", run.name()))));
    }
    let mut table = Table::new(heads);
    let hidden = scores.len().saturating_sub(MOST_ROWS);
    let shown = |at: usize| hidden == 0 || at < 2 || at >= hidden + 2;
    for (_, row) in scores.iter().enumerate().filter(|(at, _)| shown(*at)) {
        let mut cells = vec![(count(row.step), Ink::Plain), (row.split.clone(), Ink::Plain)];
        let nothing = || (format::NOTHING.to_owned(), Ink::Dim);
        if with_loss {
            cells.extend(row.runs.iter().map(|e| match e {
                Some(e) if e.loss.is_none() => (e.loss_kind.to_string(), Ink::Bad),
                Some(e) => (format::loss(e.loss, None), Ink::Plain),
                None => nothing(),
            }));
        }
        cells.extend(row.runs.iter().map(|e| match e {
            Some(e) => {
                let ink = if e.perplexity.is_none() { Ink::Bad } else { Ink::Plain };
                (format::perplexity_of(e.loss, e.loss_kind, e.perplexity), ink)
            }
            None => nothing(),
        }));
        table.row(cells);
    }
    let (mut text, _) = table.render(Look { width: look.width - 2, ..look });
    if hidden > 0 {
        text.push_str(&format!("… {hidden} more rows in between (--json shows all)\n"));
    }
    format!("{}\n{}", look.heading("evaluations"), indent(&text))
}

/// How the last validation losses compare with the baselines.
fn standings(all: &CompareView, look: Look) -> String {
    let mut text = String::new();
    for (((run, found), unit), ngrams) in
        all.runs.iter().zip(&all.standings).zip(&all.units).zip(&all.ngrams).take(MOST_BESIDE)
    {
        let said = match (found, run.valid_loss_kind) {
            (Some(found), _) => standing::words(found, unit),
            (None, Some(kind)) if kind != LossKind::Finite && ngrams.iter().any(|it| it.split == "valid") => {
                format!("{kind}, is not finite and so worse than every n-gram model")
            }
            _ => continue,
        };
        text.push_str(&lines(&format!("the last validation loss of {}, {said}", run.name()), Ink::Plain, look));
    }
    text
}

/// The table cell that says whether a parameter can explain the first difference.
fn of_parting(explains: Explains) -> (String, Ink) {
    match explains {
        Explains::Can => ("can explain it".to_owned(), Ink::Bold),
        Explains::NotBefore { step } => (format!("not before step {}", count(step)), Ink::Dim),
        Explains::No { why } => {
            let why = match why {
                Why::NotRead => "not read by train",
                Why::NoNumber => "affects no step",
                Why::SameData => "same data",
                Why::SameRates => "same rates",
                Why::NothingClipped => "nothing clipped before it",
                Why::NothingDrawn => "no random draws",
            };
            (format!("no: {why}"), Ink::Dim)
        }
    }
}
