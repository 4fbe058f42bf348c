//! Queries of commands that only read: runs, stages, losses, texts, and the user's SQL.

mod apart;
mod cell;
mod curves;
mod forks;
mod free;
mod holes;
mod losses;
mod many;
mod nullable;
mod plain;
mod runs;
mod stages;
mod texts;

pub use forks::{ForkOrigin, Forked};
pub use free::{ASK, QueryError, QueryResult, Relation};
pub use losses::{LossDifference, Numbers};
pub(crate) use many::{each, each_plain, list, many};
pub(crate) use nullable::Nullable;
pub(crate) use plain::plain;
pub use runs::{Detail, RunSummary, Study};
pub use stages::{Execution, StageRow};
pub use texts::EventRow;
