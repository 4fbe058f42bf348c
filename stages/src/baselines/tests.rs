//! The stage compared with a literal implementation of the formulas: n-grams in maps, nothing sorted.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::*;
use crate::files::{Cut, Types};
use crate::params::Unit;
use crate::random::Stream as Draws;
use crate::testing::{Space, bytes, output};

/// A Kneser–Ney model in maps.
struct Twin {
    types: u32,
    /// By order, from 1, and by context: the count of each word.
    counts: Vec<HashMap<Vec<u32>, BTreeMap<u32, u64>>>,
    discounts: Vec<[f64; 4]>,
}

impl Twin {
    fn new(train: &[u32], order: usize, types: u32) -> Self {
        let mut counts = vec![HashMap::new()];
        for k in 1..=order {
            let mut before: HashMap<&[u32], HashSet<Option<u32>>> = HashMap::new();
            let mut times: HashMap<&[u32], u64> = HashMap::new();
            for (i, gram) in train.windows(k).enumerate() {
                *times.entry(gram).or_default() += 1;
                before.entry(gram).or_default().insert(i.checked_sub(1).map(|i| train[i]));
            }
            let mut of_order: HashMap<Vec<u32>, BTreeMap<u32, u64>> = HashMap::new();
            for (gram, before) in before {
                let (word, context) = gram.split_last().unwrap();
                let count = if k == order { times[gram] } else { before.len() as u64 };
                of_order.entry(context.to_vec()).or_default().insert(*word, count);
            }
            counts.push(of_order);
        }
        let discounts = counts.iter().map(|of_order| {
            let n = |count: u64| of_order.values().flat_map(BTreeMap::values).filter(|c| **c == count).count() as f64;
            let y = n(1) / (n(1) + 2.0 * n(2));
            let all = [0.0, 1.0 - 2.0 * y * n(2) / n(1), 2.0 - 3.0 * y * n(3) / n(2), 3.0 - 4.0 * y * n(4) / n(3)];
            let sound = (1..5).all(|j| n(j) > 0.0) && (1..4).all(|j| all[j] > 0.0 && all[j] <= j as f64);
            if sound { all } else { [0.0, 0.5, 1.0, 1.5] }
        });
        let discounts = discounts.collect();
        Self { types, counts, discounts }
    }

    fn probability(&self, context: &[u32], word: u32) -> f64 {
        let order = context.len() + 1;
        let shorter =
            if context.is_empty() { 1.0 / f64::from(self.types) } else { self.probability(&context[1..], word) };
        let Some(behind) = self.counts[order].get(context) else { return shorter };
        let total = behind.values().sum::<u64>() as f64;
        let d = |count: u64| self.discounts[order][count.min(3) as usize];
        let count = behind.get(&word).copied().unwrap_or(0);
        let taken: f64 = behind.values().map(|count| d(*count)).sum();
        (count as f64 - d(count)) / total + taken / total * shorter
    }

    fn loss(&self, split: &[u32]) -> f64 {
        let order = self.counts.len() - 1;
        let logs = (1..split.len()).map(|i| self.probability(&split[i.saturating_sub(order - 1)..i], split[i]).ln());
        -logs.sum::<f64>() / (split.len() - 1) as f64
    }
}

/// The stage's losses for three splits.
fn baselines(order: u32, tokens: u64, types: u32, splits: [&[u32]; 3]) -> Result<Vec<BaselineLoss>, StageError> {
    let place = Space::new();
    let vocab = place.context.folder.join("vocab");
    let cut = Cut { unit: Unit::Whitespace, lowercase: false, eos: String::new() };
    let texts = (0..types).map(|id| id.to_string()).collect();
    Types { cut, types: texts, counts: vec![1; types as usize] }.save(&vocab).unwrap();
    let mut space = Space::new().with("vocab", std::fs::read(vocab).unwrap());
    for (name, split) in SPLITS.iter().zip(splits) {
        space = space.with(name, bytes(split));
    }
    let outcome = run(&Baselines { order, tokens }, &space.context)?;
    let object: serde_json::Value =
        serde_json::from_slice(&std::fs::read(output(&outcome, "baselines")).unwrap()).unwrap();
    assert_eq!(object["losses"], serde_json::to_value(&outcome.baselines).unwrap());
    Ok(outcome.baselines)
}

fn loss(found: &[BaselineLoss], split: &str, model: &str) -> f64 {
    found.iter().find(|it| it.split == split && it.model == model).unwrap_or_else(|| panic!("{split} {model}")).loss
}

/// Random tokens, small ids more likely, with repeated phrases.
fn draw(seed: u64, purpose: &str, types: u32, tokens: u64) -> Vec<u32> {
    let draws = Draws::new(seed, purpose);
    let mut all: Vec<u32> = Vec::new();
    for i in 0..tokens {
        let (x, again) = (draws.uniform(2 * i), draws.uniform(2 * i + 1));
        let copied = (again < 0.6 && i > 7).then(|| all[(i as usize - 7) * (seed as usize + 1) % (i as usize)]);
        all.push(copied.unwrap_or((x * x * f64::from(types)) as u32));
    }
    all
}

#[test]
fn losses_match_the_literal_model_on_corpora_of_every_size() {
    // The seventh case has so many types that windows take 128 bits.
    for (seed, types, tokens) in
        [(1, 1, 9), (2, 2, 2), (3, 3, 40), (4, 5, 1), (5, 9, 700), (6, 30, 1500), (7, 40_000, 300), (8, 7, 0)]
    {
        let drawn = |purpose: &str, tokens| draw(seed, purpose, types.min(60), tokens);
        let (train, valid, test) = (drawn("train", tokens), drawn("valid", 80), drawn("test", 3));
        let splits: Vec<_> = [("train", &train), ("valid", &valid), ("test", &test)]
            .into_iter()
            .filter(|(_, it)| it.len() > 1)
            .collect();
        for order in 1..=5 {
            let found = baselines(order, u64::MAX, types, [&train, &valid, &test]).unwrap();
            assert_eq!(found.len(), splits.len() * (order as usize + 1).min(4));
            for (name, n) in [("bigram", 2), ("kn3", 3), ("kn4", 4), ("kn5", 5)] {
                if n as u32 != order && (n != 2 || order < 2) {
                    continue;
                }
                let twin = Twin::new(&train, n, types);
                // The smallest corpora fall back to the default discounts; the largest does not.
                let own = twin.discounts[n] != [0.0, 0.5, 1.0, 1.5];
                assert!(own || tokens < 1000, "{seed} {n}");
                assert!(!own || tokens > 10, "{seed} {n}");
                for (split, ids) in &splits {
                    let (found, expected) = (loss(&found, split, name), twin.loss(ids));
                    assert!((found - expected).abs() < 1e-12, "{seed} {split} {name}: {found}, not {expected}");
                }
            }
        }
    }
}

#[test]
fn the_probabilities_of_all_types_sum_to_one() {
    let types = 8;
    // One type does not occur in train.
    let train: Vec<u32> = draw(9, "train", types - 1, 400);
    for (i, context) in draw(10, "contexts", types, 16).chunks(4).enumerate() {
        for (order, model) in [(1, "unigram"), (2, "bigram"), (3, "kn3"), (4, "kn4"), (5, "kn5")] {
            let log = |split: &[u32]| {
                let found = baselines(order, u64::MAX, types, [&train, split, &[]]).unwrap();
                -loss(&found, "valid", model) * (split.len() - 1) as f64
            };
            let before = log(context);
            let sum: f64 = (0..types).map(|word| (log(&[context, &[word]].concat()) - before).exp()).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{model} after context {i} {context:?}: {sum}");
        }
    }
}

#[test]
fn unigrams_are_relative_frequencies_and_unseen_types_share_the_weight_of_one_token() {
    let found = baselines(1, u64::MAX, 2, [&[0, 0, 1, 0], &[1, 0, 1], &[]]).unwrap();
    assert!((loss(&found, "valid", "unigram") - ((4f64 / 3.0).ln() + 4f64.ln()) / 2.0).abs() < 1e-15);
    // Ids 2 and 3 share one fifth.
    let found = baselines(1, u64::MAX, 4, [&[0, 0, 1, 0], &[1, 2, 0], &[3]]).unwrap();
    assert!((loss(&found, "valid", "unigram") - (10f64.ln() + (5f64 / 3.0).ln()) / 2.0).abs() < 1e-15);
    assert_eq!(found.iter().filter(|it| it.split == "test").count(), 0);
    assert_eq!(found.iter().find(|it| it.split == "train").unwrap().tokens, 3);
}

#[test]
fn the_loss_of_a_single_type_is_zero() {
    for it in baselines(5, u64::MAX, 1, [&[0; 50], &[0; 9], &[0; 2]]).unwrap() {
        assert!((0.0..1e-15).contains(&it.loss) && it.loss.is_sign_positive(), "{it:?}");
    }
}

#[test]
fn only_the_requested_tokens_of_train_are_counted() {
    let (train, valid) = (draw(11, "train", 9, 500), draw(11, "valid", 9, 50));
    let part = baselines(5, 300, 9, [&train, &valid, &[]]).unwrap();
    assert_eq!(part, baselines(5, 300, 9, [&train[..300], &valid, &[]]).unwrap());
    assert_ne!(part, baselines(5, 301, 9, [&train, &valid, &[]]).unwrap());
}

#[test]
fn an_unknown_id_is_refused_and_a_request_to_stop_is_honoured() {
    let error = baselines(5, u64::MAX, 3, [&[0, 1, 2], &[0, 3], &[]]).unwrap_err();
    assert!(error.to_string().ends_with("valid: token 3 is not in the vocabulary"), "{error}");
    let space = Space::new().with("train", bytes(&[0, 1])).with("valid", []).with("test", []);
    let splits = SPLITS.map(|name| SplitStream { ids: Ids::open(&space.context.inputs[name]).unwrap(), tokens: 0 });
    let splits = splits.map(|split| SplitStream { tokens: split.ids.len(), ..split });
    space.context.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let stopped = windows::count(&splits, 2, &mut TokenProgress { context: &space.context, done: 0, whole: 2 });
    assert!(matches!(stopped, Err(StageError::Cancelled(_))));
}
