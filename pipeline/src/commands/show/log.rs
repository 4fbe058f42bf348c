//! `pipeline show --log`: the output of a run's workers.

use std::io::{Read as _, Seek as _, SeekFrom};

use identity::RunId;
use stages::plain;

use crate::ui;
use session::Reader;
use session::failure::Failure;
use system::files;

/// Prints the worker's output for each of the run's executions in turn, including failed and interrupted ones.
pub fn log(reader: &mut Reader, run: RunId) -> Result<(), Failure> {
    let parts = reader.record.logs(run)?;
    if parts.is_empty() {
        ui::talk(&format!("{run} has no worker output yet"));
    }
    let mut lost = None;
    for part in parts {
        let path = reader.store.join("logs").join(&part.log);
        let from = part.log_from.and_then(|from| u64::try_from(from).ok()).unwrap_or(0);
        let length = part.log_to.and_then(|to| u64::try_from(to).ok()).map_or(u64::MAX, |to| to.saturating_sub(from));
        let read = || -> std::io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            let mut file = files::open(&path)?;
            file.seek(SeekFrom::Start(from))?;
            file.take(length).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        ui::data(&format!("{}\n", format!("==> {} {}", part.stage, part.item).trim_end()));
        match read() {
            // Another program gets the bytes as written; a terminal would obey the control characters in them.
            Ok(bytes) if ui::look::Look::stdout().terminal => ui::data(&plain::lines(&String::from_utf8_lossy(&bytes))),
            Ok(bytes) => ui::data(&String::from_utf8_lossy(&bytes)),
            Err(error) => {
                let hint = "logs are in the store; if the store has moved, pass --store FOLDER";
                lost.get_or_insert_with(|| Failure::failed(format!("{}: {error}", path.display()), hint));
            }
        }
    }
    lost.map_or(Ok(()), Err)
}
