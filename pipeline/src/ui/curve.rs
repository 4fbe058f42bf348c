//! One run's loss curve, in braille dots: the envelope of all steps, so that no spike is missed.

use super::axis::{Baseline, Frame, Scale};
use super::look::{Ink, Look};
use crate::record::read::Bucket;

/// Dots of a braille cell: two columns of four (Unicode, block "Braille Patterns").
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
const BLANK: u32 = 0x2800;

/// Rows of the plot.
const ROWS: usize = 14;

/// Draws the curve of `steps` steps; empty when there is nothing to draw.
pub fn curve(look: Look, steps: i64, buckets: &[Bucket], baselines: &[Baseline]) -> String {
    let Some(scale) = Scale::fit(buckets.iter(), baselines).filter(|_| !buckets.is_empty()) else {
        return String::new();
    };
    let mut frame = Frame::new(look, scale, baselines, steps, ROWS);
    let (rows, columns) = frame.size();
    // The highest and the lowest dot of each column of dots.
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
            // A fall or rise between two columns is drawn as a line down or up in the second.
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
            *frame.cell(row, column) = (char::from_u32(code).unwrap_or(' '), Ink::Series(0));
        }
    }
    frame.render()
}
