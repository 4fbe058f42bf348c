//! The curves of a page as JSON that a page can hold.

use serde_json::{Map, Value, json};

use super::Report;
use crate::record::read::Bucket;
use crate::ui::chart::{Chart, Line, Range};

/// The data, harmless inside a script element: nothing in it can end that element, whatever texts it holds.
pub fn embedded(report: &Report) -> String {
    let runs = report.runs.iter().map(|run| json!({"run": run.summary.run, "label": run.words()}));
    let value = json!({
        "runs": runs.collect::<Vec<_>>(),
        "charts": report.charts.iter().filter_map(chart).collect::<Vec<_>>(),
    });
    let plain = value.to_string();
    let mut text = String::with_capacity(plain.len());
    for part in plain.split_inclusive(is_markup) {
        let end = part.chars().next_back().filter(|c| is_markup(*c));
        text.push_str(&part[..part.len() - end.map_or(0, char::len_utf8)]);
        text.extend(end.map(|c| format!("\\u{:04x}", u32::from(c))));
    }
    text
}

/// What a script element could end by, or a line of JavaScript.
fn is_markup(c: char) -> bool {
    matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

fn chart(chart: &Chart) -> Option<Value> {
    let range = Range::of(chart, false)?;
    Some(json!({
        "id": chart.quantity.column(),
        "steps": chart.steps,
        "low": range.low,
        "high": range.high,
        "cut": range.cut,
        // Whether a logarithmic axis can hold it.
        "positive": Range::of(chart, true).is_some(),
        "log": chart.wants_log(),
        "baselines": chart.baselines.iter().map(|it| json!([it.label, short(it.value)])).collect::<Vec<_>>(),
        "lines": chart.lines.iter().map(line).collect::<Vec<_>>(),
    }))
}

/// A curve by columns. What is not finite is null here, and its kind stands among the holes.
fn line(line: &Line) -> Value {
    let of = |value: &dyn Fn(&Bucket) -> Option<f64>| -> Value {
        line.buckets.iter().map(|bucket| value(bucket).map(short)).collect::<Vec<_>>().into()
    };
    let mut columns = Map::new();
    columns.insert("run".to_owned(), line.run.into());
    columns.insert("place".to_owned(), line.place.into());
    columns.insert("onset".to_owned(), line.onset.into());
    columns.insert("holes".to_owned(), line.holes.iter().map(|it| json!([it.first, it.last, it.kind])).collect());
    columns.insert("x".to_owned(), line.buckets.iter().map(|bucket| bucket.first).collect::<Vec<_>>().into());
    columns.insert("mean".to_owned(), of(&Bucket::mean));
    if line.buckets.iter().any(|bucket| bucket.steps > 1) {
        columns.insert("n".to_owned(), line.buckets.iter().map(|bucket| bucket.steps).collect::<Vec<_>>().into());
        columns.insert("low".to_owned(), of(&|bucket| bucket.minimum));
        columns.insert("high".to_owned(), of(&|bucket| bucket.maximum));
    }
    Value::Object(columns)
}

/// Five digits: more can't be seen.
fn short(x: f64) -> f64 {
    format!("{x:.4e}").parse().unwrap_or(x)
}
