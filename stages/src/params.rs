//! Every stage's parameters: the table that describes them, and the struct that the stage reads.
//!
//! A struct is read from a value that the table has already checked and completed, so reading it fails only because of
//! a bug. A test reads each struct from its table's defaults.

mod measure;
mod text;
mod train;
mod variants;

use serde::Deserialize;
use serde_json::Value;

use crate::schema::Key;
use measure::{EVALUATE, SAMPLE};
use text::{BASELINES, BATCH, TOKENIZE, VOCAB};
use train::TRAIN;

pub use measure::{CheckpointSelection, Decode, Evaluate, Greedy, Sample};
pub use text::{Baselines, Batch, Layout, SPLIT, Split, Tokenize, Unit, Vocab};
pub(crate) use text::{LONGEST_WINDOW, MOST_ROWS};
pub use train::{KEPT_BY_FORKS, Train};
pub use variants::{
    Checkpoints, Device, Fork, Init, Keep, KeepWord, LossScale, OnNonfinite, Optimizer, Precision, Schedule,
    nothing_to_train, too_many_checkpoints,
};

/// The table of a stage in an experiment.
#[derive(Debug)]
pub struct StageKeys {
    /// The name of the stage and of the table.
    pub stage: &'static str,
    /// The stage's version, raised whenever its output for the same input changes.
    pub version: u32,
    /// Its keys.
    pub keys: &'static [Key],
    /// Whether the stage was added after runs without it existed.
    pub later: bool,
}

/// The tables of all stages, in the order in which they run.
pub const STAGES: &[StageKeys] = &[
    StageKeys { stage: "tokenize", version: 2, keys: TOKENIZE, later: false },
    StageKeys { stage: "vocab", version: 1, keys: VOCAB, later: false },
    StageKeys { stage: "batch", version: 1, keys: BATCH, later: false },
    StageKeys { stage: "baselines", version: 1, keys: BASELINES, later: true },
    StageKeys { stage: "train", version: 3, keys: TRAIN, later: false },
    StageKeys { stage: "evaluate", version: 3, keys: EVALUATE, later: false },
    StageKeys { stage: "sample", version: 2, keys: SAMPLE, later: false },
];

/// The table of one stage.
pub fn stage_keys(stage: &str) -> Option<&'static StageKeys> {
    STAGES.iter().find(|keys| keys.stage == stage)
}

/// The version of a stage. Panics for an unknown stage, at compile time if used in a constant.
pub const fn version(name: &str) -> u32 {
    let mut i = 0;
    while i < STAGES.len() {
        if same(STAGES[i].stage, name) {
            return STAGES[i].version;
        }
        i += 1;
    }
    panic!("BUG: no such stage")
}

/// `==` for strings, which is not const yet.
const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Whether a stage reads a key, given its other values: momentum only with the optimiser momentum, a seed only if
/// something is drawn. A key that is not read is not part of the stage key.
pub fn is_read(stage: &str, key: &str, params: &Value) -> bool {
    let one_of = |name: &str, words: &[&str]| params[name].as_str().is_some_and(|word| words.contains(&word));
    match (stage, key) {
        ("batch", "seed") => one_of("layout", &["shuffled"]),
        ("train", "momentum") => one_of("optimizer", &["momentum"]),
        ("train", "alpha") => one_of("optimizer", &["rmsprop"]),
        ("train", "beta1" | "beta2") => one_of("optimizer", &["adam", "adamw"]),
        ("train", "epsilon") => one_of("optimizer", &["adagrad", "rmsprop", "adam", "adamw"]),
        ("sample", "seed") => {
            params["decode"].as_array().is_none_or(|ways| ways.iter().any(|way| way.as_str() != Some("greedy")))
        }
        _ => true,
    }
}

/// Reads a stage's struct from its checked parameters; a value that does not match the table is a bug.
pub fn read<T: for<'de> Deserialize<'de>>(stage: &str, params: &Value) -> Result<T, crate::StageError> {
    T::deserialize(params).map_err(|error| crate::StageError::Bug(format!("parameters of {stage}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::variants::SCHEDULES;
    use super::*;
    use crate::schema::KeyKind;

    fn defaults(keys: &[Key]) -> Value {
        keys.iter().filter_map(|key| Some((key.name.to_owned(), key.default_value(1)?))).collect()
    }

    #[test]
    fn every_struct_can_be_read_from_its_tables_defaults() {
        let of = |stage: &str| defaults(stage_keys(stage).unwrap().keys);
        read::<Tokenize>("tokenize", &of("tokenize")).unwrap();
        read::<Vocab>("vocab", &of("vocab")).unwrap();
        read::<Batch>("batch", &of("batch")).unwrap();
        read::<Baselines>("baselines", &of("baselines")).unwrap();
        read::<Evaluate>("evaluate", &of("evaluate")).unwrap();
        let sample: Sample = read("sample", &of("sample")).unwrap();
        let temperature = Decode::Draw { temperature: 1.0, top_k: None, top_p: None };
        assert_eq!(sample.decode, [Decode::Greedy(Greedy::Greedy), temperature]);
        let train: Train = read("train", &of("train")).unwrap();
        assert_eq!(train.init, Init::Uniform(0.1));
        assert_eq!(train.on_nonfinite, OnNonfinite::StopAfter(20));
        assert_eq!(train.length(10), 1000);
    }

    #[test]
    fn a_default_has_the_type_of_its_key() {
        // A default must hash to the same bytes as the same value written in an experiment.
        for key in STAGES.iter().flat_map(|stage| stage.keys).chain(SPLIT).chain(SCHEDULES.iter().flat_map(|s| s.1)) {
            let Some(value) = key.default_value(1) else { continue };
            match key.kind {
                KeyKind::Float(_) => assert!(value.is_f64(), "{}", key.name),
                KeyKind::Int(..) => assert!(value.is_i64(), "{}", key.name),
                _ => {}
            }
        }
    }

    #[test]
    fn every_schedule_can_be_read_from_its_defaults() {
        for (kind, keys) in SCHEDULES {
            let mut value = defaults(keys);
            value["kind"] = Value::from(*kind);
            serde_json::from_value::<Schedule>(value).unwrap();
        }
    }

    #[test]
    fn kept_checkpoints_follow_every_and_keep() {
        let keep = |every, keep| Checkpoints { every, keep };
        assert_eq!(keep(100, Keep::Word(KeepWord::All)).kept(250), [0, 100, 200, 250]);
        assert_eq!(keep(0, Keep::Word(KeepWord::All)).kept(250), [0, 250]);
        assert_eq!(keep(100, Keep::Last { last: 2 }).kept(300), [200, 300]);
        assert_eq!(keep(100, Keep::Steps(vec![40, 7])).kept(300), [7, 40, 300]);
        assert_eq!(keep(100, Keep::Word(KeepWord::All)).kept(0), [0]);
        assert_eq!(keep(100, Keep::Last { last: 2 }).kept(250), [200, 250]);
        assert_eq!(keep(100, Keep::Last { last: 9 }).kept(250), [0, 100, 200, 250]);
        assert_eq!(keep(0, Keep::Last { last: 1 }).kept(0), [0]);
        assert_eq!(keep(100, Keep::Last { last: 2 }).kept_until(1000, 330), [330]);
        assert_eq!(keep(100, Keep::Word(KeepWord::All)).kept_until(1000, 330), [0, 100, 200, 300, 330]);
        // The longest runs are answered without listing all their checkpoints.
        assert_eq!(keep(1, Keep::Last { last: 1 }).kept(1 << 40), [1 << 40]);
        assert_eq!(keep(3, Keep::Word(KeepWord::All)).count(1 << 40), (1 << 40) / 3 + 2);
    }
}
