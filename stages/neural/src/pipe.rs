//! The stream of replies to the parent.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use stages::protocol::{Reply, write_frame};

/// Replies in the middle of an order wait at most this long, and are worded and written by a thread of their own. In the
/// training loop that took 30 to 120 µs a step (measured): a write wakes the parent, which on a busy machine takes the
/// processor away from whoever wrote, and after a long step all that words a frame is out of the caches.
const LATEST: Duration = Duration::from_millis(50);

/// Replies that are not held back: the loop writes them itself, so that a parent that does not read holds it up instead
/// of filling the memory.
const FULL: usize = 1 << 12;

/// Bytes of stack for threads that only read or write frames: small, so that they start where memory is limited.
pub(crate) const SMALL_STACK: usize = 256 << 10;

/// A buffered stream of replies.
#[derive(Debug)]
pub(crate) struct Pipe {
    shared: Arc<Shared>,
    /// Whether a thread writes what waits. Where none could be started, each reply is written as it is sent.
    helped: bool,
    /// Time spent in here so far.
    pub(crate) spent: Duration,
}

#[derive(Debug)]
struct Shared {
    /// Locked before `waiting` by whoever writes, so that frames keep their order.
    out: Mutex<Out>,
    waiting: Mutex<Vec<Reply>>,
}

/// The pipe itself, and room that is used again: the loop never waits for memory.
#[derive(Debug)]
struct Out {
    file: File,
    replies: Vec<Reply>,
    bytes: Vec<u8>,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Vec<Reply>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits.
    fn flush(&self) -> io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Out { file, replies, bytes } = &mut *out;
        std::mem::swap(replies, &mut *self.waiting());
        bytes.clear();
        for reply in replies.drain(..) {
            write_frame(bytes, &reply)?;
        }
        file.write_all(bytes)
    }
}

impl Pipe {
    pub(crate) fn new(out: File) -> Self {
        let room = || Vec::with_capacity(FULL);
        let out = Out { file: out, replies: room(), bytes: Vec::new() };
        let shared = Arc::new(Shared { out: Mutex::new(out), waiting: Mutex::new(room()) });
        let theirs = Arc::downgrade(&shared);
        let write = move || {
            // Ends with the pipe, or when the parent is gone: the next reply that is sent at once says so to the loop.
            while let Some(shared) = theirs.upgrade() {
                if shared.flush().is_err() {
                    return;
                }
                drop(shared);
                thread::sleep(LATEST);
            }
        };
        let helped = thread::Builder::new().stack_size(SMALL_STACK).spawn(write).is_ok();
        Self { shared, helped, spent: Duration::ZERO }
    }

    /// Sends a reply: at once where the parent waits for it, before and after an order; soon in the middle of one.
    ///
    /// # Errors
    /// When the parent is gone.
    pub(crate) fn send(&mut self, reply: Reply) -> io::Result<()> {
        let begun = Instant::now();
        let awaited = matches!(reply, Reply::Hello(_) | Reply::Done(_) | Reply::Failed { .. });
        let full = {
            let mut waiting = self.shared.waiting();
            waiting.push(reply);
            waiting.len() >= FULL
        };
        if awaited || full || !self.helped {
            self.shared.flush()?;
        }
        self.spent += begun.elapsed();
        Ok(())
    }
}
