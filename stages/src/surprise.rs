//! The unigram loss of each step's targets, which shows what is unusual about a batch independently of any model.

use crate::StageError;
use crate::files::Ids;
use crate::plan::BatchPlan;

/// The maximum number of tokens whose batches are examined; the types are counted in all tokens.
const MOST_TOKENS: u64 = 50_000_000;

/// For each of the first `steps` steps: the mean of −ln p over its targets, in nats, where p is the relative frequency
/// of the target's type in `ids`. Covers at most one epoch and 50 million tokens. A step reads `windows` windows of the
/// plan.
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
        return Err(StageError::format(ids.path(), format!("token {id} is not in the vocabulary")));
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
    fn rare_types_raise_the_unigram_loss_of_a_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        // Two alternating types, except for ids 40 to 49, a third type that occurs nowhere else.
        let ids: Vec<u32> = (0..101).map(|at| if (40..50).contains(&at) { 2 } else { at % 2 }).collect();
        std::fs::write(&path, ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
        let ids = Ids::open(&path).unwrap();
        let plan = BatchPlan { version: 1, layout: Layout::Streams, size: 1, unroll: 10, tokens: 101, seed: 0 };
        let found = of_steps(&plan, &ids, 3, 1000, 1).unwrap();
        // Later steps repeat the epoch.
        assert_eq!(found.len(), 10);
        let rare = -(10.0f64 / 101.0).ln();
        // Step 4 has nine targets of the third type, since its first target is id 41.
        assert!((found[4] - (9.0 * rare - (46.0f64 / 101.0).ln()) / 10.0).abs() < 1e-12, "{found:?}");
        assert!(found[0] < 0.9 && found[9] < 0.9, "{found:?}");
        // Two windows per step.
        let pairs = of_steps(&plan, &ids, 3, 3, 2).unwrap();
        assert!((pairs[2] - (found[4] + found[5]) / 2.0).abs() < 1e-12);
        assert!(of_steps(&plan, &ids, 2, 1, 1).is_err());
    }
}
