//! Exit codes, which `pipeline --help` lists.

use session::failure::FailureKind;
use session::interrupt::Interrupt;

/// Success.
pub const DONE: u8 = 0;

/// The exit code of a failure.
pub const fn code(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Failed => 1,
        FailureKind::WrongInput => 2,
        FailureKind::Interrupted => 130,
    }
}

/// Installs handlers for the signals that ask the program to stop.
pub fn interrupt() -> Interrupt {
    Interrupt::install(i32::from(code(FailureKind::Interrupted)))
}
