//! `--where` and `--sort`, by any column of `run_summary` or any parameter.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use identity::{Cell, Param, RunId, Status};
use serde_json::Value;

use crate::failure::Failure;
use experiment::nearest;
use identity::verdict::Kind;
use record::read::RunSummary;

/// One comparison, as the user typed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    name: String,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Less,
    LessOrIs,
    More,
    MoreOrIs,
}

/// The operators as they are written. Those with two characters come first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 7] = [
    ("!=", Operator::IsNot),
    ("<=", Operator::LessOrIs),
    (">=", Operator::MoreOrIs),
    ("==", Operator::Is),
    ("=", Operator::Is),
    ("<", Operator::Less),
    (">", Operator::More),
];

impl FromStr for Filter {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let at = text.find(['=', '!', '<', '>']);
        let found = at.and_then(|at| {
            let (sign, operator) = OPERATORS.iter().find(|(sign, _)| text[at..].starts_with(sign))?;
            let (name, value) = (text[..at].trim(), unquoted(text[at + sign.len()..].trim()));
            // `=>1` must not be read as a comparison with the text `>1`.
            (!name.is_empty() && !value.starts_with(['=', '!', '<', '>'])).then(|| Self {
                name: name.into(),
                operator: *operator,
                value: value.into(),
            })
        });
        found.ok_or_else(|| {
            let fixed = [("<>", "!="), ("=>", ">="), ("=<", "<=")].into_iter().find(|(sign, _)| text.contains(sign));
            Failure::input(
                format!("--where '{text}' is not a comparison; allowed: COLUMN=VALUE, with =, !=, <, <=, > or >="),
                fixed.map_or("for example: --where 'train.learning_rate>=0.1'".to_owned(), |(sign, meant)| {
                    format!("did you mean --where '{}'?", text.replacen(sign, meant, 1))
                }),
            )
        })
    }
}

/// A value without SQL quotes; the shell has already removed its own.
fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('\'').or_else(|| inside('"')).unwrap_or(value)
}

/// Titles in the table of runs, with the names of the columns that they stand for.
const SHORT: [(&str, &str); 8] = [
    ("loss", "last_loss"),
    ("best", "best_loss"),
    ("valid", "valid_perplexity"),
    ("test", "test_perplexity"),
    ("perplexity", "valid_perplexity"),
    ("nonfinite", "nonfinite_steps"),
    ("time", "seconds"),
    ("started", "created_at"),
];

/// The values that runs can be filtered and sorted by.
#[derive(Debug)]
pub struct Columns {
    /// The values by run, then by the name of the column or parameter.
    values: BTreeMap<RunId, BTreeMap<String, Cell>>,
    columns: BTreeSet<String>,
    params: BTreeSet<String>,
}

impl Columns {
    /// The columns of these runs and their parameters.
    pub fn of(summaries: &[RunSummary], params: Vec<Param>) -> Self {
        let mut this = Self { values: BTreeMap::new(), columns: BTreeSet::new(), params: BTreeSet::new() };
        for summary in summaries {
            let Ok(Value::Object(entries)) = serde_json::to_value(summary) else { continue };
            let values = this.values.entry(summary.run).or_default();
            for (name, value) in entries {
                this.columns.insert(name.clone());
                values.insert(name, cell(value));
            }
            // Users filter by `last_loss=nan`.
            if summary.last_loss.is_none()
                && let Some(kind) = &summary.last_loss_kind
            {
                values.insert("last_loss".to_owned(), Cell::Text(kind.to_string()));
            }
        }
        for param in params {
            this.params.insert(param.name.clone());
            this.values.entry(param.run).or_default().insert(param.name, param.value);
        }
        this
    }

    /// The full name for what the user typed, which can be a column, a title in the table of runs, a parameter, or the
    /// last segment of a parameter's name if it is unique.
    fn name(&self, typed: &str) -> Result<String, Failure> {
        if self.columns.contains(typed) || self.params.contains(typed) || self.values.is_empty() {
            return Ok(typed.to_owned());
        }
        if let Some((_, column)) = SHORT.iter().find(|(short, _)| *short == typed) {
            return Ok((*column).to_owned());
        }
        let ends = |name: &&String| name.rsplit_once('.').is_some_and(|(_, last)| last == typed);
        match self.params.iter().filter(ends).collect::<Vec<_>>()[..] {
            [only] => Ok(only.clone()),
            [] => {
                let last = self.params.iter().filter_map(|name| Some(name.rsplit_once('.')?.1));
                let names = self.columns.iter().chain(&self.params).map(String::as_str).chain(last);
                let hint = match nearest(typed, names) {
                    Some(near) => format!("did you mean {near}?"),
                    None => {
                        "to list columns: pipeline sql --schema; to list parameters: pipeline show latest".to_owned()
                    }
                };
                Err(Failure::input(format!("unknown column or parameter '{typed}'"), hint))
            }
            ref several => {
                let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
                Err(Failure::input(format!("{typed} is ambiguous: {}", names.join(" or ")), "use the full name"))
            }
        }
    }

    fn value(&self, run: RunId, name: &str) -> &Cell {
        self.values.get(&run).and_then(|values| values.get(name)).unwrap_or(&Cell::Null)
    }
}

/// A filter by verdict, whose value can be written as in the table (`too low`) or as in SQL (`too_low`).
fn of_verdict(filter: &Filter) -> Result<Filter, Failure> {
    let value = filter.value.replace(' ', "_");
    let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    match known.contains(&value.as_str()) {
        true => Ok(Filter { value, ..filter.clone() }),
        false => Err(Failure::input(
            format!("--where: '{}' is not a verdict; allowed: {}", filter.value, known.join(", ")),
            format!(
                "for example: --where verdict={}",
                nearest(&value, known.iter().copied()).unwrap_or(Kind::Diverged.as_str())
            ),
        )),
    }
}

/// How losses that are not finite are written.
const NO_NUMBER: [&str; 3] = ["nan", "inf", "-inf"];

fn check_status(typed: &str) -> Result<(), Failure> {
    if typed.parse::<Status>().is_ok() {
        return Ok(());
    }
    let known: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let meant = nearest(typed, known.iter().copied()).unwrap_or(Status::Finished.as_str());
    let message = format!("--where: '{typed}' is not a status; allowed: {}", known.join(", "));
    Err(Failure::input(message, format!("for example: --where status={meant}")))
}

/// The runs that pass every filter, sorted by `sort`; a leading `-` reverses the order.
pub fn apply(
    mut runs: Vec<RunSummary>,
    columns: &Columns,
    filters: &[Filter],
    sort: Option<&str>,
) -> Result<Vec<RunSummary>, Failure> {
    for filter in filters {
        let name = columns.name(&filter.name)?;
        let filter = &if name == "verdict" { of_verdict(filter)? } else { filter.clone() };
        let numbers = runs.iter().any(|run| rank(columns.value(run.run, &name)) == 0);
        // `nan` and `inf` don't make a column of losses a column of text.
        let is_word = |cell: &Cell| rank(cell) == 1 && !NO_NUMBER.contains(&cell.text().as_str());
        let words = runs.iter().any(|run| is_word(columns.value(run.run, &name)));
        let filter = &if numbers { filter.in_lower_case() } else { filter.clone() };
        if numbers && !words && !["true", "false"].contains(&&*filter.value) && filter.value.parse::<f64>().is_err() {
            let message = format!("--where: {name} is a number, but '{}' is not", filter.value);
            return Err(Failure::input(message, format!("for example: --where '{name}>=1'")));
        }
        if name == "status" && matches!(filter.operator, Operator::Is | Operator::IsNot) {
            check_status(&filter.value)?;
        }
        runs.retain(|run| filter.passes(columns.value(run.run, &name), numbers));
    }
    let Some(sort) = sort else { return Ok(runs) };
    if sort.trim_matches('-').is_empty() {
        return Err(Failure::input(
            format!("--sort '{sort}' names no column"),
            "for example: --sort=-valid_perplexity",
        ));
    }
    let (reversed, typed) = sort.strip_prefix('-').map_or((false, sort), |typed| (true, typed));
    let name = columns.name(typed)?;
    runs.sort_by(|a, b| {
        let (a, b) = (columns.value(a.run, &name), columns.value(b.run, &name));
        // Runs without a value come last in either order. So do texts in a column of numbers.
        match (rank(a), rank(b)) {
            (0, 0) if reversed => order(b, a),
            (0, 0) => order(a, b),
            (a, b) => a.cmp(&b),
        }
    });
    // Texts are sorted only if no value is a number.
    if runs.iter().all(|run| rank(columns.value(run.run, &name)) > 0) {
        runs.sort_by(|a, b| {
            let (a, b) = (columns.value(a.run, &name), columns.value(b.run, &name));
            let nothing = |cell: &Cell| matches!(cell, Cell::Null);
            let order = a.text().cmp(&b.text());
            nothing(a).cmp(&nothing(b)).then(if reversed { order.reverse() } else { order })
        });
    }
    Ok(runs)
}

impl Filter {
    /// The same filter with `True`, `NaN` and `Inf` in lower case, as this program writes them.
    fn in_lower_case(&self) -> Self {
        let lower = self.value.to_lowercase();
        let known = ["true", "false"].contains(&lower.as_str()) || NO_NUMBER.contains(&lower.as_str());
        Self { value: if known { lower } else { self.value.clone() }, ..self.clone() }
    }

    /// Whether a value passes; `numbers` says whether its column has numbers. As in SQL, a missing value never passes.
    fn passes(&self, cell: &Cell, numbers: bool) -> bool {
        let typed = match self.value.as_str() {
            "true" if matches!(cell, Cell::Integer(_)) => "1",
            "false" if matches!(cell, Cell::Integer(_)) => "0",
            other => other,
        };
        let order = match (cell, number(cell), typed.parse::<f64>()) {
            (Cell::Null, ..) => return false,
            // Values are compared as text, because times begin like numbers.
            (Cell::Text(word), ..) if !numbers => word.as_str().cmp(typed),
            // A text is neither below nor above a number, so `last_loss<5` finds no run whose loss is NaN. But a text
            // can look like a number, because an experiment can be called 2024.
            (Cell::Text(word), None, Ok(number)) if number.is_finite() => {
                return (self.operator == Operator::Is && word == typed)
                    || (self.operator == Operator::IsNot && word != typed);
            }
            (_, None, Ok(typed)) if typed.is_finite() => return self.operator == Operator::IsNot,
            (_, Some(value), Ok(typed)) => match value.partial_cmp(&typed) {
                Some(order) => order,
                None => return self.operator == Operator::IsNot,
            },
            _ => cell.text().as_str().cmp(typed),
        };
        match self.operator {
            Operator::Is => order == Ordering::Equal,
            Operator::IsNot => order != Ordering::Equal,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrIs => order != Ordering::Greater,
            Operator::More => order == Ordering::Greater,
            Operator::MoreOrIs => order != Ordering::Less,
        }
    }
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Integer(value) => Some(*value as f64),
        Cell::Real(value) => Some(*value),
        _ => None,
    }
}

/// Ranks numbers before texts, and texts before missing values.
fn rank(cell: &Cell) -> u8 {
    match cell {
        Cell::Integer(_) | Cell::Real(_) => 0,
        Cell::Text(_) | Cell::Blob(_) => 1,
        Cell::Null => 2,
    }
}

fn order(a: &Cell, b: &Cell) -> Ordering {
    number(a).unwrap_or(f64::NAN).total_cmp(&number(b).unwrap_or(f64::NAN))
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(value) => Cell::Integer(i64::from(value)),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Cell::Integer(integer),
            None => Cell::Real(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cell::Text(text),
        other => Cell::Text(other.to_string()),
    }
}
