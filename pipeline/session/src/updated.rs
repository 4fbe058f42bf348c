//! Records of earlier schemas.

use std::path::Path;

use crate::Watch;
use record::{Migrated, Record};

/// Says that a record that was just opened was of an earlier schema, and where it is as it was.
pub fn updated(mut record: Record, watch: &mut dyn Watch) -> Record {
    if let Some(Migrated { to, copy, .. }) = record.take_migrated() {
        let here = std::env::current_dir().unwrap_or_default();
        let shown = |path: &Path| path.strip_prefix(&here).unwrap_or(path).display().to_string();
        let (path, copy) = (shown(record.path()), shown(&copy));
        watch.note(&format!("{path} was updated to schema {to}; the old one is {copy}"));
    }
    record
}
