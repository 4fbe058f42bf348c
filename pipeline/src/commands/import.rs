//! `pipeline import`.

use std::path::Path;
use std::time::{Duration, Instant};

use engine::stop::Stop as _;
use imports::roles::{Named, Role};
use imports::text::Patterns;
use session::Session;
use session::failure::Failure;
use session::import::{ImportOptions, ImportOutcome, ImportReport, ImportedLog};
use session::places::Paths;

use crate::args::ImportArgs;
use crate::exit;
use crate::ui;
use crate::ui::format::{self, count, float};
use crate::ui::watch::Terminal;

/// How often logs are looked at that are followed, at most.
const EVERY: Duration = Duration::from_secs(1);

/// Imports runs.
pub fn import(args: ImportArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let interrupt = exit::interrupt();
    let follow = args.follow;
    let options = options(args)?;
    let mut session = Session { paths, here, interrupt: &interrupt, watch: &mut Terminal };
    let began = Instant::now();
    let report = session.import(&options)?;
    ui::data(&screen(&report, options.dry_run, true));
    if !follow {
        return outcome(&report);
    }
    interrupt.listen();
    let mut took = began.elapsed();
    while !interrupt.is_asked() {
        // Reading large logs over and over would leave no time for anything else.
        let pause = Instant::now() + EVERY.max(5 * took);
        while Instant::now() < pause && !interrupt.is_asked() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let began = Instant::now();
        let report = session.import(&options)?;
        took = began.elapsed();
        ui::data(&screen(&report, false, false));
    }
    Ok(())
}

/// What the user typed, checked.
fn options(args: ImportArgs) -> Result<ImportOptions, Failure> {
    let mut series = Vec::new();
    for text in &args.series {
        let example = "--series loss=train/ce";
        let Some((word, name)) = text.split_once('=') else {
            return Err(Failure::input(format!("--series '{text}': not WORD=NAME"), example));
        };
        let Some(role) = Role::of_word(word) else {
            let allowed =
                "loss, perplexity, learning_rate, grad_norm, epoch, tokens, seconds, SPLIT_loss, SPLIT_perplexity";
            return Err(Failure::input(
                format!("--series '{text}': unknown word '{word}'; allowed: {allowed}"),
                example,
            ));
        };
        series.push(Named { role, name: name.to_owned() });
    }
    let patterns = match args.pattern.is_empty() {
        true => None,
        false => Some(Patterns::new(&args.pattern).map_err(|error| Failure::input(format!("--pattern: {error}"), ""))?),
    };
    Ok(ImportOptions {
        paths: args.paths,
        study: args.study,
        name: args.name,
        series,
        unit: args.unit,
        vocabulary: args.vocabulary,
        patterns,
        dry_run: args.dry_run,
    })
}

/// An import of which a part failed has failed, though the rest is recorded.
fn outcome(report: &ImportReport) -> Result<(), Failure> {
    let Some((path, why)) = report.skipped.first() else { return Ok(()) };
    let message = match report.skipped.len() {
        1 => format!("{}: {why}", format::path(path)),
        n => format!("{n} paths were not imported; the first is {}: {why}", format::path(path)),
    };
    let hint = "to see what is understood: pipeline import --dry-run PATH";
    Err(if report.runs.is_empty() { Failure::input(message, hint) } else { Failure::failed(message, hint) })
}

/// What was imported; only what changed, unless `all`.
fn screen(report: &ImportReport, dry_run: bool, all: bool) -> String {
    let mut text = String::new();
    for log in report.runs.iter().filter(|log| all || log.outcome != ImportOutcome::UpToDate) {
        head(log, &mut text);
        if dry_run || log.outcome == ImportOutcome::New {
            details(log, &mut text);
        }
        for (path, remark) in &log.remarks {
            let place = remark.byte.map_or_else(|| format!("line {}", remark.place), |byte| format!("byte {byte}"));
            text.push_str(&format!("  {}, {place}: {}\n", format::path(path), remark.what));
        }
        if log.more_remarks > 0 {
            text.push_str(&format!("  … {} more remarks\n", log.more_remarks));
        }
        if log.without_step > 0 {
            text.push_str(&format!("  {} numbers have no step and were left out\n", count(log.without_step as i64)));
        }
    }
    for (path, why) in &report.skipped {
        text.push_str(&format!("skipped {}: {why}\n", format::path(path)));
    }
    text
}

/// `run7  lstm  llm.c  19,552 steps  new`.
fn head(log: &ImportedLog, text: &mut String) {
    let run = log.run.map_or_else(String::new, |run| format!("{run}  "));
    let unit = log.axis.unit();
    let outcome = match log.outcome {
        ImportOutcome::New => "new".to_owned(),
        ImportOutcome::Updated(steps) => format!("{} {unit}s added or changed", count(steps)),
        ImportOutcome::UpToDate => "up to date".to_owned(),
        ImportOutcome::DryRun => "would be imported".to_owned(),
    };
    text.push_str(&format!("{run}{}  {}, by {unit}  {outcome}\n", log.name, log.format));
}

/// A line for each series: what it is taken for, how many numbers, the first and the last.
fn details(log: &ImportedLog, text: &mut String) {
    let width = log.series.iter().map(|series| series.name.chars().count()).max().unwrap_or(0).min(32);
    for series in &log.series {
        let tally = series.tally;
        let role = series.role.as_deref().unwrap_or("(kept as it is)");
        let nonfinite =
            if tally.nonfinite > 0 { format!(", {} not finite", count(tally.nonfinite as i64)) } else { String::new() };
        text.push_str(&format!(
            "  {:width$}  {role:16}  {:>9}  {} → {}{nonfinite}\n",
            series.name,
            count(tally.numbers as i64),
            float(tally.first),
            float(tally.last),
        ));
    }
}
