//! Requests to stop.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};

/// A source of requests to stop gracefully. It is polled repeatedly, from several threads.
pub trait Stop: Debug + Send + Sync {
    /// Whether a stop was requested.
    fn is_asked(&self) -> bool;
}

/// True once a stop was requested.
impl Stop for AtomicBool {
    fn is_asked(&self) -> bool {
        self.load(Ordering::Relaxed)
    }
}
