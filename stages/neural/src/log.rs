//! The log of a run: what is written to standard error.

use std::io::Write as _;

/// One line for whoever reads the log of a run. When nobody can, the work still goes on.
pub(crate) fn log(line: &str) {
    let _unheard = writeln!(std::io::stderr(), "{line}");
}
