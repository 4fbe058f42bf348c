//! Readers of other programs' logs: bytes to reports.
//!
//! A reader streams one file and hands a [`Sink`] what each place of the file says: a step or an epoch, and named numbers. It
//! knows no database and no run. Which name is the training loss is decided afterwards, from all names that a log has, by
//! [`roles`]; which step a report belongs to, from everything that its log counts, by [`axis`].
//!
//! A log may be truncated, damaged or of another format: whatever comes before the damage is handed on, and the damage is
//! reported with its place. No input makes a reader panic, or hold more than one record of the file in memory.

pub mod axis;
pub mod cells;
pub mod columns;
pub mod csv;
pub mod detect;
pub mod find;
pub mod gather;
pub mod json;
pub mod jsonl;
pub mod lines;
pub mod mlflow_db;
pub mod mlflow_files;
pub mod protobuf;
pub mod read;
pub mod records;
pub mod report;
pub mod roles;
pub mod row;
pub mod sqlite;
pub mod text;
pub mod tfevents;
pub mod trackio;
pub mod trainer_state;
pub mod wandb;

pub use report::{At, Name, Names, Oddity, ReadError, Remark, Report, Series, Sink, Span};
