//! Samples of runs side by side.

use unicode_width::UnicodeWidthStr as _;

use crate::ui::format::{self, count};
use crate::ui::look::{Ink, Look};
use identity::SampleRow;
use insight::comparison::Texts;
use record::read::RunSummary;
use view::sample::{decode, figures, written};

/// The most runs whose evaluations and samples are shown.
pub const MOST_BESIDE: usize = 6;

/// Samples from the last checkpoint that the runs share, and from each run's own last checkpoint if those differ. Two
/// runs are shown side by side, more runs one below the other.
pub fn samples(runs: &[RunSummary], texts: &[Texts], look: Look) -> String {
    if runs.len() > MOST_BESIDE {
        return String::new();
    }
    let shared = texts.iter().rev().find_map(|texts| texts.step);
    let apart: Vec<&Texts> = texts.iter().filter(|texts| texts.step.is_none()).collect();
    let mut parts = Vec::new();
    // Samples from an untrained model are skipped if every run has later ones.
    let all_apart = apart.first().is_some_and(|texts| texts.runs.iter().all(Option::is_some));
    if let Some(step) = shared.filter(|step| !all_apart || *step > 0) {
        let title = format!("samples from checkpoint {}", count(step));
        parts.push(samples_of(runs, texts.iter().filter(|texts| texts.step == Some(step)), &title, look));
    }
    if let Some(first) = apart.first() {
        let of: Vec<String> =
            runs.iter().zip(&first.runs).filter_map(|(run, sample)| Some((run, sample.as_ref()?).0.name())).collect();
        let whose = if all_apart { "each run".to_owned() } else { of.join(" and ") };
        parts.push(samples_of(runs, apart.into_iter(), &format!("samples from the last checkpoint of {whose}"), look));
    }
    parts.join("\n")
}

fn samples_of<'a>(runs: &[RunSummary], rows: impl Iterator<Item = &'a Texts>, title: &str, look: Look) -> String {
    let mut text = format!("{}\n", look.heading(title));
    for row in rows {
        text.push_str(&format!("  {}\n", decode(&row.decode)));
        let name = |run: &RunSummary, sample: &SampleRow| match (row.step, sample.step) {
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

fn beside(look: Look, a: (&str, &SampleRow), b: (&str, &SampleRow)) -> String {
    let width = (look.width - 7) / 2;
    let column = |(name, sample): (&str, &SampleRow)| {
        let mut lines = vec![(name.to_owned(), Ink::Bold)];
        lines.extend(format::wrap(&figures(sample), width).into_iter().map(|line| (line, Ink::Dim)));
        let facts = lines.len();
        lines.extend(written(sample, width).into_iter().map(|line| (line, Ink::Plain)));
        (lines, facts)
    };
    let ((mut left, left_facts), (mut right, right_facts)) = (column(a), column(b));
    // Both texts begin on the same line.
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
