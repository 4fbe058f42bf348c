//! Merges buckets into fewer, wider ones that keep every extreme.

use identity::Bucket;

/// Merges buckets into buckets of `width` steps, aligned to multiples of `width` so that those of several curves agree.
pub fn thin(buckets: &[Bucket], width: i64) -> Vec<Bucket> {
    let group = |bucket: &Bucket| (bucket.first + (bucket.steps - 1) / 2) / width.max(1);
    let merged = |same: &[Bucket]| {
        let least = |a: Option<f64>, b: Option<f64>, of: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(of(a, b)),
            (a, b) => a.or(b),
        };
        let mut whole = same[0].clone();
        for bucket in &same[1..] {
            whole.steps = bucket.first + bucket.steps - whole.first;
            whole.finite += bucket.finite;
            whole.minimum = least(whole.minimum, bucket.minimum, f64::min);
            whole.maximum = least(whole.maximum, bucket.maximum, f64::max);
            whole.sum += bucket.sum;
            whole.first_nonfinite = whole.first_nonfinite.or(bucket.first_nonfinite);
        }
        whole
    };
    buckets.chunk_by(|a, b| group(a) == group(b)).map(merged).collect()
}

/// The width at which about `parts` buckets cover all steps.
pub fn width(steps: i64, parts: i64) -> i64 {
    (steps / parts.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_extreme_and_no_step_is_lost() {
        let one = |step: i64| {
            let loss = if step == 7777 { 60.0 } else { 2.0 + (step % 10) as f64 / 10.0 };
            let broken = step == 4321;
            Bucket {
                first: step,
                steps: 1,
                finite: i64::from(!broken),
                minimum: (!broken).then_some(loss),
                maximum: (!broken).then_some(loss),
                sum: if broken { 0.0 } else { loss },
                first_nonfinite: broken.then_some(step),
            }
        };
        let all: Vec<Bucket> = (0..10_000).map(one).collect();
        let thinned = thin(&all, width(10_000, 125));
        assert_eq!(thinned.len(), 125);
        assert_eq!(thinned.iter().map(|bucket| bucket.steps).sum::<i64>(), 10_000);
        assert_eq!(thinned.iter().map(|bucket| bucket.finite).sum::<i64>(), 9_999);
        assert_eq!(thinned[7777 / 80].maximum, Some(60.0));
        assert_eq!(thinned[4321 / 80].first_nonfinite, Some(4321));
        assert_eq!(thinned[0].minimum, Some(2.0));
        assert_eq!(thin(&all, 1), all);
    }
}
