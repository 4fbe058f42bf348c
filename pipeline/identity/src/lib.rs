//! What names things: digests and what they stand for, the named fields behind a key, stages and their outputs, the
//! numbers of runs, and the words of the record. And what is said of them: curves, measured figures and verdicts.
//!
//! Plain values that every other crate may hold. It reads no file, asks no database, and knows no stage: where bytes come
//! from and what fields a key has is its callers' business.

mod cell;
mod curve;
mod digest;
mod fields;
mod figures;
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
