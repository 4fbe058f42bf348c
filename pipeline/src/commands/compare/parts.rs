//! The parts of a comparison's screen.

use unicode_width::UnicodeWidthStr as _;

use super::{Comparison, Parting};
use crate::commands::defaults::Defaults;
use crate::commands::reading::{baseline_words, lines_on};
use crate::commands::runs::status_ink;
use crate::commands::show::outcomes::{decode, figures, written};
use crate::commands::show::parts::indent;
use crate::commands::standing;
use crate::insight::comparison::{Differing, Scores, Texts};
use crate::record::read::{Difference, Sample, Summary};
use crate::ui::format::{self, count};
use crate::ui::look::{Ink, Look};
use crate::ui::overlay::{self, SEVERAL, mark};
use crate::ui::table::{Table, left, right};

/// The most runs whose scores and texts stand side by side.
const MOST_BESIDE: usize = 6;

/// The most runs whose curves are drawn: there are no more marks.
const MOST_CURVES: usize = 12;

/// The most differing parameters that stand as columns of the table of runs.
const MOST_COLUMNS: usize = 2;

/// Rows of scores that a screen shows; JSON has all.
const MOST_ROWS: usize = 12;

/// The whole screen.
pub fn screen(all: &Comparison, look: Look) -> String {
    let parts = [
        parameters(all, look),
        runs(all, look),
        curves(all, look),
        all.parting.as_ref().map_or(String::new(), |parting| part(&all.runs, parting, look)),
        scores(&all.runs, &all.evaluations, look),
        standings(all, look),
        samples(&all.runs, &all.samples, look),
        left_out(all, look),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// What a screen of many runs does not hold.
fn left_out(all: &Comparison, look: Look) -> String {
    if all.runs.len() <= MOST_BESIDE || all.evaluations.is_empty() && all.samples.is_empty() {
        return String::new();
    }
    let said = format!("evaluations and samples stand side by side for up to {MOST_BESIDE} runs; --json has all");
    format!("{}\n", look.paint(Ink::Dim, &said))
}

/// What differs, in a sentence, and as a table where it is more than the table of runs can hold.
fn parameters(all: &Comparison, look: Look) -> String {
    let names = |rows: &[Differing]| rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut text = match all.parameters.is_empty() {
        true => "the parameters are the same\n".to_owned(),
        false => {
            let said = format!("the runs differ in {}", names(&all.parameters));
            format::wrap(&said, look.width).iter().map(|line| format!("{line}\n")).collect()
        }
    };
    if let Some(words) = all.incomparable {
        let lines = format::wrap(words, look.width);
        text.extend(lines.iter().map(|line| format!("{}\n", look.paint(Ink::Bad, line))));
    }
    if all.parameters.len() > MOST_COLUMNS {
        text.push_str(&differences(&all.runs, &all.parameters, look));
    }
    if !all.circumstances.is_empty() {
        let said = format!("not parameters, yet not the same: {}", names(&all.circumstances));
        text.extend(format::wrap(&said, look.width).iter().map(|line| format!("{line}\n")));
        text.push_str(&differences(&all.runs, &all.circumstances, look));
    }
    text
}

/// A differing value, short enough for a column.
fn shown(row: &Differing, place: usize, defaults: &Defaults) -> String {
    match &row.values[place] {
        Some(cell) => format::cut(&defaults.shown(&row.name, cell), 40),
        None => format::NOTHING.to_owned(),
    }
}

/// Names down and runs across while there are few runs, else the other way round.
fn differences(runs: &[Summary], rows: &[Differing], look: Look) -> String {
    let defaults = Defaults::of(0);
    let mut table;
    if runs.len() <= 4 {
        table = Table::new(std::iter::once(left("")).chain(runs.iter().map(|run| left(&run.name()))).collect());
        for row in rows {
            table.plain(
                std::iter::once(row.name.clone())
                    .chain((0..runs.len()).map(|place| shown(row, place, &defaults)))
                    .collect(),
            );
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

/// The table of runs; its marks are the legend of the curves.
fn runs(all: &Comparison, look: Look) -> String {
    let columns: &[Differing] = if all.parameters.len() <= MOST_COLUMNS { &all.parameters } else { &[] };
    let mut heads = vec![left(""), left("run")];
    let defaults = Defaults::of(0);
    let short = format::short_names(&columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>());
    heads.extend(short.iter().map(|name| right(name)));
    heads.extend([left("status").spare(2), right("steps").spare(3), right("last loss"), right("best").spare(1)]);
    heads.extend([right("valid ppl"), right("test ppl").spare(4)]);
    if all.runs.iter().any(|run| run.nonfinite_steps > 0) {
        heads.extend([right("non-finite"), right("first at")]);
    }
    let n_heads = heads.len();
    let mut table = Table::new(heads);
    for (place, run) in all.runs.iter().enumerate() {
        let plain = |text: String| (text, Ink::Plain);
        let mark = if place < MOST_CURVES { mark(place).to_string() } else { String::new() };
        let mut row = vec![(mark, Ink::Series(place)), (run.name(), Ink::Bold)];
        row.extend(columns.iter().map(|column| plain(shown(column, place, &defaults))));
        let odd =
            if run.last_loss_kind.as_deref().is_some_and(|kind| kind != "finite") { Ink::Bad } else { Ink::Plain };
        row.extend([
            (run.status.clone(), status_ink(&run.status)),
            plain(count(run.steps)),
            (format::loss(run.last_loss, run.last_loss_kind.as_deref()), odd),
            plain(format::loss(run.best_loss, None)),
            plain(format::perplexity(run.valid_perplexity, run.valid_loss_kind.as_deref())),
            plain(format::perplexity(run.test_perplexity, run.test_loss_kind.as_deref())),
            (count(run.nonfinite_steps), if run.nonfinite_steps > 0 { Ink::Bad } else { Ink::Plain }),
            plain(run.first_nonfinite_step.map_or(String::new(), count)),
        ]);
        row.truncate(n_heads);
        table.row(row);
    }
    table.render(look).0
}

fn curves(all: &Comparison, look: Look) -> String {
    let steps = all.runs.iter().take(MOST_CURVES).map(|run| run.steps).max().unwrap_or(0);
    let drawn = &all.curves[..all.curves.len().min(MOST_CURVES)];
    let (mut text, met) = overlay::overlay(look, steps, drawn, &all.baselines);
    if text.is_empty() {
        return text;
    }
    let mut said = vec!["a mark is the mean of its steps, │ reaches to a lone high or low".to_owned()];
    said.extend(baseline_words(&all.baselines, all.ngrams.iter().filter_map(|ngrams| lines_on(ngrams))));
    if met {
        said.push(format!("{SEVERAL} several runs"));
    }
    if all.runs.iter().any(|run| run.nonfinite_steps > 0) {
        said.push("✗ a loss is not finite".to_owned());
    }
    if all.curves.len() > MOST_CURVES {
        said.push(format!("only the first {MOST_CURVES} runs are drawn"));
    }
    for line in format::wrap(&said.join("; "), look.width) {
        text.push_str(&format!("{}\n", look.paint(Ink::Dim, &line)));
    }
    text
}

/// Where the losses of two runs part.
fn part(runs: &[Summary], parting: &Parting, look: Look) -> String {
    let said = match &parting.first {
        _ if parting.common_steps == 0 => "the runs have no steps in common".to_owned(),
        None => format!("the losses are identical to the bit for all {} common steps", count(parting.common_steps)),
        Some(first) => {
            let before = match first.step {
                0 => "the losses differ from the first step on:".to_owned(),
                step => format!("the losses are identical to the bit up to step {};", count(step - 1)),
            };
            let (a, b) = apart(first);
            let names = if runs.len() == 2 { [runs[0].name(), runs[1].name()] } else { Default::default() };
            format!("{before} at step {} one is {a} ({}), the other {b} ({})", count(first.step), names[0], names[1])
        }
    };
    format::wrap(&said, look.width).iter().map(|line| format!("{line}\n")).collect()
}

/// Two losses, in as many digits as it takes to tell them apart.
fn apart(first: &Difference) -> (String, String) {
    let short = (format::loss(first.loss_a, Some(&first.kind_a)), format::loss(first.loss_b, Some(&first.kind_b)));
    match (first.loss_a, first.loss_b) {
        (Some(a), Some(b)) if short.0 == short.1 => (format!("{a:?}"), format!("{b:?}")),
        _ => short,
    }
}

fn scores(runs: &[Summary], scores: &[Scores], look: Look) -> String {
    if scores.is_empty() || runs.len() > MOST_BESIDE {
        return String::new();
    }
    // Losses stand beside perplexities while there is room for both.
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
                Some(e) if e.loss.is_none() => (e.loss_kind.clone(), Ink::Bad),
                Some(e) => (format::loss(e.loss, None), Ink::Plain),
                None => nothing(),
            }));
        }
        cells.extend(row.runs.iter().map(|e| match e {
            Some(e) => {
                let ink = if e.perplexity.is_none() { Ink::Bad } else { Ink::Plain };
                (format::perplexity(e.perplexity, Some(&e.loss_kind)), ink)
            }
            None => nothing(),
        }));
        table.row(cells);
    }
    let (mut text, _) = table.render(Look { width: look.width - 2, ..look });
    if hidden > 0 {
        text.push_str(&format!("… {hidden} more between (--json has all)\n"));
    }
    format!("{}\n{}", look.heading("evaluations"), indent(&text))
}

/// Texts of the last checkpoint that the runs share, and of each run's own last where those differ: two beside each
/// other, more below each other.
/// Where the last valid losses stand among the baselines.
fn standings(all: &Comparison, look: Look) -> String {
    let mut text = String::new();
    for ((run, found), unit) in all.runs.iter().zip(&all.standings).zip(&all.units).take(MOST_BESIDE) {
        let Some(found) = found else { continue };
        let said = format!("the last valid loss of {}, {}", run.name(), standing::words(found, unit));
        text.extend(format::wrap(&said, look.width).iter().map(|line| format!("{line}\n")));
    }
    text
}

fn samples(runs: &[Summary], texts: &[Texts], look: Look) -> String {
    if runs.len() > MOST_BESIDE {
        return String::new();
    }
    let shared = texts.iter().rev().find_map(|texts| texts.step);
    let apart: Vec<&Texts> = texts.iter().filter(|texts| texts.step.is_none()).collect();
    let mut parts = Vec::new();
    // An untouched model's words tell nothing where each run has others.
    let all_apart = apart.first().is_some_and(|texts| texts.runs.iter().all(Option::is_some));
    if let Some(step) = shared.filter(|step| !all_apart || *step > 0) {
        let title = format!("samples of checkpoint {}", count(step));
        parts.push(samples_of(runs, texts.iter().filter(|texts| texts.step == Some(step)), &title, look));
    }
    if let Some(first) = apart.first() {
        let of: Vec<String> =
            runs.iter().zip(&first.runs).filter_map(|(run, sample)| Some((run, sample.as_ref()?).0.name())).collect();
        let whose = if all_apart { "each run".to_owned() } else { of.join(" and ") };
        parts.push(samples_of(runs, apart.into_iter(), &format!("samples of the last checkpoint of {whose}"), look));
    }
    parts.join("\n")
}

fn samples_of<'a>(runs: &[Summary], rows: impl Iterator<Item = &'a Texts>, title: &str, look: Look) -> String {
    let mut text = format!("{}\n", look.heading(title));
    for row in rows {
        text.push_str(&format!("  {}\n", decode(&row.decode)));
        let name = |run: &Summary, sample: &Sample| match (row.step, sample.step) {
            (None, Some(step)) => format!("{} at {}", run.name(), count(step)),
            _ => run.name(),
        };
        match &row.runs[..] {
            [Some(a), Some(b)] if look.width >= 80 => {
                text.push_str(&beside(look, (&name(&runs[0], a), a), (&name(&runs[1], b), b)));
            }
            _ => {
                for (run, sample) in runs.iter().zip(&row.runs) {
                    let Some(sample) = sample else { continue };
                    let said = format!("{} {}", name(run, sample), figures(sample));
                    for (i, line) in format::wrap(said.trim_end(), look.width - 6).iter().enumerate() {
                        text.push_str(&format!(
                            "    {}{}\n",
                            if i > 0 { "  " } else { "" },
                            look.paint(Ink::Dim, line)
                        ));
                    }
                    for line in written(sample, look.width - 6) {
                        text.push_str(format!("      {line}").trim_end());
                        text.push('\n');
                    }
                }
            }
        }
    }
    text
}

fn beside(look: Look, a: (&str, &Sample), b: (&str, &Sample)) -> String {
    let width = (look.width - 7) / 2;
    let column = |(name, sample): (&str, &Sample)| {
        let mut lines = vec![(name.to_owned(), Ink::Bold)];
        lines.extend(format::wrap(&figures(sample), width).into_iter().map(|line| (line, Ink::Dim)));
        let facts = lines.len();
        lines.extend(written(sample, width).into_iter().map(|line| (line, Ink::Plain)));
        (lines, facts)
    };
    let ((mut left, left_facts), (mut right, right_facts)) = (column(a), column(b));
    // The texts begin in the same line.
    for (lines, facts) in [(&mut left, left_facts), (&mut right, right_facts)] {
        for _ in facts..left_facts.max(right_facts) {
            lines.insert(facts, (String::new(), Ink::Plain));
        }
    }
    let mut text = String::new();
    for row in 0..left.len().max(right.len()) {
        let empty = (String::new(), Ink::Plain);
        let (l, r) = (left.get(row).unwrap_or(&empty), right.get(row).unwrap_or(&empty));
        let pad = " ".repeat(width - l.0.width().min(width));
        let line =
            format!("    {}{pad} {} {}", look.paint(l.1, &l.0), look.paint(Ink::Dim, "│"), look.paint(r.1, &r.0));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
