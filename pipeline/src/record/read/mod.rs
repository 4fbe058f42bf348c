//! What the record is asked by the commands that only look: runs, stages, losses, texts, and free SQL.

mod cell;
mod free;
mod losses;
mod runs;
mod stages;
mod texts;

pub use cell::Cell;
pub use free::{Asked, Relation};
pub use losses::{Bucket, Difference, StepRow};
pub use runs::{Detail, Param, Summary};
pub use stages::StageRow;
pub use texts::{Evaluation, Event, Sample};
