//! Medians, means and deviations of losses, and the numbers of steps that they require.

/// The number of steps whose mean represents the loss at a step, because a single batch says little.
pub const MEAN: usize = 10;

/// The number of steps of the shortest mean that shows a rise.
pub const FEW: usize = 5;

/// The fewest consecutive means, with no step in common, from which their deviation is measured.
pub const ENOUGH: usize = 60;

/// In a run of at most this many steps, the run's own noise is unknown.
pub const SHORT: usize = ENOUGH * FEW;

/// The median of some values; `None` if there are none.
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

/// The quarters of a run, without those that have too few values to measure their deviation.
pub fn quarters(values: &[f64]) -> impl Iterator<Item = &[f64]> {
    values.chunks((values.len() / 4).max(2 * MEAN)).filter(|quarter| quarter.len() >= MEAN)
}

/// How much values differ from one another: their robust deviation (1.4826 · MAD).
pub fn spread(values: &[f64]) -> Option<f64> {
    let middle = median(values.iter().copied())?;
    Some(1.4826 * median(values.iter().map(|value| (value - middle).abs()))?)
}

/// For each step, the mean of the ten losses up to and including it, or of fewer at the start.
pub fn means(losses: &[f64]) -> Vec<f64> {
    let window = |at: usize| &losses[(at + 1).saturating_sub(MEAN)..=at];
    (0..losses.len()).map(|at| window(at).iter().sum::<f64>() / window(at).len() as f64).collect()
}
