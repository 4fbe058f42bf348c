//! The curves of a report as JSON that can be embedded in HTML.

use serde_json::{Map, Value, json};

use chart::{Chart, Curve, Range};
use identity::Bucket;
use view::report::ReportView;

/// The data, escaped so that no text in it can end the script element that contains it.
pub fn embedded(report: &ReportView) -> String {
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

/// Whether a character could end a script element or a line of JavaScript.
fn is_markup(c: char) -> bool {
    matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

fn chart(chart: &Chart) -> Option<Value> {
    let range = Range::of(chart, false)?;
    let mut lines: Vec<Map<String, Value>> = chart.lines.iter().map(|it| line(it, !chart.is_crowded())).collect();
    // Most curves have buckets of the same steps. If all have, the steps are written only once.
    let mut shared = Map::new();
    for column in ["x", "n"] {
        if let Some(first) = lines.first().and_then(|line| line.get(column)).cloned()
            && lines.iter().all(|line| line.get(column) == Some(&first))
        {
            lines.iter_mut().for_each(|line| drop(line.remove(column)));
            shared.insert(column.to_owned(), first);
        }
    }
    Some(json!({
        "shared": shared,
        "id": chart.quantity.column(),
        "steps": chart.steps,
        "low": range.low,
        "high": range.high,
        "cut": range.cut,
        // Whether a logarithmic axis is possible.
        "positive": Range::of(chart, true).is_some(),
        "log": chart.wants_log(),
        "baselines": chart.baselines.iter().map(|it| json!([it.label, short(it.value)])).collect::<Vec<_>>(),
        "lines": lines,
    }))
}

/// A curve as columns, with the extremes of its buckets if `band` is set. A non-finite value is null, and `holes` has
/// its kind.
fn line(line: &Curve, band: bool) -> Map<String, Value> {
    let of = |value: &dyn Fn(&Bucket) -> Option<f64>| -> Value {
        line.buckets.iter().map(|bucket| value(bucket).map(short)).collect::<Vec<_>>().into()
    };
    let mut columns = Map::new();
    columns.insert("run".to_owned(), line.run.0.into());
    columns.insert("place".to_owned(), line.place.into());
    columns.insert("onset".to_owned(), line.onset.into());
    columns.insert("holes".to_owned(), line.holes.iter().map(|it| json!([it.first, it.last, it.kind])).collect());
    columns.insert("x".to_owned(), line.buckets.iter().map(|bucket| bucket.first).collect::<Vec<_>>().into());
    columns.insert("mean".to_owned(), of(&Bucket::mean));
    if line.buckets.iter().any(|bucket| bucket.steps > 1) {
        columns.insert("n".to_owned(), line.buckets.iter().map(|bucket| bucket.steps).collect::<Vec<_>>().into());
    }
    if band && columns.contains_key("n") {
        columns.insert("low".to_owned(), of(&|bucket| bucket.minimum));
        columns.insert("high".to_owned(), of(&|bucket| bucket.maximum));
    }
    columns
}

/// Rounds to five digits, because more would be invisible in a plot.
fn short(x: f64) -> f64 {
    let places = 4i32.saturating_sub(x.abs().log10().floor() as i32);
    match places {
        // Powers of ten up to 10²² are exact, so a whole number divided by one is the double nearest to the decimal.
        0..=22 => (x * 10f64.powi(places)).round() / 10f64.powi(places),
        -22..0 => (x / 10f64.powi(-places)).round() * 10f64.powi(-places),
        _ => format!("{x:.4e}").parse().unwrap_or(x),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn five_digits_are_the_nearest_decimal() {
        let mut draws = 1u64;
        for x in [0.0, 1.0, -9.99999, 99_999.6, 6.907755278982137, 1e-300, 5e-324, 1e300, 0.1 + 0.2] {
            assert_eq!(short(x), format!("{x:.4e}").parse::<f64>().unwrap(), "{x}");
        }
        for place in 0..20_000 {
            draws = draws.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let x = (draws >> 11) as f64 / (1u64 << 53) as f64 * 10f64.powi(place % 60 - 30);
            assert_eq!(short(x), format!("{x:.4e}").parse::<f64>().unwrap(), "{x}");
        }
    }
}
