//! Chooses the runs and samples for which a page has room.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use identity::SampleRow;
use identity::verdict::Verdict;

/// The most runs that are shown in full: with the evidence for their verdicts, their events and their samples.
const WHOLE: usize = 100;

/// The indices of the runs to show in full: the best, then runs with each verdict in turn.
pub fn whole(verdicts: &[Verdict], best: &[usize]) -> BTreeSet<usize> {
    let mut of_kinds: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    for (place, verdict) in verdicts.iter().enumerate() {
        of_kinds.entry(verdict.verdict.as_str()).or_default().push_back(place);
    }
    let mut chosen: BTreeSet<usize> = best.iter().copied().take(WHOLE / 10).collect();
    while chosen.len() < WHOLE.min(verdicts.len()) {
        for places in of_kinds.values_mut() {
            chosen.extend(places.pop_front().filter(|_| chosen.len() < WHOLE));
        }
    }
    chosen
}

/// The indices of at most `most` runs to draw: those that are shown in full, and evenly spaced others.
pub fn shown(runs: usize, most: usize, whole: &BTreeSet<usize>) -> BTreeSet<usize> {
    if runs <= most {
        return (0..runs).collect();
    }
    let rest = most - whole.len();
    let between = (0..rest).map(|n| n * runs / rest);
    whole.iter().copied().chain(between).collect()
}

/// The samples of as many checkpoints as fit into `budget` bytes: the first, the last and evenly spaced others. Also
/// returns how many samples are left out.
pub fn fitting(samples: Vec<SampleRow>, budget: usize) -> (Vec<SampleRow>, usize) {
    // The markup around a text is about as long as a short text.
    let size = |samples: &[SampleRow]| samples.iter().map(|it| it.text.len() + 300).sum::<usize>();
    let checkpoints: Vec<&[SampleRow]> = samples.chunk_by(|a, b| a.step == b.step).collect();
    let mut kept: Vec<&[SampleRow]> = Vec::new();
    for every in 1..=checkpoints.len().max(1) {
        let last = checkpoints.len().saturating_sub(1);
        let those = checkpoints.iter().enumerate().filter(|(at, _)| (last - at).is_multiple_of(every) || *at == 0);
        kept = those.map(|(_, samples)| *samples).collect();
        if kept.iter().map(|samples| size(samples)).sum::<usize>() <= budget {
            break;
        }
    }
    if kept.iter().map(|samples| size(samples)).sum::<usize>() > budget {
        kept = kept.split_off(kept.len().saturating_sub(1));
    }
    let kept: Vec<SampleRow> = kept.concat();
    let untold = samples.len() - kept.len();
    (kept, untold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::verdict::Kind;

    fn judged(kind: Kind, many: usize) -> Vec<Verdict> {
        let verdict = Verdict {
            verdict: kind,
            cause: None,
            onset: None,
            recovered: None,
            sentence: String::new(),
            advice: None,
            rules: 0,
            seen: String::new(),
            findings: Vec::new(),
            evidence: Vec::new(),
            checks: Vec::new(),
        };
        vec![verdict; many]
    }

    #[test]
    fn samples_that_do_not_fit_are_counted() {
        let sample = |step: i64| SampleRow {
            step: Some(step),
            position: 0,
            decode: "\"greedy\"".to_owned(),
            prompt: String::new(),
            text: "x".repeat(700),
            tokens: 1,
            distinct_1: None,
            distinct_2: None,
            seq_rep_4: None,
            loop_period: None,
            loop_onset: None,
            why_empty: None,
        };
        let steps = |kept: &[SampleRow]| kept.iter().filter_map(|it| it.step).collect::<Vec<_>>();
        let all: Vec<SampleRow> = (0..=10).map(|at| sample(at * 100)).collect();
        let (kept, untold) = fitting(all.clone(), 100_000);
        assert_eq!((kept.len(), untold), (11, 0));
        let (kept, untold) = fitting(all.clone(), 6_500);
        assert_eq!((steps(&kept), untold), (vec![0, 200, 400, 600, 800, 1000], 5));
        let (kept, untold) = fitting(all, 100);
        assert_eq!((steps(&kept), untold), (vec![1000], 10));
    }

    #[test]
    fn of_many_runs_some_with_each_verdict_are_shown_in_full() {
        assert_eq!(whole(&judged(Kind::Stable, 100), &[]), (0..100).collect());
        let verdicts = [judged(Kind::Stable, 900), judged(Kind::Diverged, 30), judged(Kind::TooLow, 200)].concat();
        let chosen = whole(&verdicts, &[899]);
        assert_eq!(chosen.len(), 100);
        assert!(chosen.contains(&899), "the best run is missing");
        assert!((900..930).all(|place| chosen.contains(&place)), "runs with a rare verdict are missing");
        let (stable, low) = (chosen.range(..900).count(), chosen.range(930..).count());
        assert!(stable.abs_diff(low) <= 2, "{stable} and {low}");
    }

    #[test]
    fn of_very_many_runs_some_are_drawn() {
        let whole: BTreeSet<usize> = (900..1000).collect();
        assert_eq!(shown(400, 400, &whole).len(), 400);
        let drawn = shown(1000, 400, &whole);
        assert!(drawn.len() > 350 && drawn.len() <= 400 && whole.iter().all(|place| drawn.contains(place)));
        let gaps = drawn.iter().zip(drawn.iter().skip(1)).map(|(a, b)| b - a);
        assert!(gaps.max() <= Some(4), "a stretch is left out");
    }
}
