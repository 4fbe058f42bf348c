//! One run's loss curve, in braille dots: the envelope of all steps, so that no spike is missed.

use super::axis::{Frame, Scale};
use super::look::{Ink, Look};
use chart::Baseline;
use identity::Bucket;

/// Bits of the dots of a braille cell: two columns of four (Unicode block "Braille Patterns").
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
const BLANK: u32 = 0x2800;

/// The mark of an onset.
pub const ONSET: char = '▲';

/// Rows of the plot.
pub const ROWS: usize = 14;

/// Draws the curve of `steps` steps; empty if there is nothing to draw.
pub fn curve(look: Look, steps: i64, buckets: &[Bucket], baselines: &[Baseline]) -> String {
    with_onset(look, steps, buckets, baselines, None)
}

/// Draws the curve, and marks the onset in the run's verdict.
pub fn with_onset(look: Look, steps: i64, buckets: &[Bucket], baselines: &[Baseline], onset: Option<i64>) -> String {
    let Some(scale) = Scale::fit(buckets.iter(), baselines).filter(|_| !buckets.is_empty()) else {
        return String::new();
    };
    let mut frame = Frame::new(look, scale, baselines, steps, ROWS);
    onset.iter().for_each(|step| frame.point_at(*step as f64, ONSET, Ink::Bad));
    draw(&mut frame, buckets, Ink::Series(0));
    frame.render()
}

/// Draws a run into a frame, over what is already drawn.
pub fn draw(frame: &mut Frame<'_>, buckets: &[Bucket], ink: Ink) {
    let (rows, columns) = frame.size();
    // The highest and lowest dot in each column of dots.
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; columns * 2];
    for bucket in buckets {
        frame.mark_nonfinite(bucket);
        let (Some(minimum), Some(maximum)) = (bucket.minimum, bucket.maximum) else { continue };
        let (top, bottom) = (frame.row(maximum, 4), frame.row(minimum, 4));
        for column in frame.columns(bucket, 2) {
            let (a, b) = spans[column].unwrap_or((top, bottom));
            spans[column] = Some((a.min(top), b.max(bottom)));
        }
    }
    let mut dots = vec![vec![BLANK; columns]; rows];
    let mut before: Option<(usize, usize)> = None;
    for (column, span) in spans.iter().enumerate() {
        if let Some((top, bottom)) = *span {
            // A vertical gap between two neighbouring columns is filled with dots in the second column.
            let from = before.map_or(top, |(_, above)| top.min(above + 1)).min(top);
            let to = before.map_or(bottom, |(below, _)| bottom.max(below.saturating_sub(1))).max(bottom);
            for dot in from..=to {
                dots[dot / 4][column / 2] |= DOTS[column % 2][dot % 4];
            }
        }
        before = *span;
    }
    for (row, cells) in dots.iter().enumerate() {
        for (column, &code) in cells.iter().enumerate().filter(|(_, code)| **code != BLANK) {
            let cell = frame.cell(row, column);
            let under = match u32::from(cell.0) {
                dots @ BLANK..=0x28ff => dots,
                _ => BLANK,
            };
            *cell = (char::from_u32(code | under).unwrap_or(' '), ink);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::overlay::overlay;

    fn bucket(first: i64, steps: i64, losses: &[f64]) -> Bucket {
        let finite: Vec<f64> = losses.iter().copied().filter(|loss| loss.is_finite()).collect();
        Bucket {
            first,
            steps,
            finite: finite.len() as i64,
            minimum: finite.iter().copied().reduce(f64::min),
            maximum: finite.iter().copied().reduce(f64::max),
            sum: finite.iter().sum(),
            first_nonfinite: losses.iter().position(|loss| !loss.is_finite()).map(|at| first + at as i64),
        }
    }

    #[test]
    fn extreme_losses_are_drawn() {
        let curves: [&[f64]; 8] = [
            &[2.5],
            &[0.0, 0.0, 0.0],
            &[9.2, f64::NAN],
            &[9.2, f64::MAX, f64::MAX],
            &[1e-300, 2e-300],
            &[9.2, 1e30, 3.0],
            &[-0.0, 5e-324],
            &[2.0, 2.0 + f64::EPSILON],
        ];
        let baselines = [Baseline { label: "ln V".into(), value: 9.21 }];
        for losses in curves {
            let buckets: Vec<Bucket> =
                losses.iter().enumerate().map(|(step, loss)| bucket(step as i64, 1, &[*loss])).collect();
            for width in [20, 40, 80, 200] {
                let look = Look { width, ..Look::PLAIN };
                for baselines in [&baselines[..], &[]] {
                    let text = curve(look, losses.len() as i64, &buckets, baselines);
                    assert!(text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{losses:?}\n{text}");
                    assert!(width < 40 || text.lines().all(|line| line.chars().count() <= width), "{losses:?}\n{text}");
                    let (text, _) =
                        overlay(look, 1000, &[buckets.clone(), Vec::new(), buckets.clone()], &[], baselines);
                    assert!(text.contains('∗'), "{losses:?}\n{text}");
                }
            }
        }
    }

    #[test]
    fn a_run_without_a_finite_loss_shows_crosses() {
        let text = curve(Look::PLAIN, 2, &[bucket(0, 2, &[f64::NAN, f64::NAN])], &[]);
        assert_eq!(text, "", "without losses and baselines there is no scale");
        let baselines = [Baseline { label: "ln V".into(), value: 9.21 }];
        let text = curve(Look::PLAIN, 2, &[bucket(0, 2, &[f64::NAN, f64::NAN])], &baselines);
        assert!(text.contains("✗✗✗"), "{text}");
    }

    #[test]
    fn a_spike_of_one_step_reaches_its_height() {
        let mut buckets: Vec<Bucket> = (0..1000).map(|block| bucket(block * 1000, 1000, &[2.0, 2.1])).collect();
        buckets[700] = bucket(700_000, 1000, &[2.0, 7.0]);
        let text = curve(Look::PLAIN, 1_000_000, &buckets, &[]);
        let heights = text.lines().filter(|line| line.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c))).count();
        assert!(heights >= 12, "{text}");
    }
}
