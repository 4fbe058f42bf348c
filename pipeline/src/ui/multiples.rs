//! Small multiples: the loss curves of many runs, one panel each, on common axes, so that their shapes can be compared
//! at a glance.

use unicode_width::UnicodeWidthStr as _;

use super::axis::{Frame, Scale};
use super::curve::{self, ONSET};
use super::format;
use super::look::{Ink, Look};
use chart::Baseline;
use identity::Bucket;

/// Rows of a panel.
const ROWS: usize = 7;

/// Columns left of the first panel in a row, for labels and the axis.
const LEFT: usize = 9;

/// The minimum width of a panel, and the gap between two.
const LEAST: usize = 20;
const GAP: usize = 2;

/// One panel.
#[derive(Debug)]
pub struct Panel<'a> {
    /// The lines above the panel.
    pub title: Vec<(String, Ink)>,
    pub ink: Ink,
    /// The losses of the runs in the panel.
    pub runs: Vec<&'a [Bucket]>,
    pub onsets: Vec<i64>,
}

/// The mark at the top of a panel for a loss above it.
pub const ABOVE: char = '↑';

/// The axis ends at this multiple of the highest initial loss or baseline. The curve of a diverged run leaves the
/// panel, so that the other curves stay visible.
const ROOM: f64 = 1.25;

/// Draws the panels, two or three side by side on 80 columns. Returns the text, empty if there is nothing to draw, and
/// whether a loss is above the axis.
pub fn multiples(look: Look, steps: i64, panels: &[Panel<'_>], baselines: &[Baseline]) -> (String, bool) {
    let all = || panels.iter().flat_map(|panel| &panel.runs).flat_map(|buckets| buckets.iter());
    let begin = all().filter(|bucket| bucket.first == 0).filter_map(|bucket| bucket.minimum);
    let most = begin.chain(baselines.iter().map(|line| line.value)).reduce(f64::max).filter(|most| *most > 0.0);
    let cut = |loss: Option<f64>| Some(loss?.min(most.map_or(f64::INFINITY, |most| most * ROOM)));
    let seen = all().map(|it| Bucket { minimum: cut(it.minimum), maximum: cut(it.maximum), ..it.clone() });
    let seen: Vec<Bucket> = seen.collect();
    let Some(scale) = Scale::fit(seen.iter(), baselines).filter(|_| !seen.is_empty()) else {
        return (String::new(), false);
    };
    let mut above = false;
    let room = look.width.min(160).saturating_sub(LEFT + 1);
    let titles = panels.iter().flat_map(|panel| &panel.title).map(|line| line.0.width()).max().unwrap_or(0);
    let most = ((room + GAP) / (LEAST + GAP)).clamp(1, 5);
    // Titles are shown in full, if at least two panels still fit side by side.
    let most = most.min(((room + GAP) / (titles + GAP)).max(2));
    // Evenly filled rows look better than a nearly empty last row.
    let rows = panels.len().div_ceil(most);
    let across = panels.len().div_ceil(rows);
    let columns = ((room + GAP) / across.max(2)).saturating_sub(GAP).clamp(8, 60);
    let mut text = String::new();
    for panels in panels.chunks(across) {
        let mut frames: Vec<Frame<'_>> = Vec::new();
        for panel in panels {
            let mut frame = Frame::sized(look, scale, baselines, steps, (ROWS, columns));
            for buckets in &panel.runs {
                curve::draw(&mut frame, buckets, panel.ink);
                for bucket in buckets.iter().filter(|bucket| bucket.maximum.is_some_and(|most| most > scale.top())) {
                    above = true;
                    frame.columns(bucket, 1).for_each(|column| *frame.cell(0, column) = (ABOVE, Ink::Bad));
                }
            }
            panel.onsets.iter().for_each(|step| frame.mark_onset(*step, ONSET, Ink::Bad));
            frames.push(frame);
        }
        text.push_str(&if text.is_empty() { format!("{}\n", frames[0].unit()) } else { "\n".to_owned() });
        let lines = panels.iter().map(|panel| panel.title.len()).max().unwrap_or(0);
        for line in 0..lines {
            let title = |panel: &Panel<'_>| {
                let (words, ink) = panel.title.get(line).cloned().unwrap_or_default();
                let words = format::cut(&words, columns);
                format!("{}{}", look.paint(ink, &words), " ".repeat(columns - words.width()))
            };
            push(&mut text, LEFT, &panels.iter().map(title).collect::<Vec<_>>());
        }
        let drawn: Vec<Vec<(String, String)>> = frames.iter_mut().map(Frame::lines).collect();
        for row in 0..ROWS {
            text.push_str(&drawn[0][row].0);
            push(&mut text, 0, &drawn.iter().map(|lines| lines[row].1.clone()).collect::<Vec<_>>());
        }
        text.push_str(&look.paint(Ink::Dim, &format!("{:>LEFT$}", '└')));
        // The axis is one cell wider than the plot; the gap has room for it.
        let axes: Vec<String> = frames.iter().map(|frame| frame.axis(&[0, columns])).collect();
        text.push_str(axes.join(&" ".repeat(GAP - 1)).trim_end());
        text.push('\n');
        let end = format::count(steps);
        let numbers = format!("0{}{end} ", " ".repeat(columns.saturating_sub(end.width() + 1)));
        let numbers = vec![look.paint(Ink::Dim, numbers.trim_end()); panels.len()];
        push(&mut text, LEFT, &numbers);
    }
    (text, above)
}

/// Adds one line of text, from the parts that belong to panels side by side.
fn push(text: &mut String, left: usize, parts: &[String]) {
    let line = format!("{}{}", " ".repeat(left), parts.join(&" ".repeat(GAP)));
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(losses: &[f64]) -> Vec<Bucket> {
        let bucket = |(first, loss): (usize, &f64)| Bucket {
            first: first as i64,
            steps: 1,
            finite: i64::from(loss.is_finite()),
            minimum: Some(*loss).filter(|loss| loss.is_finite()),
            maximum: Some(*loss).filter(|loss| loss.is_finite()),
            sum: if loss.is_finite() { *loss } else { 0.0 },
            first_nonfinite: (!loss.is_finite()).then_some(first as i64),
        };
        losses.iter().enumerate().map(bucket).collect()
    }

    #[test]
    fn panels_fit_any_width_and_none_is_lost() {
        let falls = buckets(&[9.2, 8.0, 7.0, 6.5, 6.2, 6.1]);
        let rises = buckets(&[9.2, 30.0, 90.0, f64::NAN]);
        for n in [1usize, 2, 3, 4, 5, 7, 12] {
            for width in [40, 60, 80, 120, 200] {
                let panel = |at: usize| Panel {
                    title: vec![(format!("run{at} learning_rate=0.1"), Ink::Bold), ("stable".to_owned(), Ink::Good)],
                    ink: Ink::Plain,
                    runs: vec![if at.is_multiple_of(2) { &falls } else { &rises }],
                    onsets: if at.is_multiple_of(2) { Vec::new() } else { vec![1] },
                };
                let panels: Vec<Panel<'_>> = (0..n).map(panel).collect();
                let lines = [Baseline { label: "ln V".into(), value: 9.21 }];
                let (text, above) = multiples(Look { width, ..Look::PLAIN }, 6, &panels, &lines);
                assert!(text.lines().all(|line| line.width() <= width), "{n} {width}\n{text}");
                assert_eq!(text.matches("run").count(), n, "{text}");
                assert_eq!(above, n > 1);
                assert_eq!(text.matches('▲').count(), n / 2, "{text}");
            }
        }
        assert_eq!(multiples(Look::PLAIN, 0, &[], &[]).0, "");
    }
}
