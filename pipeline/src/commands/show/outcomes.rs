//! A run's evaluations, baselines, samples and events.

use crate::ui::format::{self, count, indent};
use crate::ui::look::{Ink, Look};
use crate::ui::table::{Table, left, right};
use identity::{EvaluationRow, NgramLoss, SampleRow};
use insight::standing::Standing;
use record::read::EventRow;
use view::models::{best, short};
use view::sample::{decode, figures, written};
use view::standing;

/// The most evaluations and events that a screen shows; JSON and SQL have all of them.
const MOST_ROWS: usize = 16;

/// Evaluations by checkpoint, with the best of each split marked.
pub fn evaluations(evaluations: &[EvaluationRow], look: Look) -> String {
    if evaluations.is_empty() {
        return String::new();
    }
    let best: Vec<usize> = ["valid", "test"].iter().filter_map(|split| best(evaluations, split)).collect();
    let mut table =
        Table::new(vec![right("step"), left("split"), right("loss"), right("perplexity"), right("tokens"), left("")]);
    let shown = |at: usize| at < 3 || at + MOST_ROWS - 4 >= evaluations.len() || best.contains(&at);
    let mut hidden = 0;
    for (at, e) in evaluations.iter().enumerate() {
        if evaluations.len() > MOST_ROWS && !shown(at) {
            hidden += 1;
            continue;
        }
        let several = evaluations.iter().filter(|other| other.split == e.split).count() > 1;
        let mut remarks: Vec<&str> = Vec::new();
        if e.source == "train" {
            remarks.push("during training");
        }
        if several && best.contains(&at) {
            remarks.push("best");
        }
        let ink = if e.loss.is_none() { Ink::Bad } else { Ink::Plain };
        table.row(vec![
            (e.step.map_or(String::new(), count), Ink::Plain),
            (e.split.clone(), Ink::Plain),
            (format::loss(e.loss, Some(e.loss_kind)), ink),
            (format::perplexity_of(e.loss, e.loss_kind, e.perplexity), Ink::Plain),
            (e.tokens.map_or(format::NOTHING.to_owned(), count), Ink::Plain),
            (remarks.join(", "), Ink::Good),
        ]);
    }
    let (mut text, _) = table.render(look);
    if hidden > 0 {
        text.push_str(&format!("… {hidden} more (--json shows all)\n"));
    }
    format!("{}\n{}", look.heading("evaluations"), indent(&text))
}

/// N-gram baselines on the held-out splits, or on train if there are none; and how the last validation loss compares.
pub fn baselines(ngrams: &[NgramLoss], standing: Option<&Standing>, unit: &str, look: Look) -> String {
    let has = |split: &&str| ngrams.iter().any(|it| it.split == *split);
    let mut splits: Vec<&str> = ["valid", "test"].into_iter().filter(has).collect();
    if splits.is_empty() {
        splits.extend(["train"].into_iter().filter(has));
    }
    let Some(first) = splits.first() else { return String::new() };
    let mut heads = vec![left("model")];
    heads.extend(splits.iter().flat_map(|split| [right(split), right("perplexity")]));
    let mut table = Table::new(heads);
    for model in ngrams.iter().filter(|it| it.split == *first) {
        let mut row = vec![short(&model.model)];
        for split in &splits {
            let found = ngrams.iter().find(|it| it.split == *split && it.model == model.model);
            row.push(format::loss(found.map(|it| it.loss), None));
            row.push(format::perplexity(found.map(|it| it.perplexity), None));
        }
        table.plain(row);
    }
    let mut text = format!("{}\n{}", look.heading("baselines"), indent(&table.render(look).0));
    if let Some(standing) = standing {
        let said = format!("the last validation loss, {}", standing::words(standing, unit));
        text.extend(format::wrap(&said, look.width).iter().map(|line| format!("{line}\n")));
    }
    text
}

/// The samples from the last checkpoint that has any.
pub fn samples(samples: &[SampleRow], look: Look) -> String {
    let Some(last) = samples.last() else { return String::new() };
    let mut text = format!("{}\n", look.heading(&format!("samples from checkpoint {}", count(last.step.unwrap_or(0)))));
    for sample in samples.iter().filter(|sample| sample.step == last.step) {
        text.push_str(&format!("  {}\n", decode(&sample.decode)));
        for line in format::wrap(&figures(sample), look.width - 4) {
            text.push_str(&format!("    {}\n", look.paint(Ink::Dim, &line)));
        }
        for line in written(sample, look.width - 4) {
            text.push_str(format!("    {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

/// The run's events, by step.
pub fn events(events: &[EventRow], look: Look) -> String {
    if events.is_empty() {
        return String::new();
    }
    let mut table = Table::new(vec![right("step"), left("event"), left("")]);
    for event in events.iter().take(MOST_ROWS) {
        let step = event.step.map_or(String::new(), count);
        table.plain(vec![step, event.kind.clone(), format::line(&event.message)]);
    }
    let (mut text, _) = table.render(look);
    if events.len() > MOST_ROWS {
        text.push_str(&format!("… {} more (--json shows all)\n", events.len() - MOST_ROWS));
    }
    format!("{}\n{}", look.heading("events"), indent(&text))
}
