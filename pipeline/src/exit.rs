//! Exit codes, as the help lists them.

use session::failure::Kind;
use session::interrupt::Interrupt;

/// Done.
pub const DONE: u8 = 0;

/// The exit code of a failure.
pub const fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Failed => 1,
        Kind::WrongInput => 2,
        Kind::Interrupted => 130,
    }
}

/// Takes over the signals that ask to stop.
pub fn interrupt() -> Interrupt {
    Interrupt::install(i32::from(code(Kind::Interrupted)))
}
