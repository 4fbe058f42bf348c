//! The provenance of new runs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use record::rows::Provenance;
use system::process::output_within;

/// How long git may take. It would wait forever if one of its files were replaced by a FIFO.
const GIT: Duration = Duration::from_secs(60);

/// The process, the host, the program and the working tree.
pub(crate) fn origin(process: &str, here: &Path) -> Provenance {
    let (git_commit, git_dirty) = git(here);
    Provenance {
        process: process.to_owned(),
        host: std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit,
        git_dirty,
        directory: here.to_str().map(str::to_owned),
    }
}

/// The commit of the working tree, and whether tracked files have changed since; `None` if git doesn't say.
fn git(here: &Path) -> (Option<String>, Option<bool>) {
    let ask = |words: &[&str]| {
        let said = output_within(Command::new("git").args(words).current_dir(here), GIT)?;
        Some(String::from_utf8_lossy(&said).trim().to_owned())
    };
    let commit = ask(&["rev-parse", "HEAD"]);
    let dirty = commit.as_ref().and_then(|_| ask(&["status", "--porcelain", "--untracked-files=no"]));
    (commit, dirty.map(|changes| !changes.is_empty()))
}
