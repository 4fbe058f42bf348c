//! Collects the parts of a verdict, and formats figures.

use identity::Loss;
use identity::verdict::{About, Check, CheckName, Evidence, Finding, FindingKind, Signal};

/// Evidence, findings and checks, in the order in which they were found.
#[derive(Debug, Default)]
pub struct Notes {
    pub evidence: Vec<Evidence>,
    pub findings: Vec<Finding>,
    pub checks: Vec<Check>,
}

/// A figure, and the bound that it was compared with.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    pub signal: Signal,
    pub value: f64,
    pub bound: Option<f64>,
    pub step: Option<usize>,
}

impl Figure {
    /// A figure without a step.
    pub fn of(signal: Signal, value: f64, bound: f64) -> Self {
        Self { signal, value, bound: Some(bound), step: None }
    }

    /// The same figure at a step.
    pub fn at(self, step: usize) -> Self {
        Self { step: Some(step), ..self }
    }
}

impl Notes {
    /// Adds a figure that supports a verdict or a finding.
    pub fn evidence(&mut self, about: impl Into<About>, figure: Figure, sentence: String) {
        self.evidence.push(Evidence {
            about: about.into().into(),
            signal: figure.signal.into(),
            value: Loss(figure.value).finite(),
            value_kind: Loss(figure.value).kind(),
            bound: figure.bound,
            step: figure.step.map(|step| step as i64),
            sentence,
        });
    }

    /// Adds a finding with the figure that supports it.
    pub fn finding(&mut self, finding: FindingKind, figure: Figure, sentence: String) {
        self.evidence(finding, figure, sentence.clone());
        let step = figure.step.map(|step| step as i64);
        self.findings.push(Finding { finding: finding.into(), step, sentence });
    }

    /// Removes a finding, with its evidence.
    pub fn retract(&mut self, finding: FindingKind) {
        self.findings.retain(|it| it.finding != finding);
        self.evidence.retain(|it| it.about != About::Finding(finding));
    }

    /// Adds a check that was made, with its result.
    pub fn made(&mut self, name: CheckName, note: String) {
        self.checks.push(Check { name: name.into(), made: true, note });
    }

    /// Adds a check that was not made, with the reason.
    pub fn not_made(&mut self, name: CheckName, why: impl Into<String>) {
        self.checks.push(Check { name: name.into(), made: false, note: why.into() });
    }
}

/// A figure with three significant digits.
pub fn number(x: f64) -> String {
    let size = x.abs();
    match size {
        _ if !x.is_finite() => Loss(x).kind().to_string(),
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e6).contains(&size) => format!("{x:.1e}"),
        _ if size >= 100.0 => format!("{x:.0}"),
        _ if size >= 10.0 => format!("{x:.1}"),
        _ if size >= 1.0 => format!("{x:.2}"),
        _ => format!("{x:.3}"),
    }
}

/// A figure with three significant digits, or `NaN or Inf`: losses that are not finite are not told apart here.
pub fn finite(x: f64) -> String {
    if x.is_finite() { number(x) } else { "NaN or Inf".to_owned() }
}

/// How far a figure is above or below another: `0.3 above`, `0.3 below`.
pub fn beside(above: f64) -> String {
    format!("{} {}", number(above.abs()), if above < 0.0 { "below" } else { "above" })
}

/// A share as a percentage, with enough digits that only 0 and 1 are shown as 0 % and 100 %.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if percent == 0.0 || percent == 100.0 => format!("{percent:.0} %"),
        _ if percent < 0.01 => "less than 0.01 %".to_owned(),
        _ if percent > 99.99 => "more than 99.99 %".to_owned(),
        _ if percent < 1.0 => format!("{percent:.2} %"),
        _ if percent > 99.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.0} %"),
    }
}

/// A number of things, with the singular or the plural.
pub fn counted(n: usize, one: &str, more: &str) -> String {
    format!("{} {}", count(n as u64), if n == 1 { one } else { more })
}

/// A whole number with commas between its thousands.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
