//! The files that stages hand to one another: whatever bytes they hold, they are read or refused.

use stages::files::{Ids, Types, count_types, f64s_of, first_tensor_that_differs, whole_tensors};
use stages::plan::BatchPlan;

use crate::file;

/// A types file that is read is written again byte for byte, but for its header, and counts as many as it has.
pub fn types(bytes: &[u8]) {
    let path = file(bytes);
    let counted = count_types(&path);
    let Ok(types) = Types::load(&path) else { return };
    assert_eq!(counted.unwrap() as usize, types.types.len());
    assert_eq!(types.counts.len(), types.types.len());
    types.save(&path).unwrap();
    assert_eq!(Types::load(&path).unwrap(), types);
    assert_eq!(count_types(&path).unwrap() as usize, types.types.len());
}

/// A file of ids is its numbers; whatever part is asked for is one of theirs or refused.
pub fn ids(bytes: &[u8]) {
    let Ok(ids) = Ids::open(&file(bytes)) else {
        assert!(!bytes.len().is_multiple_of(4));
        return;
    };
    let expected: Vec<u32> = bytes.as_chunks().0.iter().map(|id| u32::from_le_bytes(*id)).collect();
    let mut all = Vec::new();
    ids.blocks(|block| {
        all.extend_from_slice(block);
        Ok(())
    })
    .unwrap();
    assert_eq!((ids.len(), ids.is_empty()), (expected.len() as u64, expected.is_empty()));
    assert_eq!(all, expected);
    let start = expected.first().map_or(0, |first| u64::from(*first) % 9);
    let mut part = Vec::new();
    match ids.read(start, 3, &mut part) {
        Ok(()) => assert_eq!(part, expected[start as usize..start as usize + 3]),
        Err(_) => assert!(start + 3 > expected.len() as u64),
    }
}

/// A plan that is read gives positions within its corpus.
pub fn plan(bytes: &[u8]) {
    let Ok(plan) = BatchPlan::load(&file(bytes)) else { return };
    let per_epoch = plan.steps_per_epoch();
    assert!(per_epoch > 0, "{plan:?}");
    assert!(plan.covered(per_epoch) <= plan.tokens, "{plan:?}");
    assert!(plan.dropped_tokens() <= plan.tokens, "{plan:?}");
    // Larger ones take memory for each of their rows.
    if plan.size > 1 << 10 {
        return;
    }
    for step in [0, 1, per_epoch - 1, per_epoch, 3 * per_epoch.min(1 << 40) + 1] {
        let offsets = plan.offsets(step);
        assert_eq!(offsets.len() as u64, plan.size);
        let last = plan.tokens - plan.unroll;
        assert!(offsets.iter().all(|offset| *offset < last), "{plan:?}, step {step}: {offsets:?}");
        assert!((0.0..=1.0).contains(&plan.overlap(step, 1)), "{plan:?}, step {step}");
    }
}

/// A safetensors file is read or refused, and is as itself.
pub fn tensors(bytes: &[u8]) {
    let path = file(bytes);
    let whole = whole_tensors(&path);
    let same = first_tensor_that_differs(&path, &path);
    if let Ok(differs) = &same {
        assert_eq!(differs.as_deref(), None, "it differs from itself");
        assert_eq!(whole, Ok(()), "it is read, and said not to be whole");
    }
    for name in ["a", "counts", ""] {
        if let Ok(numbers) = f64s_of(&path, name) {
            assert!(numbers.len() * 8 <= bytes.len(), "more numbers than bytes");
        }
    }
}
