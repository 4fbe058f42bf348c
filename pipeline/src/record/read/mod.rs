//! What the record is asked by the commands that only look: runs, stages, losses, texts, and free SQL.

mod apart;
mod cell;
mod forks;
mod free;
mod losses;
mod measured;
mod runs;
mod stages;
mod texts;

use serde::{Serialize as _, Serializer};
use serde_json::Value;

pub use cell::Cell;
pub use forks::{Forked, Origin};
pub use free::{ASK, Asked, QueryError, Relation};
pub use losses::{Bucket, Difference, Numbers, Pair, StepRow};
pub use measured::Hole;
pub(super) use runs::list;
pub use runs::{Detail, Param, Study, Summary};
pub use stages::StageRow;
pub use texts::{Evaluation, Event, NgramLoss, Sample};

/// JSON of the record as a value when it is printed; null where there is none.
fn as_json<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    text_as_json(text.as_deref().unwrap_or("null"), serializer)
}

/// The same of a text that is always there.
///
/// # Errors
/// The serializer's own.
pub fn text_as_json<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::from_str::<Value>(text).unwrap_or(Value::Null).serialize(serializer)
}
