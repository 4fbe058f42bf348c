//! Writes the predictions of one step, token by token, for a replay up to that step.

use crate::failure::{Result, WithName as _};
use std::path::Path;

use stages::plan::BatchPlan;
use stages::protocol::{Predicted, PredictionsFile};

/// Writes the predictions of step `n`. Windows are computed time-major; the file is row by row.
pub(super) fn write(noted: &[Predicted], plan: &BatchPlan, folder: &Path, n: u64) -> Result<PredictionsFile> {
    let size = usize::try_from(plan.size)?;
    let windows = noted.chunks(size * usize::try_from(plan.unroll)?);
    let rows: Vec<Vec<&Predicted>> =
        windows.flat_map(|window| (0..size).map(|row| window.iter().skip(row).step_by(size).collect())).collect();
    let file = folder.join(format!("predictions-{n}.json"));
    std::fs::write(&file, serde_json::to_vec(&rows)?).of_file(&file)?;
    Ok(PredictionsFile { step: n, file })
}
