//! Records the steps of one long training through the program's own writer, for comparison with `sqlite3`'s `.import`:
//! `cargo run --release -p pipeline --example steps -- FOLDER [ROWS]` creates `FOLDER/steps.db`. With `--csv FILE` it
//! only writes the same rows as CSV, in the order of the table's columns.
//!
//! As during a training, each transaction has 1,024 steps and their row of `step_blocks`.

use std::error::Error;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use identity::observations::{Measured, Step};
use identity::{Digest, Fields, TrajectoryId};
use record::Record;
use record::rows::NewTrajectory;

/// Steps per transaction, as in the engine.
const BATCH: u64 = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let csv = match words.iter().position(|word| word == "--csv") {
        Some(at) if at + 1 < words.len() => words.drain(at..at + 2).nth(1),
        _ => None,
    };
    let rows = |word: Option<&String>| word.map_or(Ok(1_000_000), |word| word.parse::<u64>());
    if let Some(path) = csv {
        return write_csv(Path::new(&path), rows(words.first())?);
    }
    let folder = PathBuf::from(words.first().ok_or("usage: steps FOLDER [ROWS], or steps --csv FILE [ROWS]")?);
    let rows = rows(words.get(1))?;
    std::fs::create_dir_all(&folder)?;
    let begun = Instant::now();
    let mut record = Record::create(&folder.join("steps.db"))?;
    let mut fields = Fields::default();
    fields.put("bench", "steps");
    let identity = TrajectoryId(Digest::of(b"steps"));
    let new = NewTrajectory { identity, fields: &fields, threads: 1, cpu_capability: "", parent: None };
    let row = record.start_trajectory(&new)?.row;
    let mut from = 0;
    while from < rows {
        let steps: Vec<Step> = (from..rows.min(from + BATCH)).map(step).collect();
        if let Some(mismatch) = record.append_steps(row, from, &steps)? {
            return Err(format!("step {} was recorded before", mismatch.step).into());
        }
        from += BATCH;
    }
    // Closing writes the log back into the database.
    drop(record);
    let seconds = begun.elapsed().as_secs_f64();
    println!(r#"{{"what": "steps recorded by pipeline", "value": {}, "unit": "rows/s"}}"#, rows as f64 / seconds);
    Ok(())
}

/// Step `n` of a made-up training. Every column has a value.
fn step(n: u64) -> Step {
    let x = n as f64;
    let loss = 9.2 / (1.0 + x / 1e5) + 0.3 * (x * 0.37).sin();
    Step {
        step: n,
        epoch: n / 2323,
        loss: Measured(loss),
        learning_rate: 1.0 / (1.0 + x / 1e4),
        grad_norm: Measured(1.0 + (x * 0.11).cos() * 0.9),
        clipped: n.is_multiple_of(3),
        update_ratio: Some(Measured(1e-3 * (1.5 + (x * 0.7).sin()))),
        overshoot: Some(Measured(0.9 - 0.1 * (x * 0.9).sin())),
        logit_max: Some(Measured(12.0 + (x * 0.05).sin())),
        entropy: Some(Measured(loss * 0.98)),
        sharpness: Some(Measured(2.0 + (x * 0.03).cos())),
        tokens: 400,
        seconds: 0.05 + 1e-3 * (x * 1.3).sin(),
    }
}

fn write_csv(path: &Path, rows: u64) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(std::fs::File::create(path)?);
    for n in 0..rows {
        let s = step(n);
        let number = |x: Option<Measured>| x.map_or(f64::NAN, |Measured(x)| x);
        writeln!(
            out,
            "1,{},{},{:?},finite,{:?},{:?},{},{:?},{:?},{:?},{},{:?},,{:?},{:?},1,0,0",
            s.step,
            s.epoch,
            s.loss.0,
            s.learning_rate,
            s.grad_norm.0,
            i32::from(s.clipped),
            number(s.update_ratio),
            number(s.logit_max),
            number(s.entropy),
            s.tokens,
            s.seconds,
            number(s.overshoot),
            number(s.sharpness)
        )?;
    }
    out.flush()?;
    Ok(())
}
