//! Whether a differing parameter can explain where the losses of two runs first differ.
//!
//! The loss of a step is measured before the update of that step. A parameter that only the update reads therefore
//! affects the loss of the next step at the earliest: a different learning rate shows one step after the rates first
//! differ, and a different clipping norm one step after the first gradient was clipped. A parameter that training does
//! not read never affects a loss.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use stages::params::{is_read, stage_keys};
use stages::schema::Role;

use identity::Cell;

/// Whether a parameter can explain the first difference between two losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Explains {
    /// It can explain the difference.
    Can,
    /// It can't affect a loss before this step.
    NotBefore { step: i64 },
    /// It can't explain the difference.
    No { why: Why },
}

/// Why a parameter can't explain the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Training doesn't read it.
    NotRead,
    /// It only sets how long training runs, or what is kept or measured during training.
    NoNumber,
    /// Training read the same data in both runs in spite of it.
    SameData,
    /// Every step had the same learning rate in both runs.
    SameRates,
    /// No gradient was clipped before the difference.
    NothingClipped,
    /// It is a seed with which nothing was drawn.
    NothingDrawn,
}

/// What is known about two runs whose losses differ.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The first step whose losses differ.
    pub step: i64,
    /// The number of steps that the runs share through a fork; 0 if neither is a fork.
    pub shared: i64,
    /// The parameters of the runs.
    pub params: [BTreeMap<String, Cell>; 2],
    /// Whether both read the same tokens and batches.
    pub same_data: bool,
    /// Where the learning rates first differ.
    pub rates: Rates,
    /// Where the learning rates, relative to `train.learning_rate`, first differ.
    pub shapes: Rates,
    /// Whether a gradient of either run was clipped before `step`.
    pub clipped: bool,
}

/// Where learning rates first differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rates {
    /// The rates first differ at this step or earlier.
    From(i64),
    /// The rates don't differ before this step.
    NotBefore(i64),
    /// The rates never differ.
    Same,
}

/// What a parameter of `train` acts on.
enum Acts {
    /// The model before any update.
    Start,
    /// Each update.
    Update,
    /// The learning rate.
    Rate,
    /// The shape of the learning rate schedule.
    Shape,
    /// The clipping of gradients.
    Clip,
    /// Random draws.
    Draws,
    /// Nothing that affects a loss.
    Nothing,
}

/// Whether the parameter `name` can explain the difference.
pub fn explains(name: &str, ground: &Circumstances) -> Explains {
    let (stage, key) = name.split_once('.').unwrap_or(("", name));
    let key = key.split('.').next().unwrap_or(key);
    let no = |why: Why| Explains::No { why };
    match (stage, key) {
        ("", "seed") if ground.differs("train.seed") => explains("train.seed", ground),
        ("", "seed") if ground.differs("batch.seed") => explains("batch.seed", ground),
        // Training reads held-out text only for early stopping, which sets how long it runs, and for the plateau
        // schedule, which lowers the rate, as `rates` shows.
        ("corpus", "valid" | "test") if !ground.plateau() => no(Why::NotRead),
        ("corpus", "valid") => by_rate(ground.rates, ground.step),
        ("corpus" | "tokenize" | "vocab" | "batch", _) => match ground.same_data {
            _ if !ground.reads(stage, key) => no(Why::NotRead),
            true => no(Why::SameData),
            false => Explains::Can,
        },
        ("train", _) if !ground.reads("train", key) => no(Why::NotRead),
        ("train", _) => match ground.acts(key) {
            Acts::Start => from(ground.shared, ground.step),
            Acts::Update => from(ground.shared + 1, ground.step),
            Acts::Rate => by_rate(ground.rates, ground.step),
            Acts::Shape => by_rate(ground.shapes, ground.step),
            Acts::Clip if ground.clipped => Explains::Can,
            Acts::Clip => no(Why::NothingClipped),
            Acts::Draws if ground.draws() => from(ground.shared, ground.step),
            Acts::Draws => no(Why::NothingDrawn),
            Acts::Nothing => no(Why::NoNumber),
        },
        _ => no(Why::NotRead),
    }
}

/// The answer for a parameter that can affect losses from step `first` on.
fn from(first: i64, step: i64) -> Explains {
    if first <= step { Explains::Can } else { Explains::NotBefore { step: first } }
}

/// The answer for a parameter that acts through the rate: the rate of step k affects the loss of step k + 1.
fn by_rate(rates: Rates, step: i64) -> Explains {
    match rates {
        Rates::From(first) => from(first + 1, step),
        Rates::NotBefore(first) => Explains::NotBefore { step: first + 1 },
        Rates::Same => Explains::No { why: Why::SameRates },
    }
}

impl Circumstances {
    fn differs(&self, name: &str) -> bool {
        self.params[0].get(name) != self.params[1].get(name)
    }

    /// Whether either run's stage reads the key, given its other parameters.
    fn reads(&self, stage: &str, key: &str) -> bool {
        self.params.iter().any(|params| {
            let of_stage = params.iter().filter_map(|(name, cell)| {
                let (first, rest) = name.split_once('.')?;
                (first == stage).then(|| (rest.to_owned(), serde_json::to_value(cell).unwrap_or(Value::Null)))
            });
            is_read(stage, key, &Value::Object(of_stage.collect::<Map<String, Value>>()))
        })
    }

    fn has(&self, name: &str, word: &str) -> bool {
        self.params.iter().any(|params| matches!(params.get(name), Some(Cell::Text(text)) if text == word))
    }

    fn plateau(&self) -> bool {
        self.has("train.schedule.kind", "plateau")
    }

    /// Whether anything is drawn with `train.seed` after the shared steps: initial weights, or dropout.
    fn draws(&self) -> bool {
        let drops = |params: &BTreeMap<String, Cell>| match params.get("train.dropout") {
            Some(Cell::Real(share)) => *share > 0.0,
            Some(Cell::Integer(share)) => *share > 0,
            _ => false,
        };
        self.shared == 0 || self.params.iter().any(drops)
    }

    fn acts(&self, key: &str) -> Acts {
        let role = stage_keys("train").and_then(|keys| keys.keys.iter().find(|it| it.name == key)).map(|it| it.role);
        match (key, role) {
            ("learning_rate", _) => Acts::Rate,
            ("schedule" | "warmup", _) => Acts::Shape,
            // These schedules depend on the length of training.
            ("steps" | "epochs", _) if ["cosine", "range"].iter().any(|kind| self.has("train.schedule.kind", kind)) => {
                Acts::Shape
            }
            ("clip_norm", _) => Acts::Clip,
            ("seed", _) => Acts::Draws,
            (_, Some(Role::Length | Role::Cadence | Role::Selection)) => Acts::Nothing,
            ("optimizer" | "momentum" | "alpha" | "beta1" | "beta2" | "epsilon" | "weight_decay" | "loss_scale", _) => {
                Acts::Update
            }
            _ => Acts::Start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground(step: i64) -> Circumstances {
        let params: BTreeMap<String, Cell> = [
            ("train.optimizer", Cell::Text("adam".into())),
            ("train.dropout", Cell::Real(0.0)),
            ("train.schedule.kind", Cell::Text("constant".into())),
            ("batch.layout", Cell::Text("streams".into())),
        ]
        .map(|(name, cell)| (name.to_owned(), cell))
        .into();
        Circumstances {
            step,
            shared: 0,
            params: [params.clone(), params],
            same_data: false,
            rates: Rates::From(0),
            shapes: Rates::Same,
            clipped: false,
        }
    }

    const NOT_READ: Explains = Explains::No { why: Why::NotRead };

    #[test]
    fn a_parameter_that_training_does_not_read_explains_nothing() {
        for name in [
            "evaluate.valid",
            "sample.length",
            "sample.seed",
            "baselines.order",
            "corpus.test",
            "corpus.valid",
            "train.momentum",
            "batch.seed",
        ] {
            assert_eq!(explains(name, &ground(5)), NOT_READ, "{name}");
        }
        for name in [
            "train.steps",
            "train.epochs",
            "train.checkpoints.every",
            "train.probes",
            "train.on_nonfinite.stop_after",
            "train.early_stopping.every",
        ] {
            assert_eq!(explains(name, &ground(5)), Explains::No { why: Why::NoNumber }, "{name}");
        }
    }

    #[test]
    fn a_parameter_of_updates_affects_the_next_step() {
        for name in [
            "train.hidden",
            "train.init.uniform",
            "train.dropout",
            "train.precision",
            "train.seed",
            "batch.size",
            "vocab.size",
            "corpus.text",
        ] {
            assert_eq!(explains(name, &ground(0)), Explains::Can, "{name}");
        }
        for name in ["train.learning_rate", "train.optimizer", "train.beta1", "train.weight_decay"] {
            assert_eq!(explains(name, &ground(0)), Explains::NotBefore { step: 1 }, "{name}");
            assert_eq!(explains(name, &ground(1)), Explains::Can, "{name}");
        }
        // A fork's own steps begin where its parent's end.
        let fork = Circumstances { shared: 50, rates: Rates::From(50), ..ground(50) };
        assert_eq!(explains("train.weight_decay", &fork), Explains::NotBefore { step: 51 });
        assert_eq!(explains("train.learning_rate", &fork), Explains::NotBefore { step: 51 });
        assert_eq!(explains("train.seed", &fork), Explains::No { why: Why::NothingDrawn });
    }

    #[test]
    fn schedules_clipping_and_data_are_explained_by_the_record() {
        let at = |step: i64, shapes: Rates| explains("train.schedule.rate", &Circumstances { shapes, ..ground(step) });
        assert_eq!(at(300, Rates::From(299)), Explains::Can);
        assert_eq!(at(300, Rates::From(300)), Explains::NotBefore { step: 301 });
        assert_eq!(at(300, Rates::NotBefore(900)), Explains::NotBefore { step: 901 });
        assert_eq!(at(300, Rates::Same), Explains::No { why: Why::SameRates });
        let mut cosine = Circumstances { shapes: Rates::From(1), ..ground(2) };
        cosine.params[1].insert("train.schedule.kind".into(), Cell::Text("cosine".into()));
        assert_eq!(explains("train.steps", &cosine), Explains::Can);
        cosine.params[1].insert("train.schedule.kind".into(), Cell::Text("range".into()));
        assert_eq!(explains("train.steps", &cosine), Explains::Can);

        assert_eq!(explains("train.clip_norm", &ground(3)), Explains::No { why: Why::NothingClipped });
        assert_eq!(explains("train.clip_norm", &Circumstances { clipped: true, ..ground(3) }), Explains::Can);

        let same = Circumstances { same_data: true, ..ground(3) };
        assert_eq!(explains("tokenize.lowercase", &same), Explains::No { why: Why::SameData });
    }

    #[test]
    fn a_seed_explains_what_is_drawn_with_it() {
        let mut drawn = ground(0);
        assert_eq!(explains("seed", &drawn), NOT_READ);
        drawn.params[0].insert("batch.seed".into(), Cell::Integer(2));
        assert_eq!(explains("seed", &drawn), NOT_READ, "streams are not drawn");
        drawn.params[0].insert("batch.layout".into(), Cell::Text("shuffled".into()));
        assert_eq!(explains("seed", &drawn), Explains::Can);
        drawn.params[0].insert("train.seed".into(), Cell::Integer(2));
        assert_eq!(explains("seed", &drawn), Explains::Can);
    }
}
