//! Writes what the stage `sample` draws from, for `peers/check_sample.py` to compare with PyTorch:
//! `cargo run --release -p stages --example logits -- WEIGHTS TYPES IDS READ GREEDY THREADS`
//!
//! Reads the first READ tokens of IDS (unsigned 32-bit little-endian integers), then GREEDY tokens, each the likeliest
//! after the one before. For each token read, writes to stdout the likeliest next token (u32) and the logits
//! (TYPES times f32).

use std::io::{BufWriter, Write as _};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [weights, types, ids, read, greedy, threads] = &words[..] else {
        return Err("usage: logits WEIGHTS TYPES IDS READ GREEDY THREADS".into());
    };
    let bytes = std::fs::read(ids)?;
    let ids: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id)).collect();
    let (types, read): (usize, usize) = (types.parse()?, read.parse()?);
    let tokens = &ids[..read.min(ids.len())];
    if tokens.is_empty() || tokens.iter().any(|id| *id as usize >= types) {
        return Err(format!("READ requires at least one token, and every token must be below {types}").into());
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    stages::sample::logits(
        Path::new(weights),
        types,
        tokens,
        greedy.parse()?,
        threads.parse()?,
        |likeliest, logits| {
            let mut write = || {
                out.write_all(&likeliest.to_le_bytes())?;
                logits.iter().try_for_each(|logit| out.write_all(&logit.to_le_bytes()))
            };
            if written.is_ok() {
                written = write();
            }
        },
    )?;
    written?;
    Ok(out.flush()?)
}
