//! The stream of replies to the parent.

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use stages::protocol::{Reply, write_frame};

/// Replies wait at most this long for company, as far as later ones come: a write to the pipe wakes the parent, which
/// costs more than all the rest.
const LATEST: Duration = Duration::from_millis(100);

/// Bytes that are not held back.
const FULL: usize = 1 << 16;

/// A buffered stream of replies.
#[derive(Debug)]
pub(crate) struct Pipe {
    out: File,
    waiting: Vec<u8>,
    flushed: Instant,
    /// Time spent in here so far.
    pub(crate) spent: Duration,
}

impl Pipe {
    pub(crate) fn new(out: File) -> Self {
        Self { out, waiting: Vec::with_capacity(2 * FULL), flushed: Instant::now(), spent: Duration::ZERO }
    }

    /// Sends a reply; at once, unless it is one of many.
    ///
    /// # Errors
    /// When the parent is gone.
    pub(crate) fn send(&mut self, reply: &Reply) -> io::Result<()> {
        let begun = Instant::now();
        write_frame(&mut self.waiting, reply)?;
        let many = matches!(reply, Reply::Step(_) | Reply::Progress { .. });
        if !many || self.waiting.len() >= FULL || begun - self.flushed >= LATEST {
            self.out.write_all(&self.waiting)?;
            self.waiting.clear();
            self.flushed = Instant::now();
        }
        self.spent += begun.elapsed();
        Ok(())
    }
}
