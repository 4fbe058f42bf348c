//! Requests to stop.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whoever may ask what runs to stop in good order. It is looked at again and again, from several threads.
pub trait Stop: Debug + Send + Sync {
    /// Whether it has asked.
    fn is_asked(&self) -> bool;
}

/// True once it has asked.
impl Stop for AtomicBool {
    fn is_asked(&self) -> bool {
        self.load(Ordering::Relaxed)
    }
}
