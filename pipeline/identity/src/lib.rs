//! What names things: digests and what they stand for, the named fields behind a key, and the numbers of runs; and the
//! points of a curve.
//!
//! Plain values that every other crate may hold. It reads no file, asks no database, and knows no stage: where bytes come
//! from and what fields a key has is its callers' business.

mod curve;
mod digest;
mod fields;
mod rows;

pub use curve::{Bucket, Hole};
pub use digest::{Digest, NoDigest, ObjectId, StageKey, TrajectoryId};
pub use fields::{Difference, Fields};
pub use rows::{ExecutionId, RunId, TrajectoryRow};
