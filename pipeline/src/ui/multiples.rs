//! Small multiples: the loss curves of many runs, a panel each, on common axes, so that their shapes can be told apart at a
//! glance.

use unicode_width::UnicodeWidthStr as _;

use super::axis::{Frame, Scale};
use super::curve::{self, ONSET};
use super::format;
use super::look::{Ink, Look};
use chart::Baseline;
use identity::Bucket;

/// Rows of a panel.
const ROWS: usize = 7;

/// Columns of the labels left of the first panel of a row, the axis included.
const LEFT: usize = 9;

/// The least columns of a panel, and those between two.
const LEAST: usize = 20;
const GAP: usize = 2;

/// One panel.
#[derive(Debug)]
pub struct Panel<'a> {
    /// Lines above it, as many as every other has.
    pub title: Vec<(String, Ink)>,
    pub ink: Ink,
    /// One run or several.
    pub runs: Vec<&'a [Bucket]>,
    pub onsets: Vec<i64>,
}

/// What stands at the top of a panel where a loss lies above it.
pub const ABOVE: char = '↑';

/// How far above where losses begin, and above every baseline, the axis reaches: a run that leaves leaves the panel, and the
/// shapes of the others can still be seen.
const ROOM: f64 = 1.25;

/// Draws the panels, two or three across on 80 columns, and says whether a loss lies above them; empty when there is nothing
/// to draw.
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
    // Titles stand whole, where that leaves two panels or more beside each other.
    let most = most.min(((room + GAP) / (titles + GAP)).max(2));
    // Full rows look better than one that is nearly empty.
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
        // The axis has a cell more than the plot, which the gap has room for.
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

/// Adds a line of panels beside each other.
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
