//! Names, and the values recorded under them. Names are digests, the fields of a key, stages and their outputs, run
//! numbers and the words of the record; values are curves, measured figures and verdicts.
//!
//! All of them are plain values that every other crate may use. This crate reads no file, queries no database and knows
//! no stage: its callers decide where bytes come from and which fields a key has.

mod cell;
mod curve;
mod digest;
mod fields;
mod figures;
pub mod logged;
mod loss;
mod names;
pub mod observations;
mod rows;
mod status;
pub mod verdict;
mod words;

pub use cell::Cell;
pub use curve::{BLOCK, Bucket, Hole};
pub use digest::{Digest, NoDigest, ObjectId, StageKey, TrajectoryId};
pub use fields::{Difference, Fields};
pub use figures::{EvaluationRow, LossPair, NgramLoss, Param, SampleRow, StepRow, TraceRow, text_as_json};
pub use loss::{Loss, LossKind, NoLoss};
pub use names::{NoName, OutputName, StageName};
pub use rows::{ExecutionId, NoRun, RunId, TrajectoryRow};
pub use status::{How, Status};
pub use words::{NoWord, Word};
