//! The loss curves of several runs in one plot, distinguished by marks that need no colour.

use super::axis::{Frame, Scale};
use super::look::{Ink, Look};
use chart::Baseline;
use identity::Bucket;

/// The marks of the runs, by position. From the thirteenth run on, they repeat.
const MARKS: [char; 12] = ['●', '○', '×', '+', '▲', '△', '■', '□', '◆', '◇', '▼', '▽'];

/// The mark of a cell that several runs share.
pub const SEVERAL: char = '∗';

/// Rows of the plot.
pub const ROWS: usize = 16;

/// The mark of the run at `place`.
pub fn mark(place: usize) -> char {
    MARKS[place % MARKS.len()]
}

/// The losses of one run in one column.
#[derive(Debug, Clone, Copy, Default)]
struct ValueRange {
    sum: f64,
    finite: i64,
    extremes: Option<(f64, f64)>,
}

impl ValueRange {
    fn mean(&self) -> f64 {
        let (low, high) = self.extremes.unwrap_or_default();
        // The sum of losses near the largest float overflows, but their mean lies between the extremes.
        (self.sum / self.finite.max(1) as f64).clamp(low, high)
    }
}

/// Draws the curves: each run's mean with its mark, and losses three or more rows from the mean with `│`. A run's mark
/// on the axis shows its onset, if it has one. Returns the text, empty if there is nothing to draw, and whether runs
/// share a cell.
pub fn overlay(
    look: Look,
    steps: i64,
    runs: &[Vec<Bucket>],
    onsets: &[Option<i64>],
    baselines: &[Baseline],
) -> (String, bool) {
    let Some(scale) = Scale::fit(runs.iter().flatten(), baselines).filter(|_| runs.iter().any(|run| !run.is_empty()))
    else {
        return (String::new(), false);
    };
    let mut frame = Frame::new(look, scale, baselines, steps, ROWS);
    for (place, onset) in onsets.iter().enumerate() {
        onset.iter().for_each(|step| frame.mark_onset(*step, mark(place), Ink::Series(place)));
    }
    draw(frame, runs)
}

/// Draws the curves into a frame.
pub fn draw(mut frame: Frame<'_>, runs: &[Vec<Bucket>]) -> (String, bool) {
    let all: Vec<Vec<ValueRange>> = runs.iter().map(|buckets| spans(&mut frame, buckets)).collect();
    for (place, spans) in all.iter().enumerate() {
        for (column, span) in spans.iter().enumerate() {
            let Some((low, high)) = span.extremes else { continue };
            // Noise of up to two rows is not drawn, because it would hide the other runs.
            let (top, bottom, middle) = (frame.row(high, 1), frame.row(low, 1), frame.row(span.mean(), 1));
            let start = if top + 2 < middle { top } else { middle };
            let end = if middle + 2 < bottom { bottom } else { middle };
            for row in start..=end {
                let cell = frame.cell(row, column);
                *cell = if cell.0 == ' ' { ('│', Ink::Series(place)) } else { ('│', Ink::Dim) };
            }
        }
    }
    let mut met = false;
    for (place, spans) in all.iter().enumerate() {
        for (column, span) in spans.iter().enumerate() {
            if span.extremes.is_none() {
                continue;
            }
            let row = frame.row(span.mean(), 1);
            let cell = frame.cell(row, column);
            let free = matches!(cell.0, ' ' | '│');
            met |= !free;
            *cell = if free { (mark(place), Ink::Series(place)) } else { (SEVERAL, Ink::Plain) };
        }
    }
    (frame.render(), met)
}

fn spans(frame: &mut Frame<'_>, buckets: &[Bucket]) -> Vec<ValueRange> {
    let mut spans = vec![ValueRange::default(); frame.size().1];
    for bucket in buckets {
        frame.mark_nonfinite(bucket);
        let (Some(minimum), Some(maximum)) = (bucket.minimum, bucket.maximum) else { continue };
        for column in frame.columns(bucket, 1) {
            let span = &mut spans[column];
            let (low, high) = span.extremes.unwrap_or((minimum, maximum));
            *span = ValueRange {
                sum: span.sum + bucket.sum,
                finite: span.finite + bucket.finite,
                extremes: Some((low.min(minimum), high.max(maximum))),
            };
        }
    }
    spans
}
