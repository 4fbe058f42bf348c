//! What one step predicted, token by token: for whoever replays a training up to there.

use anyhow::{Context as _, Result};
use stages::plan::BatchPlan;
use stages::protocol::{Predicted, PredictionsFile};

use super::{Engine, Trainer};
use crate::real::Real;

impl<T: Real> Trainer<T> {
    /// From now on what is predicted of each token is noted.
    pub(super) fn note_predictions(&mut self) {
        match &mut self.engine {
            Engine::Cpu(steps) => steps.softmax.note_predictions(),
            Engine::Cuda(card) => card.note_predictions(),
        }
    }

    /// Writes down what step `n` predicted: windows are computed token after token of all rows, and told row by row.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(super) fn predictions(&mut self, n: u64) -> Result<PredictionsFile> {
        let noted = match &mut self.engine {
            Engine::Cpu(steps) => steps.softmax.take_predictions(),
            Engine::Cuda(card) => card.take_predictions(),
        };
        let BatchPlan { size, unroll, .. } = self.batches.plan;
        let size = usize::try_from(size)?;
        let windows = noted.chunks(size * usize::try_from(unroll)?);
        let rows: Vec<Vec<&Predicted>> =
            windows.flat_map(|window| (0..size).map(|row| window.iter().skip(row).step_by(size).collect())).collect();
        let file = self.folder.join(format!("predictions-{n}.json"));
        std::fs::write(&file, serde_json::to_vec(&rows)?).with_context(|| file.display().to_string())?;
        Ok(PredictionsFile { step: n, file })
    }
}
