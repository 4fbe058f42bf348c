//! Sound runs of 100 to 1,000,000 steps are stable, and a late rise is found where it begins. Losses are simulated for
//! a text with easier and harder stretches that is read repeatedly. The noise of the tokens and that of the run are
//! both correlated between neighbouring steps, and as large as for Zaremba's small model on Penn Treebank.

use stages::random::Stream;

use super::*;

/// Steps per epoch.
const EPOCH: usize = 2_323;

/// Random draws, one after the other.
struct Draws(Stream, u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.1 += 1;
        self.1
    }

    fn even(&mut self) -> f64 {
        let counter = self.next();
        self.0.uniform(counter)
    }

    fn normal(&mut self) -> f64 {
        let counter = self.next();
        self.0.normal(counter)
    }

    /// Noise with a standard deviation of 1. The share `like` of its variance is correlated over about ten steps.
    fn noise(&mut self, n: usize, like: f64) -> Vec<f64> {
        let mut slow = self.normal();
        let next = |_| {
            slow = 0.88 * slow + (1.0f64 - 0.88 * 0.88).sqrt() * self.normal();
            like.sqrt() * slow + (1.0 - like).sqrt() * self.normal()
        };
        (0..n).map(next).collect()
    }

    /// Stretches whose lengths are from 20 steps to a quarter of all steps, each at a random level between -1 and 1.
    fn stretches(&mut self, n: usize) -> Vec<f64> {
        let mut all = Vec::with_capacity(n);
        while all.len() < n {
            let length = 20.0 * (n as f64 / 80.0).max(2.0).powf(self.even());
            let height = 2.0 * self.even() - 1.0;
            all.extend(std::iter::repeat_n(height, (length as usize).min(n - all.len())));
        }
        all
    }
}

/// A sound run.
#[derive(Clone, Copy)]
struct Sound {
    /// Tokens per step.
    tokens: f64,
    /// How much stretches of the text differ in the unigram baseline.
    stretches: f64,
    /// How much they differ in loss beyond that.
    hidden: f64,
    /// Whether the run learns ever more slowly, instead of everything in the first few hundred steps.
    slow: bool,
}

const SOUND: Sound = Sound { tokens: 400.0, stretches: 0.1, hidden: 0.05, slow: true };

impl Sound {
    /// A run of `n` steps; `more` is added to its losses.
    fn run(self, seed: u64, n: usize, more: impl Fn(usize) -> f64) -> Facts {
        let mut draws = Draws(Stream::new(seed, "sound"), 0);
        let (epoch, scale) = (EPOCH.min(n), (400.0 / self.tokens).sqrt());
        let parts = draws.stretches(epoch);
        let words: Vec<f64> = draws.noise(epoch, 0.26).iter().map(|it| 0.13 * scale * it).collect();
        let own = draws.noise(n, 0.47);
        let words: Vec<f64> = words.iter().zip(&parts).map(|(word, part)| word + self.stretches * part).collect();
        let learned = |step: usize| match self.slow {
            // Each epoch at half the rate lowers the loss a little more.
            true => {
                3.8 + 3.2 * (1.0 + step as f64 / 5.0).powf(-0.6) - 0.25 * (1.0 - 0.75f64.powi((step / EPOCH) as i32))
            }
            false => 4.0 + 3.0 * (-(step as f64) / 60.0).exp(),
        };
        let loss = |step: usize| {
            let at = step % epoch;
            // For an untrained model, all tokens have the same loss.
            let known = 1.0 - (-(step as f64) / 10.0).exp();
            let noise = words[at] + self.hidden * parts[at] + 0.14 * scale * own[step];
            learned(step) + known * noise + more(step)
        };
        let mut facts = run(n, loss);
        let batches = facts.batches.as_mut().unwrap();
        batches.plan.tokens = 100 * EPOCH as u64 + 11;
        batches.surprise = words.iter().map(|word| 5.0 + word).collect();
        facts.evaluations =
            (0..=10).map(|tenth| score((n * tenth / 10) as i64, learned(n * tenth / 10) + 0.1)).collect();
        facts
    }
}

/// Numbers of steps, and how many seeds are run for each.
const LENGTHS: [(usize, u64); 4] = [(100, 40), (1_000, 40), (30_000, 8), (1_000_000, 1)];

#[test]
fn sound_runs_of_any_length_are_stable() {
    for (n, seeds) in LENGTHS {
        let (mut runs, mut mistaken, mut others) = (0, Vec::new(), Vec::new());
        for slow in [true, false] {
            for (tokens, stretches, hidden) in
                [(400.0, 0.1, 0.05), (400.0, 0.5, 0.1), (3_000.0, 0.1, 0.05), (50.0, 0.1, 0.05)]
            {
                let sound = Sound { tokens, stretches, hidden, slow };
                for seed in 0..seeds {
                    let verdict = judge(&sound.run(seed, n, |_| 0.0));
                    runs += 1;
                    if verdict.verdict != Kind::Stable {
                        mistaken.push(format!("{tokens} tokens, seed {seed}: {}", verdict.sentence));
                    }
                    // In some of the runs, the loss really no longer falls.
                    others.extend(verdict.findings.into_iter().filter(|it| it.finding != FindingKind::Plateau));
                }
            }
        }
        assert!(50 * mistaken.len() <= runs, "{n} steps: {mistaken:#?}");
        assert!(50 * others.len() <= runs, "{n} steps: {others:#?}");
    }
}

#[test]
fn a_late_rise_is_found_where_it_begins() {
    for (n, at) in [(1_000, 800), (20_300, 20_000), (30_000, 20_000), (1_000_000, 900_000)] {
        // The loss rises for good, by a lot for a few steps, and by a little for many steps.
        for (by, steps, kind) in [
            (1.0, n, Kind::Unstable),
            (3.0, n, Kind::Diverged),
            (10.0, n, Kind::Diverged),
            (4.0, 10, Kind::Unstable),
            (0.9, n / 20, Kind::Unstable),
        ] {
            let verdict = judge(&SOUND.run(1, n, |step| if (at..at + steps).contains(&step) { by } else { 0.0 }));
            let said = format!("{by} from {at} of {n}: {}", verdict.sentence);
            assert_eq!(verdict.verdict, kind, "{said}");
            assert!(verdict.onset.is_some_and(|onset| (onset as usize).abs_diff(at) <= 10), "{said}");
            assert!(verdict.recovered != Some(true) || at + steps < n, "{said}");
        }
    }
}
