//! Parallel coordinates: one axis per parameter that differs, a last axis for the outcome, and one line per run.

use maud::{Markup, html};

use crate::axis::{nice, tick_label};
use crate::chart::CROWD;
use crate::colours;
use crate::labels::{chosen, spread, width};
use crate::svg::FONT;
use crate::text::{NOTHING, cut};
use identity::RunId;

/// A parameter value or an outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// `None` for a value that is not a number, and for a missing or non-finite outcome.
    pub number: Option<f64>,
    /// The text to show.
    pub words: String,
}

/// A run with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Strand {
    /// The run.
    pub run: RunId,
    /// Its name.
    pub label: String,
    /// Its position among the runs, which determines its colour.
    pub place: usize,
    /// One value per axis; `None` if the run has no such parameter.
    pub values: Vec<Option<Value>>,
    /// The outcome, without a number if it is missing or not finite.
    pub outcome: Value,
}

/// The most axes that fit side by side.
pub const MOST_AXES: usize = 9;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 340.0;
const TOP: f64 = 46.0;
const FLOOR: f64 = HEIGHT - 22.0;
const LEFT: f64 = 70.0;

/// An axis with the heights of its values.
struct Axis {
    name: String,
    ticks: Vec<(f64, String)>,
    /// The height of each run's value.
    heights: Vec<f64>,
}

/// The picture; empty if no parameter differs or there are fewer than two runs.
pub fn svg(names: &[String], outcome: &str, strands: &[Strand]) -> Markup {
    if names.is_empty() || strands.len() < 2 {
        return html! {};
    }
    let mut axes: Vec<Axis> =
        names.iter().take(MOST_AXES).enumerate().map(|(at, name)| of_values(name, at, strands)).collect();
    axes.push(of_losses(outcome, strands));
    let ends: Vec<String> = strands.iter().map(|strand| cut(&strand.label, 30)).collect();
    let right = WIDTH - ends.iter().map(|end| width(end) * 12.0 + 20.0).fold(60.0, f64::max).min(260.0);
    let x = |at: usize| LEFT + at as f64 / (axes.len() - 1) as f64 * (right - LEFT);
    let last = axes.last().map(|axis| axis.heights.clone()).unwrap_or_default();
    let named = chosen(&last, ((FLOOR - TOP) / 14.0) as usize);
    let labels = spread(&named.iter().map(|place| last[*place]).collect::<Vec<_>>(), 14.0, TOP, FLOOR);
    let label = |place: usize| named.iter().position(|it| *it == place).map(|at| labels[at]);
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" font-family=(FONT) font-size="12"
            aria-label=(format!("{} and the {outcome} of {} runs", names.join(", "), strands.len())) {
            g fill="none" stroke-width="2" { @for (place, strand) in strands.iter().enumerate() {
                @let points: Vec<String> = axes.iter().enumerate()
                    .map(|(at, axis)| format!("{:.1},{:.1}", x(at), axis.heights[place])).collect();
                g class="strand" data-run=(strand.run.0) {
                    title { (strand.label) ": " (strand.outcome.words) }
                    path class=(format!("s{}", colours::class(strand.place))) d=(format!("M{}", points.join("L")))
                        stroke-dasharray=[colours::dashes(strand.place)] {}
                    @for (at, axis) in axes.iter().enumerate().filter(|_| strands.len() <= CROWD) {
                        circle class=(format!("f{}", colours::class(strand.place))) cx=(format!("{:.1}", x(at)))
                            cy=(format!("{:.1}", axis.heights[place])) r="3" {}
                    }
                    @if let Some(y) = label(place) {
                        text class=(format!("f{}", colours::class(strand.place))) x=(format!("{:.1}", right + 12.0))
                            y=(format!("{:.1}", y + 4.0)) { (ends[place]) }
                    }
                }
            } }
            @for (at, axis) in axes.iter().enumerate() {
                line class="base" x1=(format!("{:.1}", x(at))) x2=(format!("{:.1}", x(at))) y1=(TOP) y2=(FLOOR) {}
                text class="ink" x=(format!("{:.1}", x(at))) y=(if at % 2 == 0 { 16 } else { 30 }) text-anchor="middle" { (axis.name) }
                @for (y, label) in &axis.ticks {
                    text class="faint halo" x=(format!("{:.1}", x(at) - 7.0)) y=(format!("{:.1}", y + 4.0)) text-anchor="end" { (label) }
                }
            }
        }
    }
}

fn of_values(name: &str, at: usize, strands: &[Strand]) -> Axis {
    let values: Vec<Option<&Value>> =
        strands.iter().map(|strand| strand.values.get(at).and_then(Option::as_ref)).collect();
    let numbers: Option<Vec<f64>> = values.iter().map(|value| value.and_then(|it| it.number)).collect();
    if let Some(numbers) = numbers {
        return scaled(name, &numbers, 0.0);
    }
    // Values that are not numbers, or a parameter that some runs lack: one height per distinct value.
    let word = |value: &Option<&Value>| value.map_or(NOTHING.to_owned(), |value| cut(&value.words, 16));
    let mut words: Vec<String> = Vec::new();
    for value in &values {
        if !words.contains(&word(value)) {
            words.push(word(value));
        }
    }
    let height = |of: usize| FLOOR - (of as f64 + 0.5) / words.len() as f64 * (FLOOR - TOP);
    Axis {
        name: cut(name, 24),
        heights: values
            .iter()
            .map(|value| height(words.iter().position(|it| *it == word(value)).unwrap_or(0)))
            .collect(),
        ticks: words.iter().enumerate().map(|(place, word)| (height(place), word.clone())).collect(),
    }
}

/// The axis of losses. Non-finite and missing losses are at its top, above all others.
fn of_losses(name: &str, strands: &[Strand]) -> Axis {
    let losses: Vec<f64> = strands.iter().map(|strand| strand.outcome.number.unwrap_or(f64::NAN)).collect();
    let broken = losses.iter().any(|loss| loss.is_nan());
    let mut axis = scaled(name, &losses, if broken { 26.0 } else { 0.0 });
    if broken {
        axis.ticks.push((TOP, "none".to_owned()));
    }
    axis
}

/// An axis of numbers. The highest finite number lies `below` units under the top; non-finite numbers are at the top.
fn scaled(name: &str, numbers: &[f64], below: f64) -> Axis {
    let finite = || numbers.iter().copied().filter(|x| x.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    // The axis is logarithmic if the values span a factor of 8 or more, for example because a loss diverged.
    let log = low > 0.0 && high / low >= 8.0;
    let at = |x: f64| if log { x.log10() } else { x };
    let share = |x: f64| if high > low { (at(x) - at(low)) / (at(high) - at(low)) } else { 0.5 };
    let height = |x: f64| if x.is_finite() { FLOOR - share(x) * (FLOOR - TOP - below) } else { TOP };
    let mut marked: Vec<f64> = finite().collect();
    marked.sort_by(f64::total_cmp);
    marked.dedup();
    if marked.len() > 8 {
        let step = nice((high - low) / 6.0);
        marked = match log {
            true => (low.log10().ceil() as i32..=high.log10().floor() as i32).map(|power| 10f64.powi(power)).collect(),
            false => ((low / step).ceil() as i64..=(high / step).floor() as i64).map(|i| i as f64 * step).collect(),
        };
    }
    // A label that would touch the previous one is dropped.
    let mut ticks: Vec<(f64, String)> = Vec::new();
    for value in marked {
        if ticks.last().is_none_or(|(y, _)| (y - height(value)).abs() >= 12.0) {
            ticks.push((height(value), tick_label(format!("{value:.3e}").parse().unwrap_or(value))));
        }
    }
    Axis { name: cut(name, 24), heights: numbers.iter().map(|x| height(*x)).collect(), ticks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_order_and_nonfinite_ones_are_above() {
        let strand = |run: i64, rate: f64, rule: &str, loss: Option<f64>| Strand {
            run: RunId(run),
            label: format!("run{run}"),
            place: run as usize,
            values: vec![
                Some(Value { number: Some(rate), words: rate.to_string() }),
                Some(Value { number: None, words: rule.to_owned() }),
            ],
            outcome: Value { number: loss, words: loss.map_or("nan".to_owned(), |loss| loss.to_string()) },
        };
        let strands =
            [strand(1, 0.001, "sgd", Some(5.0)), strand(2, 0.01, "adam", Some(4.0)), strand(3, 100.0, "sgd", None)];
        let rates = of_values("rate", 0, &strands);
        assert_eq!((rates.heights[0], rates.heights[2]), (FLOOR, TOP));
        // A fifth of the way up a logarithmic axis.
        assert!((rates.heights[1] - (FLOOR - 0.2 * (FLOOR - TOP))).abs() < 1e-9);
        assert_eq!(of_values("rule", 1, &strands).ticks.len(), 2);
        let losses = of_losses("valid loss", &strands);
        assert_eq!(losses.heights[2], TOP);
        assert!(losses.heights[0] > TOP && losses.heights[0] < losses.heights[1]);
        let text = svg(&["rate".to_owned(), "<rule>".to_owned()], "valid loss", &strands).into_string();
        assert!(text.contains("&lt;rule&gt;") && text.matches("class=\"strand\"").count() == 3, "{text}");
    }
}
