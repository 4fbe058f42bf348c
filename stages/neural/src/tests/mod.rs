//! Whole trainings on a tiny corpus.

use stages::params::{Train, read, stage_keys};

pub(crate) fn train_params() -> serde_json::Value {
    let keys = stage_keys("train").unwrap().keys;
    keys.iter().filter_map(|key| Some((key.name.to_owned(), key.default_value(1)?))).collect()
}

pub(crate) fn train_defaults() -> Train {
    read("train", &train_params()).unwrap()
}
