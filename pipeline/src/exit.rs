//! Exit codes, as the help lists them.

use session::failure::FailureKind;
use session::interrupt::Interrupt;

/// Done.
pub const DONE: u8 = 0;

/// The exit code of a failure.
pub const fn code(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Failed => 1,
        FailureKind::WrongInput => 2,
        FailureKind::Interrupted => 130,
    }
}

/// Takes over the signals that ask to stop.
pub fn interrupt() -> Interrupt {
    Interrupt::install(i32::from(code(FailureKind::Interrupted)))
}
