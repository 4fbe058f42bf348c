//! Trains on a tiny corpus, from the first step to the last, through the interface that the worker uses.

mod card;
mod gradients;
mod inspect;
mod outcomes;
mod resume;
mod updates;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use identity::observations::Step;
use serde_json::{Value, json};
use stages::files::{Cut, Types};
use stages::params::{Train, Unit, read, stage_keys};
use stages::protocol::{Order, Reply, Segment};
use stages::random::Stream;

use crate::train::{Trainer, TrainingEnd};
use crate::weights::Stored;

/// Types of the tiny corpus.
pub(crate) const VOCAB: u32 = 23;

/// The defaults of every key of `train`, with a small model.
pub(crate) fn train_params() -> Value {
    let keys = stage_keys("train").unwrap().keys;
    let mut params: Value = keys.iter().filter_map(|key| Some((key.name.to_owned(), key.default_value(1)?))).collect();
    (params["embedding"], params["hidden"], params["learning_rate"]) = (json!(6), json!(8), json!(0.05));
    params
}

pub(crate) fn train_defaults() -> Train {
    read("train", &train_params()).unwrap()
}

/// The defaults with some keys changed.
pub(crate) fn params(changes: Value) -> Value {
    let mut params = train_params();
    for (key, value) in changes.as_object().unwrap() {
        params[key] = value.clone();
    }
    params
}

/// A folder with a corpus of a few hundred tokens, from which a model can learn something.
pub(crate) struct TinyCorpus {
    folder: tempfile::TempDir,
}

/// The replies of a training run, and how it ended.
pub(crate) struct Transcript {
    pub(crate) replies: Vec<Reply>,
    pub(crate) end: TrainingEnd,
    pub(crate) folder: PathBuf,
}

impl TinyCorpus {
    pub(crate) fn new() -> Self {
        // libtorch keeps the number of threads per thread.
        tch::set_num_threads(1);
        let folder = tempfile::tempdir().unwrap();
        let space = Self { folder };
        let draws = Stream::new(7, "test corpus");
        let mut token = 0u64;
        let mut write = |name: &str, n: u64| {
            let bytes: Vec<u8> = (0..n)
                .flat_map(|i| {
                    token = (token * 5 + 1 + draws.below(i, 3)) % u64::from(VOCAB);
                    (token as u32).to_le_bytes()
                })
                .collect();
            std::fs::write(space.path(name), bytes).unwrap();
        };
        write("train", 400);
        write("valid", 90);
        space.vocabulary(VOCAB);
        space.plan("streams");
        space
    }

    /// Writes a vocabulary of `size` types.
    pub(crate) fn vocabulary(&self, size: u32) {
        let cut = Cut { unit: Unit::Word, lowercase: false, eos: String::new() };
        let types = (0..size).map(|i| format!("t{i}")).collect();
        Types { cut, types, counts: vec![1; size as usize] }.save(&self.path("vocab")).unwrap();
    }

    pub(crate) fn plan(&self, layout: &str) {
        let plan = json!({"version": 1, "layout": layout, "size": 4, "unroll": 5, "tokens": 400, "seed": 3});
        std::fs::write(self.path("plan"), plan.to_string()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An order for the steps `from..to`, with checkpoints at both and at 7. A segment that doesn't start at 0 resumes
    /// from the folder `before`.
    pub(crate) fn order(&self, name: &str, params: Value, from: u64, to: u64, before: Option<&Path>) -> Order {
        let folder = self.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        let file = |what: &str| before.map(|before| before.join(format!("{what}-{from}.safetensors")));
        let inputs = ["train", "valid", "vocab", "plan"];
        Order {
            id: 1,
            stage: "train".to_owned(),
            params,
            inputs: inputs.iter().map(|name| ((*name).to_owned(), self.path(name))).collect::<BTreeMap<_, _>>(),
            folder,
            threads: 1,
            segment: Some(Segment {
                from,
                to,
                length: 40,
                weights: file("weights"),
                state: file("state"),
                checkpoints: vec![from, 7],
                looks: Vec::new(),
                checkpoint_seconds: 1 << 40,
                inspect: None,
            }),
        }
    }

    pub(crate) fn train(&self, name: &str, changes: Value, from: u64, to: u64, before: Option<&Path>) -> Transcript {
        train(self.order(name, params(changes), from, to, before), &|| 1)
    }
}

/// Carries out an order, with the number of threads that `threads` returns for each step.
pub(crate) fn train(order: Order, threads: &dyn Fn() -> usize) -> Transcript {
    match order.params["precision"].as_str() {
        Some("f64") => told::<f64>(order, threads),
        _ => told::<f32>(order, threads),
    }
}

fn told<T: Stored>(order: Order, threads: &dyn Fn() -> usize) -> Transcript {
    let mut replies = Vec::new();
    let mut observe = |reply| {
        replies.push(reply);
        Ok(())
    };
    let end = Trainer::<T>::open(&order).unwrap().run(&mut observe, &AtomicBool::new(false), threads).unwrap();
    Transcript { replies, end, folder: order.folder }
}

impl Transcript {
    pub(crate) fn steps(&self) -> Vec<&Step> {
        let steps =
            self.replies.iter().filter_map(|reply| if let Reply::Step(step) = reply { Some(step) } else { None });
        steps.collect()
    }

    pub(crate) fn events(&self) -> Vec<(&str, u64)> {
        let events =
            self.replies.iter().filter_map(|reply| if let Reply::Event(event) = reply { Some(event) } else { None });
        events.map(|event| (event.kind.as_str(), event.step.unwrap())).collect()
    }

    /// The bits of each step's numbers, without its duration.
    pub(crate) fn bits(&self) -> Vec<(u64, u64, u64, u64)> {
        let bits = |s: &&Step| (s.step, s.loss.0.to_bits(), s.grad_norm.0.to_bits(), s.learning_rate.to_bits());
        self.steps().iter().map(bits).collect()
    }

    pub(crate) fn file(&self, what: &str, n: u64) -> Vec<u8> {
        std::fs::read(self.folder.join(format!("{what}-{n}.safetensors"))).unwrap()
    }
}
