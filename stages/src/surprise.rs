//! How surprising the tokens of each step are to one who knows how often each type occurs: what is wrong with a batch is
//! seen before any model is.

use crate::StageError;
use crate::files::Ids;
use crate::plan::BatchPlan;

/// The most tokens whose batches are looked at, once all are counted.
const MOST_TOKENS: u64 = 50_000_000;

/// By step of the first `steps` (fewer where they repeat an epoch, or are too many to look at): the mean over the step's
/// targets of −ln p, in nats, with p the share of their type in `ids`. A step reads `windows` windows of the plan.
///
/// # Errors
/// The file of ids can't be read, or holds ids of another vocabulary.
pub fn of_steps(plan: &BatchPlan, ids: &Ids, types: usize, steps: u64, windows: u64) -> Result<Vec<f64>, StageError> {
    let mut counts = vec![0u64; types];
    let mut strange = None;
    ids.blocks(|block| {
        for id in block {
            match counts.get_mut(*id as usize) {
                Some(count) => *count += 1,
                None => strange = Some(*id),
            }
        }
        Ok(())
    })?;
    if let Some(id) = strange {
        return Err(StageError::format(ids.path(), format!("no type has the id {id}")));
    }
    let whole = ids.len() as f64;
    let costs: Vec<f64> = counts.iter().map(|count| -(*count as f64 / whole).ln()).collect();
    let per_step = (plan.tokens_per_step() * windows).max(1);
    let epoch = plan.steps_per_epoch().div_ceil(windows.max(1)).max(1);
    let looked_at = steps.min(epoch).min((MOST_TOKENS / per_step).max(1));
    let mut all = Vec::with_capacity(looked_at as usize);
    let mut window = Vec::new();
    for step in 0..looked_at {
        let (mut sum, mut n) = (0.0, 0u64);
        for at in step * windows..(step + 1) * windows {
            for offset in plan.offsets(at) {
                window.clear();
                ids.read(offset + 1, plan.unroll as usize, &mut window)?;
                sum += window.iter().map(|id| costs[*id as usize]).sum::<f64>();
                n += window.len() as u64;
            }
        }
        all.push(sum / n.max(1) as f64);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Layout;

    #[test]
    fn rare_words_surprise_and_a_sound_step_costs_the_entropy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        // Two types by turns, but for a stretch of a third that occurs nowhere else: targets 40 to 49 of 0 to 99.
        let ids: Vec<u32> = (0..101).map(|at| if (40..50).contains(&at) { 2 } else { at % 2 }).collect();
        std::fs::write(&path, ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
        let ids = Ids::open(&path).unwrap();
        let plan = BatchPlan { version: 1, layout: Layout::Streams, size: 1, unroll: 10, tokens: 101, seed: 0 };
        let found = of_steps(&plan, &ids, 3, 1000, 1).unwrap();
        // Later steps repeat the epoch.
        assert_eq!(found.len(), 10);
        let rare = -(10.0f64 / 101.0).ln();
        // Step 4 has nine targets of the stretch: its first is at 41.
        assert!((found[4] - (9.0 * rare - (46.0f64 / 101.0).ln()) / 10.0).abs() < 1e-12, "{found:?}");
        assert!(found[0] < 0.9 && found[9] < 0.9, "{found:?}");
        // Two windows a step.
        let pairs = of_steps(&plan, &ids, 3, 3, 2).unwrap();
        assert!((pairs[2] - (found[4] + found[5]) / 2.0).abs() < 1e-12);
        assert!(of_steps(&plan, &ids, 2, 1, 1).is_err());
    }
}
