//! Runs and times one text stage, and leaves its files for inspection:
//! `cargo run --release -p stages --example stage -- tokenize '{"unit":"word","lowercase":false,"eos":"<eos>","split":{"valid":0.05,"test":0.05}}' FOLDER text=corpus.txt`
//!
//! The argument `threads=N` sets how many threads the stage may use; the default is 1.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;
use stages::{Context, StageError, StageOutcome, baselines, batch, params, sample, tokenize, vocab};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().ok_or("usage: stage NAME PARAMETERS FOLDER INPUT=PATH…");
    let (stage, parameters, folder) = (word()?, serde_json::from_str(&word()?)?, PathBuf::from(word()?));
    std::fs::create_dir_all(&folder)?;
    let mut inputs: BTreeMap<String, PathBuf> =
        words.filter_map(|pair| pair.split_once('=').map(|(name, path)| (name.into(), path.into()))).collect();
    let threads = inputs.remove("threads").map_or(Ok(1), |n| n.display().to_string().parse())?;
    let context = Context { inputs, folder, threads, progress: Default::default(), stop: Default::default() };
    let start = Instant::now();
    let outcome = run(&stage, &parameters, &context)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{:#}", outcome.report);
    for baseline in &outcome.baselines {
        println!("{}", serde_json::to_string(baseline)?);
    }
    for sample in &outcome.samples {
        println!("{}", serde_json::to_string_pretty(sample)?);
    }
    eprintln!("{stage}: {seconds:.3} s");
    if let Some(bytes) = outcome.report["bytes"].as_f64() {
        eprintln!("{:.0} MB/s", bytes / seconds / 1e6);
    }
    Ok(())
}

fn run(stage: &str, parameters: &Value, context: &Context) -> Result<StageOutcome, StageError> {
    match stage {
        "tokenize" => tokenize::run(&params::read(stage, parameters)?, context),
        "vocab" => vocab::run(&params::read(stage, parameters)?, context),
        "baselines" => baselines::run(&params::read(stage, parameters)?, context),
        "batch" => batch::run(&params::read(stage, parameters)?, context),
        "sample" => sample::run(&params::read(stage, parameters)?, context),
        other => Err(StageError::Bug(format!("not a text stage: {other}"))),
    }
}
