//! What one step predicted, token by token: for whoever replays a training up to there.

use std::path::Path;

use anyhow::{Context as _, Result};
use stages::plan::BatchPlan;
use stages::protocol::{Predicted, PredictionsFile};

/// Writes down what step `n` predicted: windows are computed token after token of all rows, and told row by row.
///
/// # Errors
/// When the file can't be written.
pub(super) fn write(noted: &[Predicted], plan: &BatchPlan, folder: &Path, n: u64) -> Result<PredictionsFile> {
    let size = usize::try_from(plan.size)?;
    let windows = noted.chunks(size * usize::try_from(plan.unroll)?);
    let rows: Vec<Vec<&Predicted>> =
        windows.flat_map(|window| (0..size).map(|row| window.iter().skip(row).step_by(size).collect())).collect();
    let file = folder.join(format!("predictions-{n}.json"));
    std::fs::write(&file, serde_json::to_vec(&rows)?).with_context(|| file.display().to_string())?;
    Ok(PredictionsFile { step: n, file })
}
