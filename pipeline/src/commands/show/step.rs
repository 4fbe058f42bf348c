//! `pipeline show --step`: the batch of one step as text.

use unicode_width::UnicodeWidthStr;

use super::tokens::{self, visible};
use crate::ui::format::{self, count};
use crate::ui::look::{Ink, Look};
use identity::StepRow;
use view::step::{BatchRow, StepView};

/// The most rows of a batch that a screen shows, without and with predictions (two and four lines per row). JSON has
/// all of them.
const MOST_ROWS: [usize; 2] = [8, 4];

/// The screen: some rows and the tokens with the highest loss, or every token of row `one`.
pub fn screen(batch: &StepView, one: Option<usize>, look: Look) -> String {
    let plan = &batch.plan;
    let whole = |n: u64| count(i64::try_from(n).unwrap_or(i64::MAX));
    let title = look.paint(Ink::Bold, &format!("{}, step {}", batch.run, whole(batch.step)));
    let mut text = format!("{title} (epoch {})\n", batch.epoch);
    for line in format::wrap(&numbers(&batch.measured), look.width - 2) {
        text.push_str(&format!("  {line}\n"));
    }
    let layout = serde_json::to_value(plan.layout).map_or(String::new(), |layout| format::value(&layout));
    let facts = format!(
        "{} rows of {} tokens, layout {layout}. {} of positions overlap with the previous step. Steps 0 to {} have \
         read {} of {} tokens ({}).",
        whole(plan.size * batch.windows),
        whole(plan.unroll),
        format::share(batch.overlap),
        whole(batch.step),
        whole(batch.covered),
        whole(plan.tokens),
        format::share(batch.covered as f64 / plan.tokens.max(1) as f64)
    );
    for line in format::wrap(&facts, look.width - 2) {
        text.push_str(&format!("  {line}\n"));
    }
    let tokens = batch.tokens.as_deref();
    let said = match (tokens, &batch.replay, &batch.why_no_tokens) {
        (Some(tokens), Some(replay), _) => {
            tokens::summary(replay, tokens, batch.step, &batch.measured, batch.types.len())
        }
        (_, _, Some(why)) => format!("Predictions not shown: {why}"),
        _ => String::new(),
    };
    for line in format::wrap(&said, look.width - 2) {
        text.push_str(&format!("  {line}\n"));
    }
    let most = MOST_ROWS[usize::from(tokens.is_some())];
    let threshold = tokens.map_or(f64::INFINITY, tokens::threshold);
    let (first, shown) = one.map_or((0, most), |row| (row, 1));
    for (number, row) in batch.rows.iter().enumerate().skip(first).take(shown) {
        let loss = tokens.map(|tokens| format!(", loss {}", tokens::row_loss(number, tokens))).unwrap_or_default();
        let title = format!("row {number}, corpus token {}{loss}", whole(row.offset));
        text.push_str(&format!("\n{}\n", look.paint(Ink::Dim, &title)));
        match (one, tokens) {
            (Some(_), Some(tokens)) => text.push_str(&tokens::row(number, tokens, look)),
            _ => text.push_str(&lines(row, tokens.map(|tokens| tokens::below(number, tokens, threshold)), look)),
        }
    }
    if one.is_none() && batch.rows.len() > most {
        let more = batch.rows.len() - most;
        let rows = if more == 1 { "row" } else { "rows" };
        let hint = match tokens.is_some() {
            true => "--row N shows a row token by token, --json shows all rows",
            false => "--json shows all rows",
        };
        text.push_str(&format!("\n… {more} more {rows} ({hint})\n"));
    }
    if let (None, Some(tokens)) = (one, tokens) {
        let costliest = tokens::costliest(tokens, &batch.rows, look);
        if !costliest.is_empty() {
            text.push_str(&format!("\n{costliest}"));
        }
    }
    text
}

/// The inputs of a row above its targets, with the lines of `below` under them, for as many tokens as fit.
fn lines(row: &BatchRow, below: Option<Vec<tokens::TokenLine>>, look: Look) -> String {
    let words = |words: &[String]| words.iter().map(|word| (visible(word), Ink::Plain)).collect();
    let line = |name, of: &[String]| tokens::TokenLine { name, cells: words(of) };
    let mut all = vec![line("inputs", &row.inputs), line("targets", &row.targets)];
    all.extend(below.into_iter().flatten());
    let mut lines: Vec<String> = all.iter().map(|line| format!("  {:7} ", line.name)).collect();
    let mut used = lines[0].width();
    for column in 0..row.inputs.len() {
        let cells = || all.iter().map(|line| &line.cells[column]);
        let width = cells().map(|(cell, _)| cell.width()).max().unwrap_or(0);
        let full = used + width + 2 > look.width;
        for (line, (cell, ink)) in lines.iter_mut().zip(cells()) {
            let gap = " ".repeat(width + 1 - cell.width());
            line.push_str(&if full { "…".to_owned() } else { format!("{}{gap}", look.paint(*ink, cell)) });
        }
        if full {
            break;
        }
        used += width + 1;
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn numbers(step: &StepRow) -> String {
    let measured = |name: &str, column: &str, value: Option<f64>| {
        value.map(format::float).or_else(|| step.odd(column).map(str::to_owned)).map(|value| format!("{name} {value}"))
    };
    let clipped = if step.clipped == Some(true) { ", clipped" } else { "" };
    let said = [
        Some(format!("loss {} nats per token", format::loss(step.loss, step.loss_kind))),
        step.learning_rate.map(|rate| format!("learning rate {}", format::value(&serde_json::Value::from(rate)))),
        measured("gradient norm", "grad_norm", step.grad_norm).map(|norm| format!("{norm}{clipped}")),
        measured("update ratio", "update_ratio", step.update_ratio),
        measured("overshoot ratio", "overshoot", step.overshoot),
        measured("largest logit", "logit_max", step.logit_max),
        measured("entropy", "entropy", step.entropy),
        measured("sharpness", "sharpness", step.sharpness),
        step.tokens.zip(step.seconds).map(|(n, taken)| format!("{} tokens in {}", count(n), format::seconds(taken))),
    ];
    said.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
