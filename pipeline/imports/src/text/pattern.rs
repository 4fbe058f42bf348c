//! A pattern: how a program prints one kind of line.
//!
//! A pattern is a regular expression whose named groups are the numbers of the line. The groups `step`, `epoch`,
//! `batch` and `batches` say where in the training the line is; every other group is a series of that name. Users write
//! such patterns (`--pattern`); those of known programs, in `dialects`, are written as templates that become the same.

use regex::bytes::{CaptureLocations, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::dialects::Line;
use super::said::{Axis, Book, Said};
use super::scan::{self, Pairs};
use crate::report::Span;

/// How a program prints one kind of line.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    groups: Vec<(usize, Group)>,
    pub(crate) line: Line,
}

/// What a group captures.
#[derive(Debug, Clone, PartialEq)]
enum Group {
    Axis(Axis),
    /// The split that the numbers of the line belong to.
    Split,
    /// The name of the line's only number, and that number.
    Name,
    Value,
    Series(String),
}

/// The patterns of a user.
#[derive(Debug)]
pub struct Patterns {
    pub(crate) all: Vec<Pattern>,
}

/// What is wrong with a user's pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression.
    #[error("{pattern:?} is no regular expression: {reason}")]
    Syntax {
        /// The pattern.
        pattern: String,
        /// What the regex crate says of it, in one line.
        reason: String,
    },
    /// It has no named group.
    #[error("{0:?} names no number. {ALLOWED}")]
    NoGroup(String),
    /// A group has the name of a series, and means a place.
    #[error("{pattern:?} has a group `{group}`, which would be a series; write `{meant}` for what counts. {ALLOWED}")]
    Misnamed {
        /// The pattern.
        pattern: String,
        /// Its group.
        group: String,
        /// What is probably meant.
        meant: &'static str,
    },
    /// The number of batches without the batch.
    #[error("{0:?} has a group `batches`, how many an epoch has, but no group `batch`. {ALLOWED}")]
    BatchesAlone(String),
    /// None of the patterns has a series.
    #[error("no pattern has a group for a number to import, such as `(?<loss>\\S+)`. {ALLOWED}")]
    NoSeries,
}

/// What groups may be called.
const ALLOWED: &str = "Groups are `step`, `epoch`, `batch` and `batches`, and the names of series: \
                       'step (?<step>\\d+) .*loss (?<loss>\\S+)'";

/// What people call a counter that is a `step`, an `epoch` or a `batch` here.
const SYNONYMS: &[(&str, &str)] = &[
    ("steps", "step"),
    ("global_step", "step"),
    ("iter", "step"),
    ("iters", "step"),
    ("iteration", "step"),
    ("iterations", "step"),
    ("it", "step"),
    ("update", "step"),
    ("updates", "step"),
    ("num_updates", "step"),
    ("epochs", "epoch"),
    ("ep", "epoch"),
    ("minibatch", "batch"),
    ("batch_idx", "batch"),
    ("num_batches", "batches"),
];

impl Patterns {
    /// The patterns of `--pattern`, each with its named groups.
    ///
    /// # Errors
    /// With what is wrong with one of them, and what is allowed.
    pub fn new<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Self, PatternError> {
        let all =
            patterns.into_iter().map(|pattern| Pattern::of_user(pattern.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let series = |pattern: &Pattern| pattern.groups.iter().any(|(_, group)| matches!(group, Group::Series(_)));
        if !all.iter().any(series) {
            return Err(PatternError::NoSeries);
        }
        Ok(Self { all })
    }
}

impl Pattern {
    /// A user's pattern.
    fn of_user(text: &str) -> Result<Self, PatternError> {
        let pattern = || text.to_owned();
        let regex =
            Regex::new(text).map_err(|error| PatternError::Syntax { pattern: pattern(), reason: reason(&error) })?;
        let mut groups = Vec::new();
        for (place, name) in regex.capture_names().enumerate() {
            let Some(name) = name else { continue };
            if let Some((_, meant)) = SYNONYMS.iter().find(|(synonym, _)| *synonym == name) {
                return Err(PatternError::Misnamed { pattern: pattern(), group: name.to_owned(), meant });
            }
            groups.push((place, Group::of(name)));
        }
        let has = |axis: Axis| groups.iter().any(|(_, group)| *group == Group::Axis(axis));
        if groups.is_empty() {
            return Err(PatternError::NoGroup(pattern()));
        }
        if has(Axis::Batches) && !has(Axis::Batch) {
            return Err(PatternError::BatchesAlone(pattern()));
        }
        // What only counts is a heading, such as `Epoch 3/10`.
        let heading = groups.iter().all(|(_, group)| matches!(group, Group::Axis(_)));
        let line = if heading { Line::new("").heading() } else { Line::new("") };
        Ok(Self { regex, groups, line })
    }

    /// The pattern of a known program's line.
    pub(crate) fn of_line(line: Line) -> Result<Self, regex::Error> {
        let (regex, groups) = source(&line, scan::COUNT, scan::NUMBER);
        // Programs print ASCII around their numbers, and an automaton of bytes is built in a fraction of the time.
        Ok(Self { regex: RegexBuilder::new(&regex).unicode(false).build()?, groups, line })
    }

    /// Room for what its groups capture.
    pub(crate) fn locations(&self) -> CaptureLocations {
        self.regex.capture_locations()
    }

    /// Reads a line. `false` if it is of another kind.
    pub(crate) fn read(&self, line: &str, at: &mut CaptureLocations, book: &mut Book<'_>, said: &mut Said) -> bool {
        said.clear();
        if self.regex.captures_read(at, line.as_bytes()).is_none() {
            return false;
        }
        let text = |place: usize| at.get(place).and_then(|(start, end)| line.get(start..end));
        let captured = |wanted: &Group| self.groups.iter().find(|(_, group)| group == wanted).and_then(|it| text(it.0));
        let word = captured(&Group::Split);
        let number = |book: &mut Book<'_>, said: &mut Said, name: &str, text: &str| {
            said.number(book, name, self.line.split_for(name, word), self.line.span_of(name), text);
        };
        for (place, group) in &self.groups {
            let Some(text) = text(*place) else { continue };
            match group {
                Group::Axis(axis) => said.count(*axis, text),
                Group::Series(name) => number(book, said, name, text),
                Group::Value => number(book, said, captured(&Group::Name).unwrap_or("value"), text),
                Group::Split | Group::Name => {}
            }
        }
        if self.line.pairs {
            let last = self.groups.iter().rev().find_map(|(place, _)| at.get(*place)).map(|(_, end)| end);
            let start = last.or(at.get(0).map(|(start, _)| start)).unwrap_or(0);
            self.pairs(line, start, word, book, said);
        }
        true
    }

    /// Reads the pairs of a line from a byte on.
    fn pairs(&self, line: &str, start: usize, word: Option<&str>, book: &mut Book<'_>, said: &mut Said) {
        for pair in Pairs::of(line, start) {
            let name = pair.name.strip_suffix(self.line.without).unwrap_or(pair.name);
            match name {
                "" => {}
                // `discarded: 3/500`.
                _ if pair.total.is_some() => {}
                "step" | "global_step" if said.step.is_none() => said.count(Axis::Step, pair.text),
                "epoch" if said.epoch.is_none() => said.count(Axis::Epoch, pair.text),
                _ if name.ends_with("num_updates") => said.count(Axis::Step, pair.text),
                _ if NOT_SERIES.iter().any(|it| it.eq_ignore_ascii_case(name)) => {}
                _ => {
                    let split = self.line.split_for(name, word);
                    said.number(book, name, split, self.line.span_of(name), pair.text);
                    if let Some(mean) = pair.mean {
                        said.value(book, name, split, Span::Epoch, mean);
                    }
                }
            }
        }
    }
}

/// The regular expression of a line's template, and what its groups capture.
fn source(line: &Line, count: &str, number: &str) -> (String, Vec<(usize, Group)>) {
    let mut groups = Vec::new();
    // Behind the start of the line, or behind what a logger or a launcher puts before it.
    let mut regex = if line.text.starts_with('^') { String::new() } else { r"(?:^|[\s\]:|>])".to_owned() };
    let mut rest = line.text;
    while let Some((before, (name, behind))) =
        rest.split_once('<').and_then(|(before, rest)| Some((before, rest.split_once('>')?)))
    {
        regex.push_str(&before.replace(' ', r"(?:[ \t]+)"));
        rest = behind;
        let group = match name {
            "_" => None,
            "split" => Some(Group::Split),
            "name" => Some(Group::Name),
            "value" => Some(Group::Value),
            "fraction" => Some(Group::Axis(Axis::Fraction)),
            _ => Some(Group::of(name)),
        };
        regex.push_str(if group.is_some() { "(" } else { "(?:" });
        regex.push_str(match group {
            Some(Group::Axis(_)) => count,
            Some(Group::Split | Group::Name) => "[A-Za-z][A-Za-z0-9_.-]*",
            _ => number,
        });
        regex.push(')');
        if let Some(group) = group {
            groups.push((groups.len() + 1, group));
        }
    }
    regex.push_str(&rest.replace(' ', r"(?:[ \t]+)"));
    (regex, groups)
}

/// Names of numbers that are none of the training's: a remaining time, a version, a counter that stands elsewhere
/// already.
pub(crate) const NOT_SERIES: &[&str] = &["eta", "v_num", "step", "global_step", "epoch"];

impl Group {
    fn of(name: &str) -> Self {
        match name {
            "step" => Self::Axis(Axis::Step),
            "epoch" => Self::Axis(Axis::Epoch),
            "batch" => Self::Axis(Axis::Batch),
            "batches" => Self::Axis(Axis::Batches),
            _ => Self::Series(name.to_owned()),
        }
    }
}

/// Programs' lines, to ask at once which of them one may be: for that, a number is whatever its characters are.
pub(crate) fn set<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(lines.into_iter().map(|line| source(line, "[-.,0-9]+", "[-+.,0-9a-yA-Y]+").0))
        .unicode(false)
        .build()
}

/// What is wrong with a regular expression, in one line: the regex crate draws a picture, too.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Names;

    /// What a pattern makes of a line: where it is, and the numbers by name.
    fn read(pattern: &Pattern, line: &str) -> Option<String> {
        let mut names = Names::default();
        let mut book = Book::new(&mut names);
        let mut said = Said::default();
        pattern.read(line, &mut pattern.locations(), &mut book, &mut said).then(|| {
            let at = said.at();
            let mut text = format!("{:?} {:?} {:?}", at.step, at.epoch, at.batch);
            for (series, number) in &said.numbers {
                let name = names.name(*series);
                text += &format!(
                    " {}{}={number}",
                    name.split.as_deref().map_or(String::new(), |it| format!("{it}|")),
                    name.name
                );
            }
            text + said.odd.as_deref().unwrap_or("")
        })
    }

    #[test]
    fn a_users_groups_are_numbers() {
        let patterns =
            Patterns::new([r"it (?<step>\S+) of (?P<epoch>[\d.]+) L=(?<loss>\S+)( v=(?<val_loss>\S+))?"]).unwrap();
        let of = |line: &str| read(&patterns.all[0], line);
        assert_eq!(of("it 12 of 1.5 L=2.5. v=nan").unwrap(), "Some(12) Some(1.5) None loss=2.5 val_loss=NaN");
        assert_eq!(of("> it 1,200 of 1 L=-inf").unwrap(), "Some(1200) Some(1.0) None loss=-inf");
        assert_eq!(of("another line"), None);
        assert!(of("it 1.5 of 1 L=2").unwrap().ends_with(r#""1.5" is no step that can be counted"#));
        assert!(of("it 1 of 1 L=many").unwrap().ends_with(r#""many" is no number for "loss""#));
    }

    #[test]
    fn a_wrong_pattern_is_told_what_is_wrong_and_what_is_allowed() {
        let error = |patterns: &[&str]| Patterns::new(patterns).unwrap_err().to_string();
        assert_eq!(error(&["loss (?<loss>"]), "\"loss (?<loss>\" is no regular expression: unclosed group");
        for (patterns, starts) in [
            (&["loss ([0-9.]+)"][..], "\"loss ([0-9.]+)\" names no number."),
            (&["iter (?<iter>.*) (?<loss>.*)"], "\"iter (?<iter>.*) (?<loss>.*)\" has a group `iter`, which would be"),
            (&["(?<batches>.*) (?<loss>.*)"], "\"(?<batches>.*) (?<loss>.*)\" has a group `batches`, how many"),
            (&["(?<step>.*)"], "no pattern has a group for a number to import"),
            (&[], "no pattern has"),
        ] {
            let error = error(patterns);
            assert!(error.starts_with(starts), "{error}");
            assert!(error.contains("Groups are `step`, `epoch`, `batch` and `batches`"), "{error}");
        }
        assert!(Patterns::new(["(?<step>.*)", "(?<loss>.*)"]).is_ok());
        assert!(error(&[&"a{1000}".repeat(1000)]).contains("size"));
    }

    #[test]
    fn a_template_is_a_pattern() {
        let line = Line::new(r"step <step>/ ?<_> \| (?:lm )?loss <lm loss>(?: \+- <ms/batch>)?");
        let pattern = Pattern::of_line(line).unwrap();
        assert_eq!(
            read(&pattern, "step  3/ 1,000 | loss 2.5 +- nan").unwrap(),
            "Some(3) None None lm loss=2.5 ms/batch=NaN"
        );
        assert_eq!(read(&pattern, "[0]: step 3/4 | lm loss 2.5").unwrap(), "Some(3) None None lm loss=2.5");
        assert_eq!(read(&pattern, "footstep 3/4 | loss 2.5"), None);
        let pattern = Pattern::of_line(Line::new("^<split> at <step>: <name> = <value>;").pairs()).unwrap();
        assert_eq!(read(&pattern, "dev at 7: bleu = 9.5; x: 1").unwrap(), "Some(7) None None dev|bleu=9.5 dev|x=1");
        assert_eq!(read(&pattern, " dev at 7: bleu = 9.5;"), None);
    }
}
