//! The parts of a run's screen.

use identity::{Cell, How, NgramLoss, Param, RunId, Status};
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use crate::ui::format::{self, count, indent, redacted};
use crate::ui::look::{Ink, Look, status_ink};
use crate::ui::table::{Table, left, right};
use chart::axis::Baseline;
use record::read::{Detail, Forked, RunSummary, StageRow};
use session::plan;
use view::compare::origin;
use view::defaults::Defaults;
use view::models::{baseline_words, lines_on};
use view::run::again;

/// The run, its status, its length, and when, where and by what command it ran.
pub fn header(run: &RunSummary, detail: &Detail, forks: &[Forked], look: Look) -> String {
    let mut first = vec![look.paint(Ink::Bold, &run.name()), run.origin().unwrap_or(format::NOTHING).to_owned()];
    let point = format::point(&run.swept());
    if !point.is_empty() {
        first.push(point);
    }
    first.push(look.paint(status_ink(run.status), &run.standing()));
    let length = match detail.length {
        Some(length) if length != run.steps => format!("{} of {} steps", count(run.steps), count(length)),
        _ => format!("{} steps", count(run.steps)),
    };
    let seed = run.seed.map_or(String::new(), |seed| format!(", seed {seed}"));
    let commit = match &detail.git_commit {
        None => "no git commit".to_owned(),
        Some(commit) => {
            let dirty = if detail.git_dirty == Some(true) { ", with uncommitted changes" } else { "" };
            format!("git {}{dirty}", commit.get(..12).unwrap_or(commit))
        }
    };
    let mut lines = vec![
        first.join("  "),
        format!("{length} in {}{seed}", format::seconds(run.seconds)),
        format!("started {} UTC on {}", format::time(&run.created_at), redacted("host", detail.host.clone())),
        format!(
            "pipeline {}, {}, uid {}",
            redacted("version", detail.program_version.clone()),
            redacted("commit", commit),
            redacted("uid", detail.uid.clone())
        ),
    ];
    let again = again(detail);
    lines.extend(again.clone());
    lines.extend(lineage(forks));
    if let Some(finished) = &detail.finished_at {
        lines[2].push_str(&format!(", finished {} UTC", format::time(finished)));
    }
    if let Some(error) = &run.error {
        lines.push(look.paint(Ink::Bad, &format!("error: {}", format::line(error))));
    }
    let name = run.name();
    match (run.status, again) {
        (Status::Interrupted, Some(again)) => lines.push(format!("to resume: {again}")),
        (Status::Failed, Some(again)) => {
            lines.push(format!("to see the worker's output: pipeline show {name} --log; to retry: {again}"))
        }
        _ => {}
    }
    lines.join("\n  ") + "\n"
}

/// The chain of runs that a run was forked from.
fn lineage(forks: &[Forked]) -> Option<String> {
    let said: Vec<String> = forks.iter().map(|fork| format!("forked from {}", origin(fork))).collect();
    (!said.is_empty()).then(|| said.join(", which was "))
}

/// Parameters: those that differ from their defaults in two columns, the rest in a few dim lines.
pub fn params(params: &[Param], run: &RunSummary, look: Look) -> String {
    if params.is_empty() {
        return String::new();
    }
    let defaults = Defaults::of(run.seed.unwrap_or(0));
    let (unchanged, set): (Vec<&Param>, Vec<&Param>) = params.iter().partition(|param| defaults.hold(param));
    let mut text = format!("{}\n", look.heading("parameters"));
    text.push_str(&two_columns(&set, &defaults, look));
    for line in scales(params).iter().flat_map(|said| format::wrap(said, look.width - 2)) {
        text.push_str(&format!("  {line}\n"));
    }
    if !unchanged.is_empty() {
        let said: Vec<String> = unchanged
            .iter()
            .map(|param| format!("{}={}", param.name, defaults.shown(&param.name, &param.value).replace(' ', "\u{a0}")))
            .collect();
        for line in format::wrap(&format!("defaults: {}", said.join(" ")), look.width - 2) {
            text.push_str(&format!("  {}\n", look.paint(Ink::Dim, &line.replace('\u{a0}', " "))));
        }
    }
    text
}

/// Learning rate and clipping norm for a mean and for a summed loss, so that recipes can be compared. Optimisers that
/// divide by the gradient's own magnitude have the same learning rate for both.
fn scales(params: &[Param]) -> Option<String> {
    let find = |name: &str| params.iter().find(|param| param.name == name).map(|param| &param.value);
    let float = |name: &str| if let Some(Cell::Real(x)) = find(name) { Some(*x) } else { None };
    let Some(Cell::Integer(unroll)) = find("batch.unroll") else { return None };
    let text = |name: &str| if let Some(Cell::Text(text)) = find(name) { text.as_str() } else { "" };
    let (rate, limit, t) = (float("train.learning_rate")?, float("train.clip_norm")?, *unroll as f64);
    let plain = matches!(text("train.optimizer"), "sgd" | "momentum");
    if (!plain && limit == 0.0) || t == 1.0 {
        return None;
    }
    let summed = text("train.loss_scale") == "sum";
    let said = |sum: bool| {
        // A loss that is T times as large has a gradient that is T times as large.
        let factor = if sum == summed {
            1.0
        } else if sum {
            t
        } else {
            1.0 / t
        };
        // Five digits are enough: 1/3 would print sixteen.
        let short = |x: f64| format!("{:?}", format!("{x:.4e}").parse().unwrap_or(x));
        let rate = plain.then(|| format!("learning_rate {}", short(rate / factor)));
        let limit = (limit > 0.0).then(|| format!("clip_norm {}", short(limit * factor)));
        rate.into_iter().chain(limit).collect::<Vec<_>>().join(", ")
    };
    Some(format!(
        "equivalent settings for a mean loss: {}; for a loss summed over {unroll} steps: {}",
        said(false),
        said(true)
    ))
}

fn two_columns(params: &[&Param], defaults: &Defaults, look: Look) -> String {
    let name = params.iter().map(|param| param.name.width()).max().unwrap_or(0);
    let half = (look.width - 2) / 2;
    let entries: Vec<String> = params
        .iter()
        .map(|param| format!("{}  {}", format::pad(&param.name, name), defaults.shown(&param.name, &param.value)))
        .collect();
    let (short, long): (Vec<&String>, Vec<&String>) = entries.iter().partition(|entry| entry.width() < half - 1);
    let rows = short.len().div_ceil(2);
    let mut text = String::new();
    for row in 0..rows {
        let right = short.get(rows + row).map_or("", |entry| entry.as_str());
        let line = format!("  {}{right}", format::pad(short[row], half));
        text.push_str(&format!("{}\n", line.trim_end()));
    }
    for entry in long {
        text.push_str(&format!("  {}\n", format::cut(entry, look.width - 2)));
    }
    text
}

/// One line per stage. If a stage has several executions, the line counts them.
pub fn stages(stages: &[StageRow], run: RunId, look: Look) -> String {
    if stages.is_empty() {
        return String::new();
    }
    let mut table =
        Table::new(vec![left("stage"), left("item"), left("how"), right("time"), left("key").spare(1), left("facts")]);
    // The train stage of a parent that was recomputed for a fork has its own line.
    let alike = |a: &StageRow, b: &StageRow| {
        a.stage == b.stage && a.item.starts_with(plan::PARENT) == b.item.starts_with(plan::PARENT)
    };
    for group in stages.chunk_by(alike) {
        if let [only] = group {
            let ink = if only.status == Status::Finished { Ink::Plain } else { status_ink(only.status) };
            table.row(vec![
                (only.stage.clone(), Ink::Plain),
                (only.item.clone(), Ink::Plain),
                (how(only, run), ink),
                (only.seconds.map_or(format::NOTHING.to_owned(), format::seconds), Ink::Plain),
                (redacted("digest", only.stage_key.chars().take(8).collect()), Ink::Dim),
                (facts(only), Ink::Plain),
            ]);
            continue;
        }
        let executed = group.iter().filter(|stage| stage.how == How::Executed).count();
        let how = match group.len() - executed {
            0 => format!("{executed} executed"),
            cached if executed == 0 => format!("{cached} cached"),
            cached => format!("{executed} executed, {cached} cached"),
        };
        let seconds: f64 = group.iter().filter_map(|stage| stage.seconds).sum();
        table.plain(vec![
            group[0].stage.clone(),
            items(group),
            how,
            format::seconds(seconds),
            String::new(),
            String::new(),
        ]);
    }
    let (text, _) = table.render(Look { width: look.width - 2, ..look });
    format!("{}\n{}", look.heading("stages"), indent(&text))
}

fn items(group: &[StageRow]) -> String {
    let mut steps: Vec<i64> = group.iter().filter_map(|stage| stage.step).collect();
    steps.dedup();
    match (steps.first(), steps.last()) {
        (Some(first), Some(last)) if first != last => {
            format!("{}–{}", count(*first), count(*last))
        }
        (Some(step), _) => count(*step),
        _ => format!("{} items", group.len()),
    }
}

fn how(stage: &StageRow, run: RunId) -> String {
    match stage.executed_by {
        _ if stage.status != Status::Finished => stage.status.to_string(),
        Some(by) if stage.how == How::Cached && by != run => format!("cached, {by}"),
        _ => stage.how.to_string(),
    }
}

/// The most useful facts about an execution, in a few words.
fn facts(stage: &StageRow) -> String {
    let report = stage.facts();
    let n = |value: &Value| value.as_i64().map(count);
    let said: Vec<Option<String>> = match stage.stage.as_str() {
        "tokenize" => vec![
            n(&report["tokens"]["train"]).map(|n| format!("{n} tokens")),
            n(&report["types"]["train"]).map(|n| format!("{n} types")),
        ],
        "vocab" => vec![
            n(&report["types"]).map(|n| format!("{n} types")),
            report["coverage"].as_f64().map(|coverage| format!("coverage {}", format::share(coverage))),
        ],
        "batch" => vec![
            n(&report["steps_per_epoch"]).map(|n| format!("{n} steps per epoch")),
            report["overlap"].as_f64().map(|overlap| format!("overlap {}", format::share(overlap))),
        ],
        "baselines" => vec![n(&report["counted"]).map(|n| format!("{n} tokens counted"))],
        "train" => vec![
            stage.to_step.map(|to| match stage.from_step {
                Some(from) if from > 0 && from < to => format!("{} steps, from step {}", count(to), count(from)),
                _ => format!("{} steps", count(to)),
            }),
            stage.threads.map(|threads| match report["threads"].as_i64() {
                // Idle cores were lent to the training run.
                Some(most) if most > threads => format!("{threads} to {most} threads"),
                _ => format!("{threads} thread{}", if threads == 1 { "" } else { "s" }),
            }),
            stage.device.clone(),
        ],
        _ => Vec::new(),
    };
    let mut said: Vec<String> = said.into_iter().flatten().collect();
    said.extend(stage.error.as_deref().map(format::line));
    said.join(", ")
}

/// The legend of a plot's baselines.
pub fn baselines(lines: &[Baseline], ngrams: &[NgramLoss], look: Look) -> String {
    let Some(said) = baseline_words(lines, lines_on(ngrams).into_iter()) else { return String::new() };
    format::wrap(&said, look.width).iter().map(|line| format!("{}\n", look.paint(Ink::Dim, line))).collect()
}

/// The last and the best loss, and the number of steps whose loss is not finite.
pub fn losses(run: &RunSummary, look: Look) -> String {
    let Some(kind) = run.last_loss_kind else { return String::new() };
    let best = run.best_loss.map_or(String::new(), |best| format!(", best loss {}", format::float(best)));
    format!("last loss {}{best}\n{}", format::loss(run.last_loss, Some(kind)), nonfinite(run, look))
}

/// Steps whose loss is not finite, in one line.
fn nonfinite(run: &RunSummary, look: Look) -> String {
    let Some(first) = run.first_nonfinite_step else { return String::new() };
    let steps = if run.nonfinite_steps == 1 { "step" } else { "steps" };
    let said =
        format!("✗ {} {steps} with a non-finite loss, the first at {}", count(run.nonfinite_steps), count(first));
    format!("{}\n", look.paint(Ink::Bad, &said))
}
