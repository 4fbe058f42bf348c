//! Medians, means and deviations of losses, and how many steps a mean or a deviation takes.

/// Steps of a mean that stands for the loss at a step: a single batch says little.
pub const MEAN: usize = 10;

/// Steps of a mean that stands for what has risen.
pub const FEW: usize = 5;

/// Means in a row, with no step in common, from which on a course tells how much they differ.
pub const ENOUGH: usize = 60;

/// Steps up to which nothing is known of a run's own noise.
pub const SHORT: usize = ENOUGH * FEW;

/// The middle of some values, the mean of the two in the middle of an even number; `None` of none.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => None,
        _ if n % 2 == 1 => Some(values[n / 2]),
        _ => Some((values[n / 2 - 1] + values[n / 2]) / 2.0),
    }
}

/// The quarters of a run, of values that are enough to tell how much they differ.
pub fn quarters(values: &[f64]) -> impl Iterator<Item = &[f64]> {
    values.chunks((values.len() / 4).max(2 * MEAN)).filter(|quarter| quarter.len() >= MEAN)
}

/// How much values differ from one another: their robust deviation (1.4826 · MAD).
pub fn spread(values: &[f64]) -> Option<f64> {
    let middle = median(values.iter().copied())?;
    Some(1.4826 * median(values.iter().map(|value| (value - middle).abs()))?)
}

/// By step: the mean of the ten losses that end there, of fewer at the start.
pub fn means(losses: &[f64]) -> Vec<f64> {
    let window = |at: usize| &losses[(at + 1).saturating_sub(MEAN)..=at];
    (0..losses.len()).map(|at| window(at).iter().sum::<f64>() / window(at).len() as f64).collect()
}
