//! The stream of replies to the parent.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use stages::protocol::{Reply, write_frame};

/// The longest time that a reply in the middle of an order waits to be sent. A separate thread serialises and writes
/// these replies. In the training loop this would take 30 to 120 µs per step (measured): a write wakes the parent,
/// which on a busy machine takes the processor away from the writer, and after a long step everything needed to
/// serialise a frame is out of the caches.
const LATEST: Duration = Duration::from_millis(50);

/// From this many waiting replies on, the training loop writes them itself. So a parent that does not read stalls the
/// loop, and replies don't fill the memory.
const FULL: usize = 1 << 12;

/// The stack size in bytes of threads that only read or write frames. It is small, so that they can start where memory
/// is limited.
pub(crate) const SMALL_STACK: usize = 256 << 10;

/// A buffered stream of replies.
#[derive(Debug)]
pub(crate) struct Pipe {
    shared: Arc<Shared>,
    /// Whether a thread writes the waiting replies. If none could be started, each reply is written as it is sent.
    helped: bool,
    /// Total time spent in [`Pipe::send`].
    pub(crate) spent: Duration,
}

#[derive(Debug)]
struct Shared {
    /// A writer locks this before `waiting`, so that frames keep their order.
    out: Mutex<Out>,
    waiting: Mutex<Vec<Reply>>,
}

/// The pipe itself, and buffers that are reused so that the training loop never waits for memory.
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

    /// Writes the waiting replies.
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
            // This ends when the pipe is dropped, or when the parent is gone, which the training loop notices at the
            // next reply that it writes itself.
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

    /// Sends a reply: at once before and after an order, when the parent waits for it; within [`LATEST`] in the middle
    /// of one.
    ///
    /// # Errors
    /// If the parent is gone.
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
