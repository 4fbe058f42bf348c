//! Reads one file with the reader of its format.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::detect::Format;
use crate::find::LogFile;
use crate::report::{Names, ReadError, Sink};
use crate::text::{Found, Patterns};
use crate::{csv, jsonl, mlflow_db, mlflow_files, text, tfevents, trackio, trainer_state, wandb};

/// How many bytes are read at once.
const BUFFER: usize = 256 * 1024;

/// What reading a file came to, besides what its sink was handed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The SHA-256 of the bytes that were read, in lower-case hexadecimal; of a database, of the whole file.
    pub digest: String,
    /// How many these were.
    pub bytes: u64,
    /// The program that printed a text log, as far as it is known.
    pub program: Option<&'static str>,
}

/// Reads a file. Of a database, `run` names the run to be read.
///
/// # Errors
/// When the file can't be read, or has nothing of its format.
pub fn read(
    file: &LogFile,
    run: Option<&str>,
    patterns: Option<&Patterns>,
    names: &mut Names,
    sink: &mut dyn Sink,
) -> Result<Done, ReadError> {
    names.of_split(file.split.as_deref());
    if let (Format::MlflowDatabase | Format::TrackioDatabase, Some(run)) = (file.format, run) {
        match file.format {
            Format::MlflowDatabase => mlflow_db::read(&file.path, run, names, sink)?,
            _ => trackio::read(&file.path, run, names, sink)?,
        }
        let mut hashed = Hashed::new(File::open(&file.path)?);
        std::io::copy(&mut hashed, &mut std::io::sink())?;
        return Ok(hashed.done(None));
    }
    let mut input = BufReader::with_capacity(BUFFER, Hashed::new(File::open(&file.path)?));
    let mut program = None;
    match file.format {
        Format::Events => tfevents::read(&mut input, names, sink)?,
        Format::Wandb => wandb::read(&mut input, names, sink)?,
        Format::TrainerState => trainer_state::read(&mut input, names, sink)?,
        Format::JsonLines => jsonl::read(&mut input, names, sink)?,
        Format::Csv => csv::read(&mut input, names, sink)?,
        Format::Text => {
            let Found { program: found, .. } = text::read(&mut input, patterns, names, sink)?;
            program = Some(found);
        }
        Format::MlflowMetric => mlflow_files::read(&mut input, &mlflow_files::metric_name(&file.path), names, sink)?,
        Format::MlflowRun => {
            mlflow_files::read_settings(file.path.parent().unwrap_or(Path::new(".")), sink)?;
        }
        Format::MlflowDatabase | Format::TrackioDatabase => {
            return Err(ReadError::Format("a database of many runs: name one of them".into()));
        }
    }
    // What a reader leaves, as after damage, is part of the file all the same.
    std::io::copy(&mut input, &mut std::io::sink())?;
    Ok(input.into_inner().done(program))
}

/// The SHA-256 of the first bytes of a file, in lower-case hexadecimal.
///
/// # Errors
/// When the file can't be read.
pub fn digest_of_first(path: &Path, bytes: u64) -> std::io::Result<String> {
    let mut hashed = Hashed::new(File::open(path)?.take(bytes));
    std::io::copy(&mut hashed, &mut std::io::sink())?;
    Ok(hashed.done(None).digest)
}

/// Hashes what is read.
struct Hashed<R> {
    input: R,
    hash: Sha256,
    bytes: u64,
}

impl<R> Hashed<R> {
    fn new(input: R) -> Self {
        Self { input, hash: Sha256::new(), bytes: 0 }
    }

    fn done(self, program: Option<&'static str>) -> Done {
        let digest = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Done { digest, bytes: self.bytes, program }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
