//! Tells the user that a record with an earlier schema was updated.

use std::path::Path;

use crate::Watch;
use record::{Migrated, Record};

/// Reports that a record was updated when it was opened, and where a copy of the old version is.
pub fn updated(mut record: Record, watch: &mut dyn Watch) -> Record {
    if let Some(Migrated { to, copy, .. }) = record.take_migrated() {
        let here = std::env::current_dir().unwrap_or_default();
        let shown = |path: &Path| path.strip_prefix(&here).unwrap_or(path).display().to_string();
        let (path, copy) = (shown(record.path()), shown(&copy));
        watch.note(&format!("updated {path} to schema {to}; the old version was saved as {copy}"));
    }
    record
}
