//! The worker's log, which it writes to standard error.

use std::io::Write as _;

/// Writes one line to the log. An error is ignored: work continues even if nobody can read the log.
pub(crate) fn log(line: &str) {
    let _unheard = writeln!(std::io::stderr(), "{line}");
}
