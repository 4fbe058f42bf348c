//! Where the curves of a picture are drawn, and where a step and a value lie there.

use crate::chart::Chart;
use crate::range::Range;

/// Where the curves begin, from the picture's left edge.
pub const LEFT: f64 = 58.0;

/// The part of a picture that holds the curves.
pub struct PlotArea<'a> {
    pub chart: &'a Chart,
    pub range: Range,
    pub right: f64,
    pub top: f64,
    pub floor: f64,
    /// Steps of a bucket.
    pub bucket: i64,
}

impl PlotArea<'_> {
    /// Where a step lies.
    pub fn x(&self, step: f64) -> f64 {
        LEFT + step / self.chart.steps.max(1) as f64 * (self.right - LEFT)
    }

    /// Where a value lies; what leaves the picture does so with its own slope, but not to infinity.
    pub fn y(&self, value: f64) -> f64 {
        let share = self.range.share(value).clamp(-20.0, 20.0);
        self.floor - share * (self.floor - self.top)
    }
}

/// A place with one decimal: a tenth of a pixel is not seen.
pub fn px(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}
