//! The frame of a plot: scale, labels, baselines, and an axis of steps or learning rates.

use unicode_width::UnicodeWidthStr as _;

use super::format;
use super::look::{Ink, Look};
use chart::Baseline;
use chart::axis::{nice, tick_label};
use identity::Bucket;

/// Columns left of a plot, for labels and the axis.
const LEFT: usize = 9;

/// Maps losses to rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    /// The distance between two ticks; `None` for a logarithmic scale, where `low` and `high` are exponents of ten.
    step: Option<f64>,
}

impl Scale {
    /// A scale that holds every finite loss and every baseline; `None` if there are none.
    ///
    /// If a loss rose to more than four times the highest initial loss and baseline, the scale is logarithmic: on a
    /// linear scale, the rest of the curve would be a flat line at the bottom.
    pub fn fit<'a>(buckets: impl Iterator<Item = &'a Bucket>, baselines: &[Baseline]) -> Option<Self> {
        let (mut low, mut high, mut reference) = (f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
        for bucket in buckets {
            low = low.min(bucket.minimum.unwrap_or(f64::INFINITY));
            high = high.max(bucket.maximum.unwrap_or(f64::NEG_INFINITY));
            if bucket.first == 0 {
                reference = reference.max(bucket.minimum.unwrap_or(f64::NEG_INFINITY));
            }
        }
        for baseline in baselines {
            low = low.min(baseline.value);
            high = high.max(baseline.value);
            reference = reference.max(baseline.value);
        }
        if low > high {
            return None;
        }
        if low > 0.0 && high > 4.0 * reference {
            return Some(Self { low: low.log10(), high: high.log10().max(low.log10() + 0.1), step: None });
        }
        let step = nice((high - low).max(1e-9) / 4.0);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        Some(Self { low, high: if high > low { high } else { low + step }, step: Some(step) })
    }

    /// The highest loss on the scale.
    pub fn top(&self) -> f64 {
        if self.step.is_none() { 10f64.powf(self.high) } else { self.high }
    }

    /// The row of a loss among `rows`, counted from the top.
    pub fn row(&self, loss: f64, rows: usize) -> usize {
        let place = if self.step.is_none() { loss.log10() } else { loss };
        let share = (self.high - place) / (self.high - self.low);
        ((share * (rows - 1) as f64).round().max(0.0) as usize).min(rows - 1)
    }

    fn ticks(&self) -> Vec<f64> {
        if let Some(step) = self.step {
            let n = ((self.high - self.low) / step).round() as i32;
            return (0..=n).map(|i| self.low + f64::from(i) * step).collect();
        }
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        let every = ((last - first) / 6).max(1);
        let factors: &[f64] = if last - first <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        (first..=last)
            .step_by(every.unsigned_abs() as usize)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
            .filter(|tick| (self.low..=self.high).contains(&tick.log10()))
            .collect()
    }
}

/// The cells of a plot, and what surrounds them.
pub struct Frame<'a> {
    look: Look,
    scale: Scale,
    baselines: &'a [Baseline],
    steps: i64,
    /// The learning rates of the first and last step, for an axis of rates. They rise by a constant factor per step.
    rates: Option<(f64, f64)>,
    cells: Vec<Vec<(char, Ink)>>,
    /// Columns with a loss that is not finite.
    nonfinite: Vec<bool>,
    /// Marks on the axis, by column.
    marks: Vec<Option<(char, Ink)>>,
}

impl<'a> Frame<'a> {
    /// An empty plot of `steps` steps, `rows` high and as wide as the screen allows.
    pub fn new(look: Look, scale: Scale, baselines: &'a [Baseline], steps: i64, rows: usize) -> Self {
        let right = baselines.iter().map(|baseline| baseline.to_string().width() + 1).max().unwrap_or(0).max(6);
        let columns = look.width.min(120).saturating_sub(LEFT + right).max(16);
        Self::sized(look, scale, baselines, steps, (rows, columns))
    }

    /// An empty plot of the given rows and columns of cells.
    pub fn sized(
        look: Look,
        scale: Scale,
        baselines: &'a [Baseline],
        steps: i64,
        (rows, columns): (usize, usize),
    ) -> Self {
        let cells = vec![vec![(' ', Ink::Plain); columns]; rows];
        let (nonfinite, marks) = (vec![false; columns], vec![None; columns]);
        Self { look, scale, baselines, steps: steps.max(1), rates: None, cells, nonfinite, marks }
    }

    /// Labels the axis with learning rates, which rise from `from` to `to` by a constant factor per step.
    pub fn over_rates(mut self, from: f64, to: f64) -> Self {
        self.rates = Some((from, to));
        self
    }

    /// The number of rows and the number of columns of cells.
    pub fn size(&self) -> (usize, usize) {
        (self.cells.len(), self.nonfinite.len())
    }

    /// The row of a loss, if each cell has `dots` rows of dots.
    pub fn row(&self, loss: f64, dots: usize) -> usize {
        self.scale.row(loss, self.cells.len() * dots)
    }

    /// The columns that a bucket covers, if each cell has `dots` columns of dots.
    pub fn columns(&self, bucket: &Bucket, dots: usize) -> std::ops::Range<usize> {
        let whole = (self.nonfinite.len() * dots) as i128;
        let at = |step: i64, up: i128| ((i128::from(step) * whole + up) / i128::from(self.steps)) as usize;
        let start = at(bucket.first, 0).min(whole as usize - 1);
        start..at(bucket.first + bucket.steps, i128::from(self.steps) - 1).clamp(start + 1, whole as usize)
    }

    /// Marks the columns of a bucket, from its first non-finite loss on.
    pub fn mark_nonfinite(&mut self, bucket: &Bucket) {
        let Some(first) = bucket.first_nonfinite else { return };
        let steps = bucket.first + bucket.steps - first;
        for column in self.columns(&Bucket { first, steps, ..bucket.clone() }, 1) {
            self.nonfinite[column] = true;
        }
    }

    /// Marks a step on the axis.
    pub fn mark_onset(&mut self, step: i64, mark: char, ink: Ink) {
        let column = (i128::from(step) * self.marks.len() as i128 / i128::from(self.steps)) as usize;
        let last = self.marks.len() - 1;
        self.marks[column.min(last)] = Some((mark, ink));
    }

    /// Points at a step, possibly a fractional one, with a mark on the axis and a vertical line above it. If two marks
    /// fall into one column, the first is shown.
    pub fn point_at(&mut self, step: f64, mark: char, ink: Ink) {
        let columns = self.marks.len();
        let column = (((step + 0.5) / self.steps as f64 * columns as f64) as usize).min(columns - 1);
        self.cells.iter_mut().filter(|row| row[column].0 == ' ').for_each(|row| row[column] = ('┊', Ink::Dim));
        self.marks[column].get_or_insert((mark, ink));
    }

    /// The cell in a row and a column.
    pub fn cell(&mut self, row: usize, column: usize) -> &mut (char, Ink) {
        &mut self.cells[row][column]
    }

    /// The label and the cells of each row, as text.
    pub fn lines(&mut self) -> Vec<(String, String)> {
        let (look, rows) = (self.look, self.cells.len());
        let mut ticks = vec![String::new(); rows];
        for tick in self.scale.ticks() {
            ticks[self.scale.row(tick, rows)] = tick_label(tick);
        }
        for baseline in self.baselines {
            let row = self.scale.row(baseline.value, rows);
            for cell in self.cells[row].iter_mut().filter(|cell| cell.0 == ' ') {
                *cell = ('┄', Ink::Dim);
            }
        }
        let line = |(tick, cells): (&String, &Vec<(char, Ink)>)| {
            let edge = if tick.is_empty() { '│' } else { '┤' };
            (look.paint(Ink::Dim, &format!("{tick:>7} {edge}")), painted(look, cells))
        };
        ticks.iter().zip(&self.cells).map(line).collect()
    }

    /// The title of the plot: quantity, unit and axis.
    pub fn unit(&self) -> String {
        let logarithmic = if self.scale.step.is_none() { " (logarithmic)" } else { "" };
        let along = if self.rates.is_none() { "step" } else { "learning rate" };
        self.look.paint(Ink::Dim, &format!("loss in nats{logarithmic}, by {along}"))
    }

    /// The plot as text.
    pub fn render(mut self) -> String {
        let look = self.look;
        let rows = self.cells.len();
        let mut labels = vec![String::new(); rows];
        let mut ascending: Vec<&Baseline> = self.baselines.iter().collect();
        ascending.sort_by(|a, b| a.value.total_cmp(&b.value));
        // If two baselines share a row, the label of the higher one moves up a row. A label that would have to move
        // further is left out, because it would seem to belong to another row.
        let mut above = rows;
        for baseline in ascending {
            let row = self.scale.row(baseline.value, rows);
            if above > 0 && row <= above {
                above = row.min(above - 1);
                labels[above] = baseline.to_string();
            }
        }
        let mut text = format!("{}\n", self.unit());
        for ((left, cells), label) in self.lines().into_iter().zip(labels) {
            let line = format!("{left}{cells}{}", look.paint(Ink::Dim, &format!(" {label}")));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push_str(&self.whole_axis());
        text
    }

    /// The axis line, with ticks in the columns `ticks`.
    pub fn axis(&self, ticks: &[usize]) -> String {
        let mut axis: Vec<(char, Ink)> = vec![('─', Ink::Dim); self.nonfinite.len() + 1];
        ticks.iter().for_each(|column| axis[*column].0 = '┬');
        for (column, cell) in axis.iter_mut().take(self.nonfinite.len()).enumerate() {
            if self.nonfinite[column] {
                *cell = ('✗', Ink::Bad);
            }
            *cell = self.marks[column].unwrap_or(*cell);
        }
        painted(self.look, &axis)
    }

    /// The columns of ticks, and their labels.
    fn ticks(&self) -> Vec<(usize, String)> {
        let columns = self.nonfinite.len();
        if let Some((from, to)) = self.rates {
            let decades = (to / from).log10();
            let factors: &[f64] = if decades > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let powers = from.log10().floor() as i32..=to.log10().ceil() as i32;
            let rates = powers.flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
            // The tick of a rate is in the middle of its step.
            let share =
                |rate: f64| ((rate / from).log10() / decades * (self.steps - 1) as f64 + 0.5) / self.steps as f64;
            let place = |rate: f64| ((share(rate) * columns as f64).max(0.0) as usize).min(columns);
            let inside = rates.filter(|rate| (from * 0.999..=to * 1.001).contains(rate));
            return inside.map(|rate| (place(rate), tick_label(rate))).collect();
        }
        let step = (nice(self.steps as f64 / 5.0) as i64).max(1);
        let place = |step: i64| (i128::from(step) * columns as i128 / i128::from(self.steps)) as usize;
        (0..=self.steps / step).map(|i| (place(i * step), format::count(i * step))).collect()
    }

    fn whole_axis(&self) -> String {
        let ticks = self.ticks();
        let corner = self.look.paint(Ink::Dim, &format!("{:>LEFT$}", '└'));
        let line = corner + &self.axis(&ticks.iter().map(|tick| tick.0).collect::<Vec<_>>());
        let mut numbers = String::new();
        for (column, label) in ticks {
            let end = self.look.width.saturating_sub(label.width());
            let at = (LEFT + column).saturating_sub(label.width() / 2).min(end);
            if at > numbers.width() || numbers.is_empty() {
                numbers = format!("{numbers}{}{label}", " ".repeat(at - numbers.width()));
            }
        }
        format!("{line}\n{}\n", self.look.paint(Ink::Dim, &numbers))
    }
}

/// Cells as text.
fn painted(look: Look, cells: &[(char, Ink)]) -> String {
    let runs = cells.chunk_by(|a, b| a.1 == b.1);
    runs.map(|run| look.paint(run[0].1, &run.iter().map(|cell| cell.0).collect::<String>())).collect()
}
