//! Verdicts as text for the terminal.

use super::format::{self, count};
use super::look::{Ink, Look};
use identity::verdict::{Confirmation, Kind, TrialOutcome, Verdict};
use identity::{RunId, Word};
use insight::trial;
use view::verdict::{short, spoken};

/// The style of a verdict.
pub fn verdict_ink(kind: Kind) -> Ink {
    match kind {
        Kind::DataFault | Kind::Diverged => Ink::Bad,
        Kind::Unstable | Kind::TooLow | Kind::Inconclusive => Ink::Warn,
        Kind::Stable => Ink::Good,
    }
}

/// The verdict with its cause, trials and advice.
pub fn words(run: RunId, verdict: &Verdict, confirmations: &[Confirmation], look: Look) -> String {
    let mut text = format!("  {}", look.paint(verdict_ink(verdict.verdict), &short(&verdict.headline())));
    if let Some(cause) = &verdict.cause {
        text.push_str(&format!(" ({})", spoken(cause.as_str())));
    }
    text.push('\n');
    let mut add = |said: &str, ink: Ink| {
        for line in format::wrap(said, look.width - 4) {
            text.push_str(&format!("    {}\n", look.paint(ink, &line)));
        }
    };
    add(&verdict.sentence, Ink::Plain);
    let tried = verdict.tried(confirmations);
    for found in &tried {
        let ink = if found.outcome == TrialOutcome::Confirmed { Ink::Good } else { Ink::Warn };
        add(&format!("{} by {}: {}", spoken(found.outcome.as_str()), found.trial, found.sentence), ink);
    }
    if let Some(advice) = verdict.advice_after(confirmations) {
        add(advice, Ink::Bold);
    }
    let cause = verdict.cause.as_ref().and_then(Word::known);
    if tried.is_empty() && verdict.advice.is_some() && cause.is_some_and(trial::has_one) {
        add(&format!("to test whether that is the cause: pipeline confirm {run}"), Ink::Dim);
    }
    text
}

/// A verdict in a table cell.
pub fn word(verdict: &Verdict) -> (String, Ink) {
    let at = verdict.began().map_or(String::new(), |step| format!(" at {}", count(step)));
    (format!("{}{at}", spoken(verdict.verdict.as_str())), verdict_ink(verdict.verdict))
}

/// The evidence of a verdict.
pub fn evidence(verdict: &Verdict, look: Look) -> String {
    if verdict.evidence.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", look.heading("evidence"));
    for it in &verdict.evidence {
        let value = it.value.map_or_else(|| it.value_kind.to_string(), format::float);
        let bound = it.bound.map_or_else(String::new, |bound| format!(" (bound {})", format::float(bound)));
        let step = it.step.map_or_else(String::new, |step| format!(" at step {}", count(step)));
        let said = format!("{} {value}{bound}{step}: {}", it.signal, it.sentence);
        text.push_str(&hanging(&said, look));
    }
    text
}

/// The findings that a verdict lists beside its cause.
pub fn findings(verdict: &Verdict, look: Look) -> String {
    if verdict.findings.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", look.heading("findings"));
    for it in &verdict.findings {
        text.push_str(&hanging(&format!("{}: {}", spoken(it.finding.as_str()), it.sentence), look));
    }
    text
}

/// The checks that were made, and those that were not.
pub fn checks(verdict: &Verdict, look: Look) -> String {
    let mut text = String::new();
    for (title, made) in [("checks", true), ("not checked", false)] {
        let them: Vec<_> = verdict.checks.iter().filter(|check| check.made == made).collect();
        if them.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("{}\n", look.heading(title)));
        for it in them {
            text.push_str(&hanging(&format!("{}: {}", it.name, it.note), look));
        }
    }
    let said = format!("judged by version {} of the rules", verdict.rules);
    format!("{text}{}\n", look.paint(Ink::Dim, &said))
}

/// A paragraph with a hanging indent.
fn hanging(said: &str, look: Look) -> String {
    let lines = format::wrap(said, look.width - 4);
    lines.iter().enumerate().map(|(at, line)| format!("{}{line}\n", if at == 0 { "  " } else { "    " })).collect()
}
